"""The single-file layout from before the container, written here from its description."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest

import gdal_gndc
from gdal_gndc.errors import FileFormatError
from gdal_gndc.field.layout import Layout
from gdal_gndc.format.chunk import Chunk
from gdal_gndc.format.compression import lzma_compress, zstd_compress
from gdal_gndc.format.config import ModelConfig
from gdal_gndc.format.manifest import ChunkEntry, Manifest
from gdal_gndc.format.mask import Mask
from gdal_gndc.format.meta import Band, Meta
from gdal_gndc.format.weights import Tensor, pack_weights
from gdal_gndc.format.writer import ContainerWriter
from gdal_gndc.times import parse_time

SHAPE = (4, 13, 17, 2)
TIMES = ("2020-01-01T00:00:00", "2020-01-11T00:00:00", "2020-02-20T00:00:00", "2020-03-01T00:00:00")
CONFIG = ModelConfig(
    n_bands=2, xy_hash_size=8, xy_base_resolution=6, xy_n_levels=3, xy_per_level_scale=1.6, xy_features_per_level=2,
    t_hash_size=8, t_base_resolution=4, t_n_levels=2, t_per_level_scale=1.5, t_features_per_level=2,
    spatial_scale=0.5, decoder_hidden=16, n_hidden_layers=2,
)  # fmt: skip
RANGE = [[-1.0, 2.0], [0.0, 5.0]]


def u32(value: int) -> bytes:
    return struct.pack("<I", value)


def sized(data: bytes) -> bytes:
    return u32(len(data)) + data


def weights(mode: str):
    rng = np.random.default_rng(3)
    counts = Layout.of(CONFIG).counts
    if mode == "float16":
        tensors = [Tensor.from_array(rng.normal(0, 0.5, n).astype(np.float16)) for n in counts]
    else:
        most = 127 if mode == "int8" else 32767
        tensors = [Tensor.from_array(rng.integers(-most, most, n).astype(mode), scale=1.5 * most) for n in counts]
    return pack_weights(tensors, mode)


def legacy(
    path: Path, version: str | None, mode: str, mask: bytes = b"", residual: tuple | None = None, **about
) -> Path:
    packed, quantization = weights(mode)
    config = {"disable_temporal": False, "block_size": [1, 1], **CONFIG.to_json()}
    if version is not None and version < "0.8":
        del config["block_size"]
    if version is not None and version < "0.7":
        del config["disable_temporal"]
    header = {
        "model_config": config,
        "quantization_info": {k: v for k, v in quantization.to_json().items() if k in ("mode", "scale")},
        "has_residuals": residual is not None,
        "dataset_meta": {
            "shape": list(SHAPE),
            "timestamps": list(TIMES),
            "global_start_date": TIMES[0],
            "global_end_date": TIMES[-1],
            "crs": "EPSG:32633",
            "transform": [10.0, 0.0, 400000.0, 0.0, -10.0, 5300000.0],
            "norm_mode": 3,
            "data_range": RANGE,
            "band_names": ["a", "b"],
            "band_wavelengths": [490.0, None],
            **about,
        },
    }
    if version is not None:
        header["version"] = version
    if residual is not None:
        header["residual_info"] = residual[0]
    parts = [json.dumps(header).encode(), packed, mask] + ([residual[1]] if residual is not None else [])
    path.write_bytes(b"".join(sized(part) for part in parts))
    return path


def expected(path: Path, mode: str, mask: np.ndarray | None = None) -> Path:
    """The same cube as a container."""
    packed, quantization = weights(mode)
    times = tuple(parse_time(t) for t in TIMES)
    chunk = Chunk(
        config=CONFIG, quantization=quantization, weights=packed, data_range=tuple(map(tuple, RANGE)),
        train_start=times[0], train_end=times[-1], mask_bytes=b"" if mask is None else Mask.pack(mask),
    )  # fmt: skip
    blob = chunk.to_bytes()
    t, h, w, _ = SHAPE
    entry = ChunkEntry((0, 0, 0), (0, t), (0, h), (0, w), "chunks/a.gndcc", len(blob))
    meta = Meta(
        shape=SHAPE, bands=(Band("a", center_wavelength=490.0), Band("b")), crs="EPSG:32633",
        transform=(10.0, 0.0, 400000.0, 0.0, -10.0, 5300000.0), times=times, global_start=times[0],
        global_end=times[-1],
    )  # fmt: skip
    with ContainerWriter(path, meta, Manifest((entry,))) as writer:
        writer.add_chunk("chunks/a.gndcc", blob)
    return path


def frames(path: Path) -> np.ndarray:
    with gdal_gndc.open(path) as dataset:
        return np.stack([dataset.read(t) for t in range(4)])


@pytest.mark.parametrize(("version", "mode"), [(None, "int8"), ("0.4", "int16"), ("0.6", "float16"), ("0.8", "int8")])
def test_weights_and_metadata(tmp_path, version, mode):
    old, new = legacy(tmp_path / "old.gndc", version, mode), expected(tmp_path / "new.gndc", mode)
    np.testing.assert_array_equal(frames(old), frames(new))
    with gdal_gndc.open(old) as a, gdal_gndc.open(new) as b:
        for name in ("shape", "crs", "transform", "timestamps", "band_names", "band_wavelengths", "bounds"):
            assert getattr(a, name) == getattr(b, name), name
        np.testing.assert_array_equal(a.read_at_time("2020-01-20"), b.read_at_time("2020-01-20"))
        np.testing.assert_array_equal(a.pixel_series(3, 4), b.pixel_series(3, 4))
        assert a.metrics() is None


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("static", [False, True])
def test_masks(tmp_path, version, static):
    marks = np.random.default_rng(1).random(SHAPE[:3]) < 0.3
    if static:
        marks[:] = marks[0]
    kept = marks[:1] if static else marks
    if version == "0.4":
        bits = b"".join(np.packbits(frame).tobytes() for frame in kept)
        mask = zstd_compress(struct.pack("<B3i", not static, SHAPE[0], *SHAPE[1:3]) + bits)
    else:
        mask = Mask.pack(marks)
    old = legacy(tmp_path / "old.gndc", version, "float16", mask)
    np.testing.assert_array_equal(frames(old), frames(expected(tmp_path / "new.gndc", "float16", marks)))


def outliers(layout: str, values: dict[int, float], scale: float) -> bytes:
    """Values at flat positions of the cube, as a layout has them."""
    positions = np.array(sorted(values))
    steps = np.array([round(values[p] / scale) for p in positions], "<i2")
    size = int(np.prod(SHAPE[1:]))
    if layout == "":
        return u32(positions.size) + positions.astype("<i8").tobytes() + (steps * scale).astype("<f4").tobytes()
    shape = struct.pack("<4i", *SHAPE)
    if layout == "bitmap_v1":
        bits = np.zeros(size * SHAPE[0], bool)
        bits[positions] = True
        return (
            shape
            + sized(zstd_compress(np.packbits(bits).tobytes()))
            + struct.pack("<f", scale)
            + sized(steps.tobytes())
        )
    parts = []
    for t in range(SHAPE[0]):
        mine = (positions >= t * size) & (positions < (t + 1) * size)
        bits = np.zeros(size, bool)
        bits[positions[mine] - t * size] = True
        marked = zstd_compress(np.packbits(bits).tobytes()) if mine.any() else b""
        packed = lzma_compress(steps[mine].tobytes()) if mine.any() else b""
        parts.append(struct.pack("<f", scale) + sized(marked) + u32(int(mine.sum())) + sized(packed))
    ends = np.cumsum([0] + [len(part) for part in parts])
    return shape + u32(len(ends)) + ends.astype("<u8").tobytes() + b"".join(parts)


@pytest.mark.parametrize("dtype", ["int8", "int16", "float16"])
def test_dense_residuals(tmp_path, dtype):
    dense = np.random.default_rng(5).integers(-9, 10, SHAPE).astype(dtype)
    scale = 1.0 if dtype == "float16" else 0.125
    stream = zstd_compress(struct.pack("<2q", 7, 7) + dense.tobytes())
    old = legacy(tmp_path / "old.gndc", "0.5", "float16", residual=({"dtype": dtype, "scale": scale}, stream))
    plain = frames(expected(tmp_path / "new.gndc", "float16"))
    np.testing.assert_array_equal(frames(old), plain + dense.astype(np.float32) * np.float32(scale))


@pytest.mark.parametrize("layout", ["chunked_v1", "bitmap_v1", ""])
@pytest.mark.parametrize("dense", [False, True])
def test_outliers_take_the_place_of_the_dense_value(tmp_path, layout, dense):
    values = {5: 2.5, 6: -1.25, 700: 40.0, int(np.prod(SHAPE)) - 1: 3.75}
    field = np.random.default_rng(5).integers(-9, 10, SHAPE).astype("<i2")
    main = zstd_compress(bytes(16) + field.tobytes()) if dense else b""
    info = {"dtype": "int16", "scale": 0.5, **({"outlier_layout": layout} if layout else {})}
    section = sized(main) + b"\x01" + outliers(layout, values, 0.25)
    old = legacy(tmp_path / "old.gndc", "0.8", "float16", residual=(info, section))
    added = (field * np.float32(0.5) if dense else np.zeros(SHAPE, np.float32)).ravel()
    added[list(values)] = list(values.values())
    plain = frames(expected(tmp_path / "new.gndc", "float16"))
    np.testing.assert_array_equal(frames(old), plain + added.reshape(SHAPE))


def test_times_of_the_file_are_used_as_they_are(tmp_path):
    regular = legacy(tmp_path / "a.gndc", "0.7", "float16", t_norms=[0.0, 1 / 6, 5 / 6, 1.0])
    bent = legacy(tmp_path / "b.gndc", "0.7", "float16", t_norms=[0.0, 5 / 6, 0.9, 1.0])
    plain = frames(expected(tmp_path / "new.gndc", "float16"))
    np.testing.assert_allclose(frames(regular), plain, atol=1e-5)
    np.testing.assert_array_equal(frames(bent)[[0, 3]], plain[[0, 3]])
    with gdal_gndc.open(bent) as dataset, gdal_gndc.open(tmp_path / "new.gndc") as container:
        # the second date lies where the third one of the container does
        np.testing.assert_allclose(dataset.read(1), container.read(2), atol=1e-5)
        np.testing.assert_allclose(dataset.pixel_series(2, 3)[1], container.read(2)[2, 3], atol=1e-5)


def test_one_range_for_all_bands(tmp_path):
    old = legacy(tmp_path / "old.gndc", "0.5", "float16", data_range=[-1.0, 2.0])
    np.testing.assert_array_equal(frames(old)[..., 0], frames(expected(tmp_path / "new.gndc", "float16"))[..., 0])


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda data: data[:-1], "declares|ends"),
        (lambda data: data + b"x", "1 bytes after the last section"),
        (lambda data: u32(2**32 - 1) + data[4:], "declares 4294967295 bytes"),
        (lambda data: data.replace(b'"0.5"', b'"0.9"'), "expected 0.4 to 0.8"),
        (lambda data: data.replace(b'"norm_mode"', b'"norm_mods"'), "norm_mode is absent"),
        (lambda data: data.replace(b'"spatial_dims": 2', b'"spatial_dims": 3'), "spatial_dims 3 is not supported"),
        (lambda data: data.replace(b"[4, 13, 17, 2]", b"[4, 13, 17, 3]"), "bands"),
    ],
)
def test_damaged_files(tmp_path, change, found):
    path = legacy(tmp_path / "old.gndc", "0.5", "float16")
    data = path.read_bytes()
    changed = change(data)
    assert changed != data
    path.write_bytes(changed)
    with pytest.raises(FileFormatError, match=found), gdal_gndc.open(path) as dataset:
        dataset.read(0)
