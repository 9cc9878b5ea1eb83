"""The pictures of the documentation: runs the pages whose code draws one, and keeps what they draw in docs/images/.

The cubes are those of the tests, trained for longer. ``python docs/pictures.py [PAGE...]``, in an environment with the
extras ``xarray``, ``zonal`` and ``docs``; the encoding takes some minutes, once: GNDC_PICTURES_DIR keeps the cubes.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

DOCS = Path(__file__).resolve().parent
DATA = DOCS.parent / "tests" / "data"
STACKS = {"flanders": "s2_flanders", "matogrosso": "modis_mt_vi", "gulfstream": "sst_gulfstream"}
# bytes of a picture
MOST = 140_000
_FENCE = re.compile(r"^```(python|bash)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# trainings that pages cut short
_SHORT = re.compile(r' --steps \d+|"steps": \d+, ')
_SKIPPED = re.compile(r"<!-- not executed:[^>]*-->\n```.*?^```$", re.MULTILINE | re.DOTALL)


def cubes(folder: Path) -> None:
    """Encode the stacks that have no cube yet."""
    import gdal_gndc

    for name, stack in STACKS.items():
        if not (folder / f"{name}.gndc").exists():
            gdal_gndc.encode(sorted((DATA / stack).glob("*.tif")), folder / f"{name}.gndc")


def draw(page: Path, folder: Path) -> list[Path]:
    """Run a page in a folder with the cubes, and return the pictures that its code wrote."""
    text = _SHORT.sub("", _SKIPPED.sub("", page.read_text("utf-8")))
    names: dict[str, object] = {"__name__": "__docs__"}
    env = {**os.environ, "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}
    for language, code in _FENCE.findall(text):
        if language == "bash":
            subprocess.run(["bash", "-euo", "pipefail", "-c", code], cwd=folder, env=env, check=True)
        else:
            exec(compile(code, str(page), "exec"), names)
    return [folder / name for name in re.findall(r"savefig\(\"([^\"]+)\"", text)]


def main() -> None:
    from PIL import Image

    os.environ.setdefault("MPLBACKEND", "Agg")
    with tempfile.TemporaryDirectory() as made:
        kept = Path(os.environ.get("GNDC_PICTURES_DIR", made))
        cubes(kept)
        wanted = [Path(name).resolve() for name in sys.argv[1:]] or sorted(DOCS.glob("*.md"))
        for page in wanted:
            if "savefig(" not in page.read_text("utf-8"):
                continue
            with tempfile.TemporaryDirectory() as folder:
                for name, stack in STACKS.items():
                    shutil.copy(kept / f"{name}.gndc", folder)
                    (Path(folder) / stack).symlink_to(DATA / stack)
                os.chdir(folder)
                for picture in draw(page, Path(folder)):
                    kept_as = DOCS / "images" / picture.name
                    shutil.copy(picture, kept_as)
                    if kept_as.stat().st_size > MOST:
                        # 256 colours of its own, a third of the size
                        Image.open(picture).convert("RGB").quantize(256, kmeans=3).save(kept_as, optimize=True)
                    print(kept_as.name, kept_as.stat().st_size)
                os.chdir(DOCS)


if __name__ == "__main__":
    main()
