"""Cubes for measuring: random weights in a chosen configuration, written as real containers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from gdal_gndc.field.layout import Layout
from gdal_gndc.format.chunk import Chunk
from gdal_gndc.format.config import ModelConfig
from gdal_gndc.format.manifest import ChunkEntry, Manifest
from gdal_gndc.format.mask import Mask
from gdal_gndc.format.meta import Band, Meta
from gdal_gndc.format.residual import ResidualFrame, ResidualInfo, pack_residuals
from gdal_gndc.format.weights import Tensor, pack_weights
from gdal_gndc.format.writer import ContainerWriter

# the configuration that published cubes of this kind have
DEFAULT = ModelConfig(
    n_bands=7, xy_hash_size=19, xy_base_resolution=64, xy_n_levels=10, xy_per_level_scale=1.41,
    xy_features_per_level=4, t_hash_size=18, t_base_resolution=64, t_n_levels=10, t_per_level_scale=1.30,
    t_features_per_level=4, spatial_scale=0.1, decoder_hidden=64, n_hidden_layers=3,
)  # fmt: skip


def write_cube(
    path: Path,
    *,
    size: int = 2400,
    frames: int = 46,
    config: ModelConfig = DEFAULT,
    grid: int = 1,
    masked: bool = False,
    corrected: Sequence[int] = (),
    seed: int = 0,
) -> Path:
    """Write a cube of ``frames`` x ``size`` x ``size`` in ``grid`` x ``grid`` chunks of random weights.

    ``corrected`` frames have residuals at one value in a thousand.
    """
    rng = np.random.default_rng(seed)
    layout = Layout.of(config)
    start = datetime(2020, 1, 1, 10, 30, tzinfo=UTC)
    times = tuple(start + timedelta(days=8 * i) for i in range(frames))
    edges = [round(i * size / grid) for i in range(grid + 1)]
    entries, blobs = [], []
    for row in range(grid):
        for col in range(grid):
            tensors = [
                Tensor.from_array(rng.integers(-127, 128, count).astype(np.int8), scale=170.0)
                for count in layout.counts[:-1]
            ]
            decoder = rng.normal(0, 1.3 / np.sqrt(config.decoder_hidden), layout.counts[-1])
            tensors.append(Tensor.from_array(decoder.astype(np.float16)))
            weights, quantization = pack_weights(tensors, "int8_per_tensor_f16dec", level=1)
            bounds = (edges[row], edges[row + 1]), (edges[col], edges[col + 1])
            mask = b""
            if masked:
                shape = (frames, *(b - a for a, b in bounds))
                mask = Mask.pack(rng.random(shape) < 0.02)
            residuals: dict[str, Any] = {}
            if corrected:
                shape4 = (frames, *(b - a for a, b in bounds), config.n_bands)
                size3 = shape4[1] * shape4[2] * shape4[3]
                info = ResidualInfo(vals_codec="zstd")
                found: list[ResidualFrame | None] = [None] * frames
                for k in corrected:
                    places = np.unique(rng.integers(0, size3, size3 // 1000))
                    values = rng.integers(-99, 100, places.size).astype(np.int16)
                    found[k] = ResidualFrame(np.diff(places, prepend=0).astype(np.int32), values, 0.001)
                packed = pack_residuals(found, shape4, info, 1)
                residuals = {"has_residuals": True, "residual_info": info, "residual_bytes": packed}
            chunk = Chunk(
                **residuals,
                config=config,
                quantization=quantization,
                weights=weights,
                data_range=((0.0, 1.0),) * config.n_bands,
                train_start=times[0],
                train_end=times[-1],
                train_frames=frames,
                mask_bytes=mask,
            )
            name = f"chunks/t0000_y{row:04d}_x{col:04d}.gndcc"
            blobs.append((name, chunk.to_bytes()))
            entries.append(ChunkEntry((0, row, col), (0, frames), *bounds, name, len(blobs[-1][1])))
    meta = Meta(
        shape=(frames, size, size, config.n_bands),
        bands=tuple(Band(f"b{i + 1}") for i in range(config.n_bands)),
        crs="EPSG:32633",
        transform=(10.0, 0.0, 400_000.0, 0.0, -10.0, 5_300_000.0),
        times=times,
        global_start=times[0],
        global_end=times[-1],
    )
    with ContainerWriter(path, meta, Manifest(tuple(entries))) as writer:
        for name, blob in blobs:
            writer.add_chunk(name, blob)
    return path
