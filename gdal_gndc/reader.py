"""One chunk of a cube by itself: its network, its normalised time, its stored extent."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gdal_gndc.chunk_model import ChunkModel
from gdal_gndc.dataset import GNDCDataset
from gdal_gndc.dataset_points import Bands
from gdal_gndc.derivatives import GradientMode, check_mode, gradient_of, to_crs_units
from gdal_gndc.errors import CoordinateError, GNDCError
from gdal_gndc.field.backend import BackendName, DeviceName, Precision
from gdal_gndc.field.core import lib
from gdal_gndc.targets import FAST, FLOAT32, grid_target, tangents_of
from gdal_gndc.times import format_time, to_seconds
from gdal_gndc.window import WindowLike, sample_positions, window_of

Floats = NDArray[np.float32]


class GNDCReader:
    """A low-level reader of one chunk.

    Rows, columns and frames are those of the chunk's stored extent, halo included, and values are its own, not blended
    with its neighbours'. `GNDCDataset` reads whole cubes.

    Parameters
    ----------
    backend, device, precision
        As in `gdal_gndc.open`.

    Examples
    --------
    >>> reader = GNDCReader().load("cube.gndc")
    >>> frame = reader.reconstruct_single_frame(0)
    >>> reader.reset()
    """

    def __init__(
        self, backend: BackendName = "auto", device: DeviceName = "auto", precision: Precision = "float32"
    ) -> None:
        self._options: dict[str, Any] = {"backend": backend, "device": device, "precision": precision}
        self._dataset: GNDCDataset | None = None
        self._index = 0

    def load(
        self, path: str | os.PathLike[str], chunk: int = 0, *, storage_options: dict[str, Any] | None = None
    ) -> Self:
        """Open a file and load a chunk, by its place in the manifest; what was loaded before is closed.

        Returns
        -------
        GNDCReader
            This reader.

        Raises
        ------
        CoordinateError
            If there is no such chunk.
        FileNotFoundError, FileFormatError, DeviceError
            As `gdal_gndc.open`.
        """
        self.reset()
        dataset = GNDCDataset(path, storage_options=storage_options, **self._options)
        count = dataset.cube.n_chunks
        if not 0 <= chunk < count:
            dataset.close()
            raise CoordinateError(f"{dataset.name}: no chunk {chunk}, expected 0 to {count - 1}")
        try:
            dataset.cube.chunk(chunk)
        except BaseException:
            dataset.close()
            raise
        self._dataset, self._index = dataset, chunk
        return self

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(T, H, W, C) of the chunk's stored extent."""
        t0, t1, y0, y1, x0, x1 = self._model.stored
        return t1 - t0, y1 - y0, x1 - x0, self._open.n_bands

    @property
    def dataset_meta(self) -> dict[str, Any]:
        """What the chunk is.

        ``shape`` (T, H, W, C); ``bounds`` and ``stored``, each (t0, t1, y0, y1, x0, x1) in the cube, without and with
        its halo; ``t_norms``, the normalised time of each frame, (T,) float32; ``data_range``, (C, 2) float32, of the
        values (of their log1p if ``use_log``) that the network knows as 0 to 1; ``timestamps``, ISO 8601 text;
        ``band_names``; ``crs``, WKT or an authority's code, or None; ``transform``, (a, b, c, d, e, f) of the stored
        extent, or None; ``model_config``, a dict.
        """
        dataset, model = self._open, self._model
        t0, t1 = model.stored[:2]
        transform = self._transform
        return {
            "shape": self.shape,
            "bounds": model.bounds,
            "stored": model.stored,
            "t_norms": np.array([self._t_norm(i) for i in range(t1 - t0)], np.float32),
            "data_range": model.data_range.copy(),
            "use_log": bool(model.struct.use_log),
            "timestamps": [format_time(t) for t in dataset.timestamps[t0:t1]],
            "band_names": dataset.band_names,
            "crs": dataset.meta.get("crs"),
            "transform": None if transform is None else tuple(transform)[:6],
            "model_config": model.field.layout.config.to_json(),
        }

    def reconstruct_single_frame(self, t_idx: int, bands: Bands = None) -> Floats:
        """Evaluate one observed frame of the chunk: (H, W, C), with its mask and residuals."""
        return self.reconstruct_window(t_idx, None, bands)

    def reconstruct_window(self, t_idx: int, window: WindowLike | None = None, bands: Bands = None) -> Floats:
        """Evaluate a window (col_off, row_off, width, height) of one observed frame: (h, w, C).

        Raises
        ------
        CoordinateError
            If frame, window or band are not in the chunk.
        """
        frame = self._frame(t_idx)
        return self._grid(self._t_norm(frame), frame, window, bands)

    def reconstruct_at(self, t_norm: float, window: WindowLike | None = None, bands: Bands = None) -> Floats:
        """Evaluate a normalised time in [0, 1], with mask and residuals of the frame nearest to it.

        Raises
        ------
        CoordinateError
            If the time is not in [0, 1]; else as `reconstruct_window`.
        """
        return self._grid(_checked(t_norm), self._nearest(t_norm), window, bands)

    def reconstruct_pixel_series(self, row: int, col: int, bands: Bands = None) -> Floats:
        """Evaluate one pixel at every frame of the chunk: (T, C).

        Raises
        ------
        CoordinateError
            If the pixel is not in the chunk.
        """
        n, height, width, _ = self.shape
        if not (0 <= row < height and 0 <= col < width):
            raise CoordinateError(f"pixel ({row}, {col}) is outside the chunk of {height} rows and {width} columns")
        frames = [self.reconstruct_window(i, (col, row, 1, 1), bands)[0, 0] for i in range(n)]
        return np.stack(frames)

    def compute_spatial_derivatives(
        self, target_t_norm: float, mode: GradientMode = "spatial", bands: Bands = None
    ) -> Floats | tuple[Floats, Floats]:
        """Return the exact gradient at a normalised time; modes, units and result are those of `GNDCDataset.gradient`.

        Raises
        ------
        CoordinateError
            For another mode, or a time that is not in [0, 1].
        FileFormatError
            If the model decodes blocks of pixels, within which it has no derivative.
        """
        check_mode(mode)
        dataset, model = self._open, self._model
        rows, cols = self._positions(None)
        indices = dataset.band_list(bands)
        r, c = np.repeat(rows, cols.size), np.tile(cols, rows.size)
        frame = self._nearest(target_t_norm)
        target = tangents_of(dataset.cube.backend, r, c, indices, "xy", blends=False, fill=np.nan, n_threads=0)
        target.add(model, _checked(target_t_norm), 0.0, frame, 1.0, 0.0)
        found = target.end()[1:].reshape(2, rows.size, cols.size, len(indices))
        dx, dy = to_crs_units(dataset.transform, *found)
        if mode == "spatial":
            return dx, dy
        return {"dx": dx, "dy": dy}[mode] if mode in ("dx", "dy") else gradient_of(dx, dy, mode)

    def reconstruct_and_save_all(self, out_dir: str | os.PathLike[str]) -> list[Path]:
        """Write every frame of the chunk as a float32 GeoTIFF ``frame_0000.tif`` ... and return their paths."""
        import rasterio

        from gdal_gndc.atomic import replacing

        folder = Path(out_dir)
        folder.mkdir(parents=True, exist_ok=True)
        n, height, width, count = self.shape
        profile = {
            "driver": "GTiff", "dtype": "float32", "height": height, "width": width, "count": count,
            "crs": self._open.crs, "transform": self._transform, "nodata": float("nan"),
            "compress": "deflate", "predictor": 3, "bigtiff": "if_safer",
        }  # fmt: skip
        files = []
        times = self.dataset_meta["timestamps"]
        for i in range(n):
            path = folder / f"frame_{i:04d}.tif"
            with replacing(path) as beside, rasterio.open(beside, "w", **profile) as target:
                target.write(self.reconstruct_single_frame(i).transpose(2, 0, 1))
                target.descriptions = tuple(self._open.band_names)
                if times:
                    target.update_tags(time=times[i])
            files.append(path)
        return files

    def reset(self) -> None:
        """Close the file and free the memory; `load` may follow."""
        if self._dataset is not None:
            self._dataset.close()
            self._dataset = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.reset()

    @property
    def _open(self) -> GNDCDataset:
        if self._dataset is None:
            raise GNDCError("no file is loaded: call load first")
        return self._dataset

    @property
    def _model(self) -> ChunkModel:
        return self._open.cube.chunk(self._index)

    @property
    def _transform(self) -> Any:
        from affine import Affine

        from gdal_gndc.window import apply

        whole = self._open.transform
        if whole is None:
            return None
        a, b, _, d, e, _ = tuple(whole)[:6]
        c, f = apply(whole, self._model.stored[4], self._model.stored[2])
        return Affine(a, b, c, d, e, f)

    def _frame(self, index: int) -> int:
        n = self.shape[0]
        if not -n <= index < n:
            raise CoordinateError(f"frame {index} of a chunk of {n} frames, expected 0 to {n - 1}")
        return index % n

    def _t_norm(self, frame: int) -> float:
        times = self._open.timestamps
        return self._model.normalised(to_seconds(times[self._model.stored[0] + frame])) if times else 0.0

    def _nearest(self, t_norm: float) -> int:
        return int(np.argmin(np.abs(self.dataset_meta["t_norms"] - np.float32(t_norm))))

    def _positions(self, window: WindowLike | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Pixel coordinates in the cube of a window of the chunk."""
        _, height, width, _ = self.shape
        rows, cols = sample_positions(window_of(window, height, width), None)
        return rows + self._model.stored[2], cols + self._model.stored[4]

    def _grid(self, t_norm: float, frame: int, window: WindowLike | None, bands: Bands) -> Floats:
        dataset = self._open
        rows, cols = self._positions(window)
        indices = dataset.band_list(bands)
        out = np.empty((rows.size, cols.size, len(indices)), np.float32)
        precision = FAST if dataset.cube.backend.fast else FLOAT32
        grid, _keep = grid_target(rows, cols, indices, out, blends=False, precision=precision)
        lib.gndc_grid_begin(grid, np.nan)
        self._model.add_to_grid(grid, dataset.cube.backend, t_norm, frame, 1.0, 0)
        lib.gndc_grid_end(grid, np.nan)
        return out


def _checked(t_norm: float) -> float:
    if not 0.0 <= t_norm <= 1.0:
        raise CoordinateError(f"normalised time {t_norm}, expected 0 to 1")
    return float(t_norm)
