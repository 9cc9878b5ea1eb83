"""Every Python block of the catalog's pages runs, in order, on the real stacks, and its results are what they
should be."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def run_page(page: Path, folder: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The names that a page's blocks leave behind; they run in ``folder`` with ``data`` beside them."""
    (folder / "data").symlink_to(data)
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {"__name__": "__page__"}
    text = page.read_text()
    blocks = list(BLOCK.finditer(text))
    assert blocks, page
    for block in blocks:
        line = text[: block.start(1)].count("\n")
        code = compile("\n" * line + block.group(1), str(page), "exec")
        with contextlib.redirect_stdout(io.StringIO()):
            exec(code, names)
    return names


def catalog_page(names: dict[str, Any]) -> None:
    assert names["image"].shape == (2, 64, 64)
    assert len(names["near"]) == 118
    assert 0 < len(names["some"]) < 10
    assert len(names["pairs"]) == len(names["before"]) * len(names["after"])
    assert len(names["found"]) == len(names["july"]) > 0


def composites_page(names: dict[str, Any]) -> None:
    composite = names["composite"]
    assert composite.valid.values.all()
    # A composite without clouds is much darker in the blue than the mean of all images.
    assert float(composite.sel(band="B02").mean()) < 0.12
    assert len(names["pairs"]) == 118
    assert min(s for _, s in names["share"]) < 0.05
    assert max(s for _, s in names["share"]) > 0.9
    assert bool((names["scl"].time == names["red"].time).all())


def series_page(names: dict[str, Any]) -> None:
    series = names["series"].values
    assert series.shape == (12,)
    assert 15 < series.min() < series.max() < 31
    assert int(series.argmax()) in (6, 7, 8)
    np.testing.assert_allclose(float(names["a"].mean()), float(names["b"].mean()), rtol=0.01)
    shapes = {k: v.shape for k, v in names["layers"].items()}
    assert shapes == {"height": (1, 32, 32), "red": (3, 1, 32, 32), "rain": (30, 1, 32, 32)}
    assert all(layer.valid.values.any() for layer in names["layers"].values())


def tiles_page(names: dict[str, Any]) -> None:
    whole = names["ndvi"](names["scene"])
    np.testing.assert_allclose(names["store"].prediction.values[0], whole, atol=1e-5)
    regions = names["regions"]
    assert len(regions) > 0
    assert regions.area.sum() < 0.11 * 640 * 640
    assert np.isfinite(names["change"].values).mean() > 0.9


def training_page(names: dict[str, Any]) -> None:
    assert sum(b["image"]["data"].shape[0] for b in names["batches"]) == 24
    assert any(bool((b["mask"]["data"] > 0).any()) for b in names["batches"])
    assert len(names["near"]) > len(names["exact"]) == 40
    assert names["boxes"]["boxes"].shape[1] == 4
    assert len(names["vectors"]) == 16


def cubes_page(names: dict[str, Any]) -> None:
    assert set(names["found"].backends) == {"raster", "gndc"}
    assert names["observed"].shape == names["decoded"].shape
    assert float(abs(names["difference"]).median()) < 0.05
    assert names["fine"].shape[2:] == tuple(2 * n for n in names["decoded"].shape[2:])


PAGES: dict[str, Callable[[dict[str, Any]], None]] = {
    "catalog.md": catalog_page,
    "cookbook/composites.md": composites_page,
    "cookbook/series.md": series_page,
    "cookbook/tiles.md": tiles_page,
    "cookbook/training.md": training_page,
    "cookbook/cubes.md": cubes_page,
}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_runs_and_is_right(page: str, stacks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("rasterio", "xarray", "netCDF4", "zarr", "torch"):
        pytest.importorskip(module)
    PAGES[page](run_page(DOCS / page, tmp_path, stacks.resolve(), monkeypatch))


def test_every_page_of_the_cookbook_is_run() -> None:
    pages = {f"cookbook/{p.name}" for p in (DOCS / "cookbook").glob("*.md")}
    assert pages <= set(PAGES)
