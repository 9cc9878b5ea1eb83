from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from gdal_gndc.errors import GNDCError
from gdal_gndc.vrt.template import load_template


def test_values_are_escaped(tmp_path: Path) -> None:
    file = tmp_path / "mine.vrt"
    file.write_text('<VRTDataset a="${path}"><SRS>${srs}</SRS>${bands}</VRTDataset>', "utf-8")
    (tmp_path / "mine.band.xml").write_text("<B>${name}${metadata}</B>", "utf-8")
    nasty = "a<b> & \"c\" 'd'"
    text = load_template(file).fill({"path": nasty, "srs": nasty}, [{"name": nasty, "metadata": "<m/>"}])
    root = ElementTree.fromstring(text)
    assert root.get("a") == nasty
    assert root.findtext("SRS") == nasty
    assert root.findtext("B") == nasty
    assert root.find("B/m") is not None


def test_a_template_without_band_file_uses_the_shipped_one(tmp_path: Path) -> None:
    file = tmp_path / "mine.vrt"
    file.write_text("<VRTDataset>${bands}</VRTDataset>", "utf-8")
    assert load_template(file).band == load_template().band
    assert load_template("cube") == load_template("cube")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("<VRTDataset>${widht}</VRTDataset>", r"unknown placeholder \$\{widht\}"),
        ("<VRTDataset>$ </VRTDataset>", "malformed placeholder"),
        ("<VRTDataset>", "well-formed"),
    ],
)
def test_errors_name_the_template(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "mine.vrt"
    file.write_text(text, "utf-8")
    with pytest.raises(GNDCError, match=says) as caught:
        load_template(file).fill({"width": 1}, [])
    assert "mine.vrt" in str(caught.value)


def test_no_such_template(tmp_path: Path) -> None:
    with pytest.raises(GNDCError, match=r"no VRT template .*nothing\.vrt; expected a file or one of .*cube"):
        load_template(tmp_path / "nothing.vrt")
    with pytest.raises(GNDCError, match="no VRT template nothing"):
        load_template("nothing")
