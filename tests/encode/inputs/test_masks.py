"""Quality layers that hide pixels, and gaps that the cube fills."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from click.testing import CliRunner

import gdal_gndc
from gdal_gndc.cli.main import main
from gdal_gndc.encode.append import append
from gdal_gndc.encode.inputs import Source, open_source
from gdal_gndc.encode.inputs.rule import PRESETS, MaskRule
from gdal_gndc.errors import EncodeError

FLANDERS = Path(__file__).parents[2] / "data" / "s2_flanders"


def summer() -> list[Path]:
    """Seven dates of a real stack, between cloudless and overcast."""
    return sorted(FLANDERS.glob("s2_flanders_20180[67]*.tif"))[::2]


def classes(path: Path) -> Any:
    with rasterio.open(FLANDERS / "scl" / path.name.replace("flanders_", "flanders_scl_")) as scl:
        return scl.read(1)


@pytest.fixture(scope="module")
def masked() -> Source:
    return open_source(summer(), mask=FLANDERS / "scl", mask_values=[3, 8, 9, 10])


def test_files_of_a_mask_are_matched_by_date(masked: Source) -> None:
    plain = open_source(summer())
    assert masked.shape == plain.shape and masked.times == plain.times
    for k, path in enumerate(summer()):
        hidden = np.isin(classes(path), (3, 8, 9, 10))
        expected = plain.read((k, k + 1))[0]
        expected[hidden] = np.nan
        np.testing.assert_array_equal(masked.read((k, k + 1))[0], expected)
    window = masked.read((1, 2), (5, 20), (30, 64))
    np.testing.assert_array_equal(window, masked.read((1, 2))[:, 5:20, 30:64])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(masked)).read((0, 2)), masked.read((0, 2)))


@pytest.mark.parametrize(
    ("rule", "hidden", "kept"),
    [
        (MaskRule.of("scl"), (0, 1, 3, 8, 9, 10), (2, 4, 5, 6, 7, 11)),
        (MaskRule.of(preset="qa60"), (1024, 2048, 3072), (0, 512)),
        (MaskRule.of(preset="fmask"), (2, 4, 255), (0, 1, 3)),
        (MaskRule.of(preset="hls"), (0b10, 0b100, 0b1000, 255), (0, 1, 0b110000)),
        (MaskRule.of(preset="landsat"), (1, 0b10, 22280, 22018), (21824, 21952)),  # cloud, dilated; clear, water
        (MaskRule.of([7], [33]), (7, 1 << 33), (0, 1 << 32, 8)),
    ],
)
def test_rules(rule: MaskRule, hidden: tuple[int, ...], kept: tuple[int, ...]) -> None:
    assert rule.hides(np.array(hidden, np.int64)).all()
    assert not rule.hides(np.array(kept, np.int64)).any()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"mask": FLANDERS / "scl"}, "hides nothing: give mask values, bits or a preset"),
        ({"mask": FLANDERS / "scl", "mask_preset": "clouds"}, f"expected one of {', '.join(PRESETS)}"),
        ({"mask": FLANDERS / "scl", "mask_bits": [64]}, "mask bits"),
        ({"mask_bits": [3]}, "without a mask"),
        ({"mask": "band:SCL", "mask_values": "scl"}, "has no band 'SCL' to mask by, only B02"),
        ({"mask": FLANDERS / "scl", "mask_values": "scl", "bounds": "union", "merge": "worst"}, "merge 'worst'"),
    ],
)
def test_options_that_mean_nothing(options: dict[str, Any], said: str) -> None:
    with pytest.raises(EncodeError, match=said):
        open_source(summer()[:2], **options)


def test_dates_without_a_mask(write_raster: Any) -> None:
    data = [write_raster(f"a_2020010{k}.tif") for k in (1, 2, 3)]
    quality = [write_raster(f"q_2020010{k}T1030.tif", np.zeros((1, 8, 10), "uint8")) for k in (1, 3)]
    quality.append(write_raster("q_20200103T2230.tif", np.zeros((1, 8, 10), "uint8")))
    with pytest.raises(EncodeError, match=r"a_20200102\.tif: no mask for 2020-01-02"):
        open_source(data, mask=quality, mask_values="fmask")
    with pytest.raises(EncodeError, match="2 masks of its day, none of its time"):
        open_source(data[::2], mask=quality, mask_values="fmask")
    source = open_source(data, mask=quality, mask_values="fmask", skip_bad=True)
    assert [time.day for time in source.times] == [1] and len(source.skipped) == 2
    with pytest.raises(EncodeError, match="no date has a mask"):
        open_source(data[1], mask=quality, mask_values="fmask", skip_bad=True)


def test_a_band_of_the_inputs_hides_scene_by_scene(write_raster: Any) -> None:
    def scene(name: str, values: list[int], quality: list[int]) -> Path:
        stack = np.array([values, quality, [v + 1 for v in values]], "uint16")[:, np.newaxis]
        return write_raster(name, stack, names=("B1", "QA", "B2"), nodata=0)

    a = scene("a_20200101.tif", [10, 20, 0, 40], [0, 1 << 10, 0, 1 << 11])
    b = scene("b_20200101.tif", [11, 21, 31, 41], [0, 0, 0, 1 << 10])
    source = open_source([a, b], merge="first", mask="band:QA", mask_bits=[10, 11])
    assert [band.name for band in source.bands] == ["B1", "B2"]
    np.testing.assert_array_equal(source.read()[0, 0, :, 0], np.array([10, 21, 31, np.nan], np.float32))
    with pytest.raises(EncodeError, match="no band beside 'QA'"):
        open_source(write_raster("q_20200101.tif", np.ones((1, 2, 2), "uint8"), names=("QA",)), mask="band:QA",
                    mask_bits=[1])  # fmt: skip


def test_a_coarser_mask_is_aligned_without_mixing_codes(write_raster: Any) -> None:
    data = write_raster("a_20200101.tif", np.arange(1, 17, dtype="int16").reshape(1, 4, 4))
    coarse = write_raster("q_20200101.tif", np.array([[[4, 9], [4, 4]]], "uint8"),
                          transform=Affine(20, 0, 500000, 0, -20, 5600000))  # fmt: skip
    with pytest.raises(EncodeError, match=r"q_20200101\.tif: the size of the mask is 2x2.*align"):
        open_source(data, mask=coarse, mask_values="scl")
    source = open_source(data, mask=coarse, mask_values="scl", align=True, resampling="cubic")
    hidden = np.isnan(source.read()[0, ..., 0])
    assert hidden[:2, 2:].all() and hidden.sum() == 4


def test_hidden_pixels_are_no_data_in_the_file(masked: Source, tmp_path: Path, quick_encode: Any) -> None:
    report = quick_encode(masked, tmp_path / "x.gndc")
    values = masked.read()
    assert report.metrics["n_valid"] == np.isfinite(values).sum()
    with gdal_gndc.open(tmp_path / "x.gndc") as cube:
        assert not cube.fills_gaps
        for k in range(cube.n_timestamps):
            np.testing.assert_array_equal(np.isnan(cube.read(k)), np.isnan(values[k]))
            np.testing.assert_array_equal(cube.observed(k), np.isfinite(values[k, ..., 0]))


@pytest.fixture(scope="module")
def filled(masked: Source, tmp_path_factory: pytest.TempPathFactory, quick_encode: Any) -> Path:
    """A cube of four chunks that fills its gaps."""
    path = tmp_path_factory.mktemp("filled") / "x.gndc"
    quick_encode(masked, path, chunk_size=40, fill_gaps=True, max_error=0.05)
    return path


def test_gaps_are_filled_and_told(masked: Source, filled: Path) -> None:
    values = masked.read()
    with gdal_gndc.open(filled) as cube:
        assert cube.fills_gaps and cube.meta["x_gaps"] == "filled"
        observed = np.stack([cube.observed(k) for k in range(cube.n_timestamps)])
        np.testing.assert_array_equal(observed, np.isfinite(values[..., 0]))
        assert 0.2 < observed.mean() < 0.9
        seen = observed.any(axis=0)
        for k in range(cube.n_timestamps):
            decoded = cube.read(k)
            np.testing.assert_array_equal(np.isfinite(decoded[..., 0]), seen)
            assert np.nanmax(np.abs(decoded - values[k]), initial=0.0) <= 0.05
            assert np.abs(decoded[seen]).max() < 3
        np.testing.assert_array_equal(cube.observed(1, window=(30, 3, 25, 50)), observed[1, 3:53, 30:55])
        np.testing.assert_array_equal(cube.observed(cube.timestamps[2]), observed[2])


def test_dates_added_to_a_filled_cube(write_raster: Any, tmp_path: Path, quick_encode: Any) -> None:
    rng = np.random.default_rng(1)
    values = rng.integers(1, 90, (5, 1, 12, 14)).astype("int16") * (rng.random((5, 1, 12, 14)) > 0.3)
    files = [write_raster(f"a_2020010{k + 1}.tif", values[k].astype("int16"), nodata=0) for k in range(5)]
    quick_encode(files[:3], tmp_path / "x.gndc", fill_gaps=True)
    append(tmp_path / "x.gndc", files[3:], steps=20, interpolate=False, device="cpu", progress=False)
    with gdal_gndc.open(tmp_path / "x.gndc") as cube:
        assert cube.fills_gaps
        observed = np.stack([cube.observed(k) for k in range(5)])
    np.testing.assert_array_equal(observed, values[:, 0] > 0)


def test_pixels_never_observed_are_not_filled(write_raster: Any, tmp_path: Path, quick_encode: Any) -> None:
    files = []
    for k in range(3):
        values = np.full((1, 20, 20), 100 + k, "int16")
        values[0, :5] = -1
        values[0, 5 + k] = -1
        files.append(write_raster(f"a_2020010{k + 1}.tif", values, nodata=-1))
    quick_encode(files, tmp_path / "x.gndc", fill_gaps=True)
    with gdal_gndc.open(tmp_path / "x.gndc") as cube:
        assert np.isnan(cube.read(1)[:5]).all() and np.isfinite(cube.read(1)[5:]).all()
        assert not cube.observed(1)[:5].any() and not cube.observed(1)[6].any() and cube.observed(1)[7:].all()


_PEER = """
import sys, numpy, pygndc
with pygndc.open(sys.argv[1], mode="native_cpu") as cube:
    numpy.save(sys.argv[2], numpy.stack([cube.read(k) for k in range(int(sys.argv[3]))]))
"""


def test_another_decoder_reads_filled_cubes_alike(filled: Path, tmp_path: Path, peer_python: str) -> None:
    with gdal_gndc.open(filled) as cube:
        ours = np.stack([cube.read(k) for k in range(cube.n_timestamps)])
    command = [peer_python, "-c", _PEER, str(filled), str(tmp_path / "peer.npy"), str(len(ours))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=os.environ)
    assert done.returncode == 0, done.stderr
    theirs = np.load(tmp_path / "peer.npy")
    np.testing.assert_array_equal(np.isnan(theirs), np.isnan(ours))
    assert np.nanmax(np.abs(theirs - ours)) < 1e-4


def test_on_the_command_line(tmp_path: Path, quick_options: Any) -> None:
    names, output = [str(path) for path in summer()[:3]], tmp_path / "x.gndc"
    masks = ["--mask", str(FLANDERS / "scl" / "*.tif"), "--mask-values", "3,8,9,10", "--fill-gaps"]
    done = CliRunner().invoke(main, ["encode", *names, "-o", str(output), *quick_options(3, 64, 64, 10), *masks])
    assert done.exit_code == 0, done.stderr
    hidden = sum(int(np.isin(classes(path), (3, 8, 9, 10)).sum()) for path in summer()[:3])
    assert json.loads(done.stdout)["metrics"]["n_valid"] == (3 * 64 * 64 - hidden) * 10
    with gdal_gndc.open(output) as cube:
        assert cube.fills_gaps
    done = CliRunner().invoke(main, ["encode", *names, "--mask", "x", "--mask-bits", "1.5", "--dry-run"])
    assert done.exit_code == 2 and "whole numbers" in done.stderr


@pytest.mark.parametrize("options", [{}, {"align": True}, {"bounds": "union"}])
def test_a_nodata_of_zero_is_a_code_of_a_quality_layer(write_raster: Any, options: dict[str, Any]) -> None:
    data = write_raster("a_20200101.tif", np.arange(1, 5, dtype="int16").reshape(1, 1, 4))
    bits = np.array([[[0, 1 << 10, 512, 0]]], "uint16")
    quality = write_raster("q_20200101.tif", bits, nodata=0)
    source = open_source(data, mask=quality, mask_preset="qa60", **options)
    np.testing.assert_array_equal(source.read().ravel(), np.array([1, np.nan, 3, 4], np.float32))
    fill = write_raster("f_20200101.tif", np.array([[[0, 9, 255, 4]]], "uint8"), nodata=255)
    source = open_source(data, mask=fill, mask_values=[9], **options)
    np.testing.assert_array_equal(source.read().ravel(), np.array([1, np.nan, np.nan, 4], np.float32))


def test_of_several_quality_layers_one_with_a_code_counts_before_a_nodata_of_zero(write_raster: Any) -> None:
    data = write_raster("a_20200101.tif", np.arange(1, 5, dtype="int16").reshape(1, 1, 4))
    one = write_raster("1_20200101.tif", np.array([[[0, 4, 0]]], "uint8"), nodata=0)
    other = write_raster("2_20200101.tif", np.array([[[8, 8, 0]]], "uint8"), nodata=0)
    source = open_source(data, mask=[one, other], mask_values=[8], align=True)
    # the fourth pixel is outside of both
    np.testing.assert_array_equal(source.read().ravel(), np.array([np.nan, 2, 3, np.nan], np.float32))
