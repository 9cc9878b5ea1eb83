"""The conformance containers: valid ones parse, invalid ones are refused by name and in little memory."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gdal_gndc.errors import FileFormatError
from gdal_gndc.format.config import ModelConfig
from gdal_gndc.format.container import Container, identify

CASES = Path(__file__).resolve().parents[1] / "cases"
INDEX = json.loads((CASES / "cases.json").read_text())
VALID = INDEX["cases"]
INVALID = [case["file"] for case in INDEX["invalid"]]

# What each refusal must say was found.
FOUND = {
    "bad_meta_json": "meta.json: not valid JSON",
    "bad_manifest_json": "manifest.json: not valid JSON",
    "bad_version2": "version '2.0'",
    "bad_format": "format is 'other'",
    "bad_bounds_outside": "bounds.x [0, 200] is outside the cube, expected at most 83",
    "bad_bounds_reversed": "bounds.y [40, 10] is empty or reversed",
    "bad_bounds_negative": "bounds.time [-3, 7] is negative",
    "bad_traversal": "etc/passwd: listed in manifest.json, but the container has no such entry",
    "bad_entry_absent": "chunks/t0000_y0009_x0000.gndcc: listed in manifest.json, but the container has no",
    "bad_shape_huge": "shape is [7, 2147483648, 2147483648, 3], expected sizes from 1 to 2147483647",
    "bad_shape_negative": "shape is [7, -61, 83, 3]",
    "bad_bands_count": "bands describes 1 bands, shape has 3",
    "bad_times_count": "time.values has 5 entries for 7 frames",
    "bad_weights_short": "declares 1792 bytes, expected 2304",
    "bad_weights_config": "sizes is (640, 640), but model_config needs (",
    "bad_sizes_split": "sizes is (632, 648), but model_config needs (640, 640)",
    "bad_scale_zero": "scales holds 0.0",
    "bad_config_huge": "but model_config needs (",
    "bad_levels_huge": "but model_config needs (",
    "bad_config_negative": "decoder_hidden is -64",
    "bad_range_count": "train_data_range has 1 entries for 3 bands",
    "bad_zstd_declared_1tib": "declares 1099511627776 bytes, expected 2304",
    "bad_zstd_bomb_1gib": "does not decompress to its expected size",
    "bad_chunk_len_huge": "chunk_meta_json declares 4294967295 bytes",
    "bad_mask_len_huge": "mask declares 4294967280 bytes",
    "bad_trailing_bytes": "7 bytes after the last section",
    "bad_mask_frame_short": "declares 3 bytes, expected 633",
    "bad_mask_shape_huge": "shape (1, 1048576, 1048576), expected (1, 61, 83)",
    "bad_residual_position": "position 45572 is outside a frame of 15189 values",
    "bad_residual_offset": "offset 1152921504606846976 is outside",
    "bad_norm_mode_absent": "norm_mode is absent, which means 2, but local_planar_params is absent",
    "bad_temporal_mode": "temporal_mode 'latent' is not supported",
    "bad_deformation": "deformation networks are not supported",
    "bad_truncated": "not a ZIP archive",
    "bad_zip_size_field": "declares 4294967280 bytes, the file has 5096",
    "bad_zip_offset": "byte 2147483632 of a file of 5096 bytes",
    "bad_empty_zip": "no entry meta.json",
    "bad_zero_bytes": "the file is empty",
}


def grid_count(dim: int, hash_size: int, base: int, levels: int, per_level: float, features: int) -> int:
    """Weights of a grid, independent of the core; stops counting above what these small files hold."""
    f32 = np.float32
    slope = f32(math.log2(float(f32(per_level))))
    total = 0
    for level in range(levels):
        power = float(f32(level) * slope)
        side = math.ceil(float(f32(f32(2.0**power) * f32(base)))) if power < 60 else 2**60
        entries = min(2 ** min(hash_size, 64), side**dim)
        total += (entries + 7) // 8 * 8 * features
        if total > 10**6:
            break
    return total


def expected_counts(c: ModelConfig) -> tuple[int, ...]:
    def pad(n: int) -> int:
        return (n + 15) // 16 * 16

    counts = [
        grid_count(
            2,
            c.xy_hash_size,
            c.xy_base_resolution,
            c.xy_n_levels,
            c.xy_per_level_scale,
            c.xy_features_per_level,
        )
    ]
    inputs = c.xy_n_levels * c.xy_features_per_level
    if not c.disable_temporal:
        counts.append(
            grid_count(
                3,
                c.t_hash_size,
                c.t_base_resolution,
                c.t_n_levels,
                c.t_per_level_scale,
                c.t_features_per_level,
            )
        )
        inputs += c.t_n_levels * c.t_features_per_level
    outputs = c.n_bands * c.block_size[0] * c.block_size[1]
    hidden = c.decoder_hidden
    counts.append(hidden * (pad(inputs) + (c.n_hidden_layers - 1) * hidden + pad(outputs)))
    return tuple(counts)


def read_everything(path: Path) -> list[dict[str, Any]]:
    """Read and check all there is in a container, chunk by chunk."""
    chunks = []
    with Container.open(path) as container:
        shape = container.meta.shape
        for entry in container.manifest.chunks:
            chunk = container.read_chunk(entry)
            stored = container.manifest.stored_extent(entry, shape)
            t, h, w = (end - start for start, end in stored)
            mask = chunk.mask(frames=t, height=h, width=w)
            residuals = chunk.residuals(shape=(t, h, w, shape[3]))
            chunks.append(
                {
                    "chunk": chunk,
                    "tensors": chunk.tensors(expected_counts(chunk.config)),
                    "mask": mask and [mask.frame(k) for k in range(t)],
                    "kind": mask and mask.kind,
                    "residuals": residuals and [residuals.frame(k) for k in range(t)],
                }
            )
    return chunks


@pytest.mark.parametrize("case", VALID, ids=lambda case: case["name"])
def test_valid(case: dict[str, Any]) -> None:
    path = CASES / case["file"]
    assert identify(path)
    with Container.open(path) as container:
        assert container.meta.shape == tuple(case["shape"])
        assert len(container.meta.bands) == case["shape"][3]
        assert len(container.meta.times) == case["shape"][0]
        assert container.meta.crs == "EPSG:32633"
        assert container.meta.transform == (10.0, 0.0, 399960.0, 0.0, -10.0, 5300040.0)
    for found in read_everything(path):
        chunk = found["chunk"]
        assert sum(t.count for t in found["tensors"]) == sum(expected_counts(chunk.config))
        for tensor in found["tensors"]:
            assert tensor.array().size == tensor.count
        for (low, high), span in zip(chunk.data_range, case["band_span"], strict=True):
            wide = math.expm1(high) - math.expm1(low) if "log" in case["name"] else high - low
            assert wide == pytest.approx(span)
        if found["residuals"]:
            counts = [0 if frame is None else frame.deltas.size for frame in found["residuals"]]
            assert sum(counts) == chunk.residual_info.outlier_count


def test_masks_and_residuals_are_where_they_should_be() -> None:
    kinds = {case["name"]: [c["kind"] for c in read_everything(CASES / case["file"])] for case in VALID}
    assert kinds["f16_block33_static"] == ["static"]
    assert kinds["i16dec_log_dynamic"] == ["dynamic"]
    assert kinds["basic_i8dec"] == [None]
    assert kinds["tiles22_ov8_mask_res"] == ["dynamic"] * 4
    (chunk,) = read_everything(CASES / "i8_all_residual_perframe.gndc")
    assert sum(frame is None for frame in chunk["residuals"]) == 1


def test_masks_agree_with_the_decoded_arrays() -> None:
    expected = np.load(CASES / "f16_block33_static.npz")
    (chunk,) = read_everything(CASES / "f16_block33_static.gndc")
    for t in (0, 3, 6):
        bits = np.unpackbits(np.frombuffer(chunk["mask"][t], np.uint8), count=61 * 83).reshape(61, 83)
        assert (np.isnan(expected[f"read_t{t}"]).all(axis=2) == bits.astype(bool)).all()


@pytest.mark.parametrize("name", INVALID)
def test_invalid(name: str) -> None:
    path = CASES / name
    assert name.removesuffix(".gndc") in FOUND
    tracemalloc.start()
    try:
        with pytest.raises(FileFormatError) as caught:
            read_everything(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    text = str(caught.value)
    assert text.startswith(str(path))
    assert caught.value.path == str(path)
    assert FOUND[name.removesuffix(".gndc")] in text
    assert peak < 2 << 20


def test_every_refusal_is_listed() -> None:
    assert {f"{name}.gndc" for name in FOUND} == set(INVALID)


def test_identify_says_no() -> None:
    for name in ("bad_empty_zip", "bad_zero_bytes", "bad_truncated"):
        assert not identify(CASES / f"{name}.gndc")
    assert not identify(CASES / "cases.json")
    assert not identify(CASES / "no_such_file.gndc")


_LIMITED = """
import resource, sys
sys.path[:0] = {paths!r}
import test_cases
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + (200 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for name in test_cases.INVALID:
    try:
        test_cases.read_everything(test_cases.CASES / name)
    except test_cases.FileFormatError as error:
        print(name, error)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_invalid_files_stay_within_a_small_address_space() -> None:
    here = Path(__file__).resolve()
    script = _LIMITED.format(paths=[str(here.parent), str(here.parents[2])])
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env={**os.environ}, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(INVALID)
