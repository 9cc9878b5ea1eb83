from __future__ import annotations

import json
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

import gdal_gndc
from gdal_gndc.encode import encoder
from gdal_gndc.encode.inputs import open_rasters
from gdal_gndc.encode.train import NativeTrainer
from gdal_gndc.errors import DeviceError, EncodeError
from gdal_gndc.format.chunk import Chunk
from gdal_gndc.times import parse_time

QUICK: dict[str, Any] = {"preset": "fast", "steps": 300, "progress": False, "device": "cpu"}


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, list[Path]]:
    """A small cube of twelve real dates, its report and its sources."""
    files = sorted((Path(__file__).parents[1] / "data" / "modis_mt_vi").glob("*.tif"))[:12]
    path = tmp_path_factory.mktemp("encode") / "modis.gndc"
    return path, gdal_gndc.encode(files, path, **QUICK), files


def test_quality_is_that_of_the_file(real: tuple[Path, Any, list[Path]]) -> None:
    path, report, files = real
    stack = open_rasters(files)
    source = stack.read()
    with gdal_gndc.open(path, device="cpu") as cube:
        decoded = np.stack([cube.read(k) for k in range(12)])
    valid = np.isfinite(source)
    error = (decoded - source)[valid].astype(float)
    rmse = float(np.sqrt(np.mean(error**2)))
    spread = np.subtract(*np.percentile(source[valid], (99.9, 0.1)))
    psnr = 20 * np.log10(spread / rmse)
    assert psnr > 23.0
    assert report.psnr == pytest.approx(psnr, abs=2e-3)
    assert report.metrics["rmse"] == pytest.approx(rmse, rel=1e-5)
    assert report.metrics["max_error"] == pytest.approx(np.abs(error).max(), rel=1e-4)
    assert report.bytes == path.stat().st_size
    assert report.bits_per_sample == pytest.approx(8 * report.bytes / valid.sum())
    assert report.ratio == pytest.approx(source.size * 2 / report.bytes)


def test_sidecars_tell_the_truth(real: tuple[Path, Any, list[Path]]) -> None:
    path, report, _ = real
    with zipfile.ZipFile(path) as archive:
        metrics = json.loads(archive.read("metrics.json"))
        provenance = json.loads(archive.read("provenance.json"))
        assert archive.namelist()[:2] == ["meta.json", "manifest.json"]
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
    assert metrics["rmse"] == pytest.approx(report.metrics["rmse"], rel=1e-3)
    assert provenance["format"] == "gndc-provenance" and provenance["training"]["steps"] == 300
    with gdal_gndc.open(path) as cube:
        told = cube.metrics()
        assert told["bytes"] == path.stat().st_size and told["n_valid"] == report.metrics["n_valid"]
        assert told["bits_per_sample"] == pytest.approx(report.bits_per_sample, rel=1e-4)
        assert [band["name"] for band in told["bands"]] == cube.band_names
        for stored, measured in zip([told, *told["bands"]], [report.metrics, *report.metrics["bands"]], strict=True):
            figures = {key: value for key, value in measured.items() if isinstance(value, float | int)}
            assert {key: stored[key] for key in figures} == pytest.approx(
                figures, rel=1e-3, abs=1e-3 * measured.get("stddev", 0.0)
            )


def test_the_cube_is_that_of_the_stack(real: tuple[Path, Any, list[Path]]) -> None:
    path, _, files = real
    stack = open_rasters(files)
    with gdal_gndc.open(path, device="cpu") as cube:
        assert cube.shape == stack.shape
        assert list(cube.timestamps) == list(stack.times)
        assert cube.timestamps[0] == parse_time("2007-09-14")
        assert cube.band_names == [band.name for band in stack.bands]
        assert tuple(cube.transform)[:6] == stack.transform
        with rasterio.open(files[0]) as source:
            assert cube.crs == source.crs
        assert cube.meta["bands"][0]["scale_factor"] == pytest.approx(1e-4)
        assert cube.meta["dtype"] == "int16"


def test_report_as_text_and_json(real: tuple[Path, Any, list[Path]]) -> None:
    _, report, _ = real
    assert json.loads(json.dumps(report.to_json(), allow_nan=False))["bytes"] == report.bytes
    lines = report.table().splitlines()
    assert [line.split()[0] for line in lines[1:8]] == ["blue", "red", "nir", "mir", "evi", "ndvi", "all"]


def test_the_same_seed_gives_the_same_bytes(real: tuple[Path, Any, list[Path]], tmp_path: Path) -> None:
    path, _, files = real
    again, other = tmp_path / "again.gndc", tmp_path / "other.gndc"
    gdal_gndc.encode(files, again, threads=1, **QUICK)
    gdal_gndc.encode(files, other, seed=1, **QUICK)
    assert again.read_bytes() == path.read_bytes()
    assert other.read_bytes() != path.read_bytes()


def test_a_decoder_in_float16(real: tuple[Path, Any, list[Path]], tmp_path: Path) -> None:
    _, report, files = real
    half = gdal_gndc.encode(files, tmp_path / "half.gndc", decoder="float16", **QUICK)
    assert half.psnr > report.psnr - 0.5
    assert half.bytes > report.bytes
    assert half.plan.quantisation == "int8_per_tensor_f16dec"


def _cloudy(write_raster: Any, *, moving: bool) -> list[Path]:
    rng = np.random.default_rng(0)
    base = rng.integers(0, 1000, (2, 8, 10)).astype("int16")
    paths = []
    for k in range(4):
        values = base + 100 * np.int16(k)
        column = k if moving else 0
        values[:, 2:5, column : column + 3] = -1
        values[0, 7, 9] = -1  # a gap of one band only
        paths.append(write_raster(f"x_2020010{k + 1}.tif", values, nodata=-1))
    return paths


@pytest.mark.parametrize("moving", [False, True])
def test_masks(write_raster: Any, tmp_path: Path, moving: bool) -> None:
    files = _cloudy(write_raster, moving=moving)
    output = tmp_path / "out.gndc"
    encoder.encode(files, output, **QUICK)
    source = open_rasters(files).read()
    with gdal_gndc.open(output, device="cpu") as cube:
        assert cube.has_mask
        decoded = np.stack([cube.read(k) for k in range(4)])
    missing = ~np.isfinite(source).any(axis=-1)
    np.testing.assert_array_equal(np.isnan(decoded), np.broadcast_to(missing[..., None], decoded.shape))
    with zipfile.ZipFile(output) as archive:
        chunk = Chunk.from_bytes(archive.read("chunks/t0000_y0000_x0000.gndcc"), n_bands=2)
    assert chunk.mask(frames=4, height=8, width=10).kind == ("dynamic" if moving else "static")


def test_one_date_needs_no_temporal_grid(write_raster: Any, tmp_path: Path) -> None:
    output = tmp_path / "one.gndc"
    report = encoder.encode(write_raster("a_20200101.tif"), output, rate_weight=0.0, **QUICK)
    assert report.plan.config.disable_temporal
    assert report.metrics["r2"] > 0.95
    with gdal_gndc.open(output) as cube:
        assert cube.shape == (1, 8, 10, 1) and not cube.has_mask


def test_constant_values_come_back(write_raster: Any, tmp_path: Path) -> None:
    files = [write_raster(f"a_2020010{k}.tif", np.full((1, 8, 8), 7, "int16")) for k in (1, 2)]
    output = tmp_path / "constant.gndc"
    encoder.encode(files, output, **QUICK)
    with gdal_gndc.open(output) as cube:
        np.testing.assert_allclose(cube.read(0), 7.0, atol=0.05)


def test_nothing_but_nodata(write_raster: Any, tmp_path: Path) -> None:
    path = write_raster("a_20200101.tif", np.full((1, 8, 8), -1, "int16"), nodata=-1)
    output = tmp_path / "none.gndc"
    with pytest.raises(EncodeError, match="everything is nodata"):
        encoder.encode(path, output, **QUICK)
    assert not output.exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_an_interruption_leaves_nothing(
    write_raster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    source = write_raster("a_20200101.tif")
    folder = tmp_path / "out"
    folder.mkdir()
    original = NativeTrainer.run

    def interrupted(self: NativeTrainer, n_steps: int) -> Any:
        if original(self, n_steps).step > 50:
            raise error

    monkeypatch.setattr(NativeTrainer, "run", lambda self, n: interrupted(self, n) or _Step())
    with pytest.raises(error):
        encoder.encode(source, folder / "x.gndc", **QUICK)
    assert list(folder.iterdir()) == []


class _Step:
    step, loss, bits, samples = 25, 1.0, 0.0, 0


def test_a_failure_after_writing_keeps_the_old_file(
    write_raster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_raster("a_20200101.tif")
    output = tmp_path / "x.gndc"
    output.write_bytes(b"before")

    def fail(*args: Any) -> Any:
        raise EncodeError("does not decode")

    monkeypatch.setattr(encoder, "measure", fail)
    with pytest.raises(EncodeError, match="does not decode"):
        encoder.encode(source, output, overwrite=True, **QUICK)
    assert output.read_bytes() == b"before"
    # the chunk stays for the next try, but nothing of the file
    assert sorted(p.name for p in tmp_path.iterdir()) == [".x.gndc.work", "a_20200101.tif", "x.gndc"]
    assert [p.name for p in (tmp_path / ".x.gndc.work").glob("*/*")] == ["t0000_y0000_x0000.gndcc"]


def test_targets_and_options_that_are_refused(write_raster: Any, tmp_path: Path) -> None:
    source = write_raster("a_20200101.tif")
    (tmp_path / "there.gndc").write_bytes(b"")
    for target, said in (
        (tmp_path / "there.gndc", "exists"),
        (tmp_path / "no" / "x.gndc", "does not exist"),
        (tmp_path, "is a directory"),
    ):
        with pytest.raises(EncodeError, match=said):
            encoder.encode(source, target, **QUICK)
    with pytest.raises(EncodeError, match="0 threads"):
        encoder.encode(source, tmp_path / "x.gndc", threads=0, progress=False)
    with pytest.raises(DeviceError, match="expected auto, cpu or cuda"):
        encoder.encode(source, tmp_path / "x.gndc", device="tpu", progress=False)  # type: ignore[arg-type]


_PEER = """
import sys, numpy, pygndc
cube = pygndc.open(sys.argv[1], mode="native_cpu")
numpy.save(sys.argv[2], numpy.stack([cube.read(time=k) for k in range(int(sys.argv[3]))]))
"""


@pytest.mark.parametrize("decoder", ["int8", "float16"])
def test_another_decoder_reads_the_same_values(
    real: tuple[Path, Any, list[Path]], write_raster: Any, tmp_path: Path, decoder: Any, peer_python: str
) -> None:
    paths = [real[0], tmp_path / "masked.gndc"]
    encoder.encode(_cloudy(write_raster, moving=True), paths[1], decoder=decoder, rate_weight=0.0, **QUICK)
    for path in paths:
        with gdal_gndc.open(path, device="cpu") as cube:
            ours = np.stack([cube.read(k) for k in range(cube.n_timestamps)])
        saved = tmp_path / "peer.npy"
        command = [peer_python, "-c", _PEER, str(path), str(saved), str(len(ours))]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        theirs = np.load(saved)
        np.testing.assert_array_equal(np.isnan(theirs), np.isnan(ours))
        span = np.nanmax(ours, axis=(0, 1, 2)) - np.nanmin(ours, axis=(0, 1, 2))
        assert np.nanmax(np.abs(theirs - ours) / span) < 1e-4
