"""GeoTIFFs and Cloud Optimized GeoTIFFs, written by blocks so that memory stays bounded whatever the size."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

import gdal_gndc
from gdal_gndc.atomic import replacing
from gdal_gndc.errors import GNDCError
from gdal_gndc.packing import Packing

if TYPE_CHECKING:
    from rasterio.crs import CRS
    from rasterio.io import DatasetWriter, MemoryFile

    from gdal_gndc.vrt.grid import Grid

Format = Literal["tif", "cog"]
Compression = Literal["deflate", "zstd", "lzw", "none"]
# (col_off, row_off, width, height) in pixels of the raster
Window = tuple[int, int, int, int]
# the values (height, width, C) of a window
Read = Callable[[Window], NDArray[np.float32]]

_TILE = 256
# a side of an overview is not worth less
_SMALLEST = 128


@dataclass(frozen=True)
class GeoTIFF:
    """What the GeoTIFFs of an export have in common.

    Attributes
    ----------
    names, units
        One a band.
    format
        ``tif``: tiles of 256 pixels where it is larger than one. ``cog``: a Cloud Optimized GeoTIFF.
    compress
        With the predictor of the number type: 3 for float32, 2 for integers.
    overviews
        Averages at 1/2, 1/4, ... of the size; None: only in a COG.
    block_bytes
        Values held at once at most, but never less than a tile.
    """

    grid: Grid
    crs: CRS | None
    names: tuple[str, ...]
    units: tuple[str | None, ...]
    packing: Packing
    format: Format = "tif"
    compress: Compression = "deflate"
    overviews: bool | None = None
    block_bytes: int = 64 << 20

    def __post_init__(self) -> None:
        if self.format not in get_args(Format):
            raise GNDCError(f"format is {self.format!r}; expected 'tif' or 'cog'")
        if self.compress not in get_args(Compression):
            raise GNDCError(f"compress is {self.compress!r}; expected one of {', '.join(get_args(Compression))}")

    def write(self, path: Path, read: Read, tags: Mapping[str, str], time: datetime | None) -> None:
        """Write a file, which appears when it is complete.

        Parameters
        ----------
        read
            Gives the values of a window.
        tags
            Beside those of `tags`.
        time
            Of acquisition: ``TIFFTAG_DATETIME``, and ``ACQUISITIONDATETIME`` of the domain IMAGERY.
        """
        import rasterio
        import rasterio.shutil

        with replacing(path) as beside:
            if self.format == "tif":
                with rasterio.open(beside, "w", **self.profile) as target:
                    self._fill(target, read, tags, time)
                    if self.overviews:
                        self._add_overviews(target)
                return
            plain = beside.with_suffix(".plain.tif")
            # compressed once only, by the copy
            profile = {key: value for key, value in self.profile.items() if key not in ("compress", "predictor")}
            try:
                with rasterio.open(plain, "w", **profile) as target:
                    self._fill(target, read, tags, time)
                options = {
                    "COMPRESS": self.compress.upper(), "PREDICTOR": "YES", "BIGTIFF": "IF_SAFER",
                    "OVERVIEWS": "NONE" if self.overviews is False else "AUTO", "OVERVIEW_RESAMPLING": "AVERAGE",
                }  # fmt: skip
                if self.compress == "none":
                    del options["PREDICTOR"]
                # an older GDAL copies the default domain only
                if tuple(int(n) for n in rasterio.__gdal_version__.split(".")[:2]) >= (3, 8):
                    options["COPY_SRC_MDD"] = "YES"
                rasterio.shutil.copy(plain, beside, driver="COG", **options)
            finally:
                plain.unlink(missing_ok=True)

    def in_memory(self, read: Read, tags: Mapping[str, str], time: datetime | None) -> MemoryFile:
        """Return the same as a ``rasterio.io.MemoryFile``, which the caller closes."""
        from rasterio.io import MemoryFile

        memory = MemoryFile(ext=".tif")
        try:
            with memory.open(**self.profile) as target:
                self._fill(target, read, tags, time)
        except BaseException:
            memory.close()
            raise
        return memory

    def is_complete(self, path: Path, tags: Mapping[str, str]) -> bool:
        """Whether ``path`` is what would be written. It appeared complete, so its metadata tell enough."""
        import rasterio
        from rasterio.errors import RasterioError

        if not path.is_file():
            return False
        try:
            with rasterio.open(path) as there:
                wanted = {**tags, **self._own_tags()}
                same = (there.descriptions, there.shape, there.transform, there.dtypes[0], there.scales, there.offsets)
                mine = (
                    self.names, (self.grid.height, self.grid.width), self._transform, self.packing.dtype,
                    self.packing.scales, self.packing.offsets,
                )  # fmt: skip
                nodata = there.nodata == self.packing.nodata or (
                    there.nodata is not None and np.isnan(there.nodata) and np.isnan(self.packing.nodata)
                )
                return bool(same == mine and nodata and wanted.items() <= there.tags().items())
        except RasterioError:
            return False

    @property
    def profile(self) -> dict[str, Any]:
        """What rasterio is told to create."""
        profile: dict[str, Any] = {
            "driver": "GTiff",
            "dtype": self.packing.dtype,
            "width": self.grid.width,
            "height": self.grid.height,
            "count": len(self.names),
            "crs": self.crs,
            "transform": self.grid.transform,
            "nodata": self.packing.nodata,
            "interleave": "band",
            "bigtiff": "if_safer",
        }
        if self.compress != "none":
            profile.update(compress=self.compress, predictor=2 if self.packing.is_integer else 3)
        # Tiles of a raster smaller than one would only be padding.
        if self.grid.width >= _TILE and self.grid.height >= _TILE:
            profile.update(tiled=True, blockxsize=_TILE, blockysize=_TILE)
        return profile

    @property
    def _transform(self) -> Any:
        from affine import Affine

        return self.grid.transform or Affine.identity()

    def _own_tags(self) -> dict[str, str]:
        options = [self.format, self.compress, *(["overviews"] if self.overviews else [])]
        tags = {"GNDC_FORMAT": " ".join(options), "TIFFTAG_SOFTWARE": f"gdal-gndc {gdal_gndc.__version__}"}
        return {**tags, "GNDC_ROUNDING": self.packing.note} if self.packing.note else tags

    def _fill(self, target: DatasetWriter, read: Read, tags: Mapping[str, str], time: datetime | None) -> None:
        from rasterio.windows import Window as RasterWindow

        for window in self.blocks():
            values = read(window)
            place = RasterWindow(*window)
            for band in range(len(self.names)):
                target.write(self.packing.pack(values[..., band], band), band + 1, window=place)
        target.descriptions = self.names
        if any(self.units):
            target.units = tuple(unit or "" for unit in self.units)
        if self.packing.is_integer:
            target.scales, target.offsets = self.packing.scales, self.packing.offsets
        said = {**tags, **self._own_tags()}
        if time is not None:
            said["TIFFTAG_DATETIME"] = time.strftime("%Y:%m:%d %H:%M:%S")
            target.update_tags(ns="IMAGERY", ACQUISITIONDATETIME=time.strftime("%Y-%m-%d %H:%M:%S"))
        target.update_tags(**said)

    def _add_overviews(self, target: DatasetWriter) -> None:
        from rasterio.enums import Resampling

        side = min(self.grid.width, self.grid.height)
        factors: list[int] = []
        while side >> (len(factors) + 1) >= _SMALLEST:
            factors.append(2 << len(factors))
        if factors:
            target.build_overviews(factors, Resampling.average)

    def blocks(self) -> Iterator[Window]:
        """Give the windows that are written one after another: rows of tiles, or parts of one where it is too large."""
        width, height = self.grid.width, self.grid.height
        tiles = max(1, self.block_bytes // (len(self.names) * 4 * _TILE * _TILE))
        across = -(-width // _TILE)
        rows, cols = max(1, tiles // across) * _TILE, min(tiles, across) * _TILE
        for top in range(0, height, rows):
            for left in range(0, width, cols):
                yield left, top, min(cols, width - left), min(rows, height - top)
