"""Which pixels a quality layer drops before anything is reduced: by bits, by values, from a band or a paired
catalog."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gdal_gndc.catalog.duck import AnyCatalog
from gdal_gndc.catalog.footprints import FootprintIndex
from gdal_gndc.catalog.geocatalog import GeoCatalog
from gdal_gndc.catalog.geoslice import GeoSlice
from gdal_gndc.catalog.intervals import ticks
from gdal_gndc.catalog.warp import read_on_grid
from gdal_gndc.errors import CatalogError


@dataclass(frozen=True)
class QualityMask:
    """How a quality layer is read.

    Parameters
    ----------
    band
        Name or number of the quality band, in the file itself or in its partner of ``catalog`` (there:
        default 1).
    bits
        Bit numbers, least significant 0; a pixel with any of them set is dropped.
    values
        Values that are dropped.
    catalog
        Quality files of their own, paired with the data by time. Pixels for which none says anything, by lack
        of a partner or by its nodata, are dropped.
    """

    band: int | str | None = None
    bits: tuple[int, ...] = ()
    values: tuple[int, ...] = ()
    catalog: AnyCatalog | None = None

    @classmethod
    def of(
        cls,
        mask_band: int | str | None,
        mask_bits: Sequence[int] | None,
        mask_values: Sequence[int] | None,
        qa: AnyCatalog | None,
    ) -> QualityMask | None:
        """The mask that a loader's arguments describe; None if there is none.

        Raises
        ------
        CatalogError
            If a layer is named but not what it drops, or the other way round.
        """
        drops = bool(mask_bits) or bool(mask_values)
        named = mask_band is not None or qa is not None
        if drops != named:
            given = "mask_bits or mask_values" if drops else "mask_band or qa"
            wanted = "mask_band or qa" if drops else "mask_bits or mask_values"
            raise CatalogError(f"{given} is given without {wanted}")
        if not named:
            return None
        bits = tuple(int(b) for b in mask_bits or ())
        if any(b < 0 or b > 63 for b in bits):
            raise CatalogError(f"mask_bits={bits}: bits are numbered from 0 to 63")
        return cls(mask_band, bits, tuple(int(v) for v in mask_values or ()), qa)

    def partners(self, rows: GeoCatalog, where: GeoSlice) -> list[list[str]]:
        """For each row of the data, the quality files that share its time."""
        if self.catalog is None:
            return [[location] for location in rows.gdf["location"]]
        near = self.catalog.query(where, rows.temporal_extent).to_crs(rows.crs)
        here = FootprintIndex(np.asarray(rows.gdf.geometry.array, dtype=object), *ticks(rows.gdf.index))
        theirs = FootprintIndex(np.asarray(near.gdf.geometry.array, dtype=object), *ticks(near.gdf.index))
        mine, other = here.pairs(theirs, in_time=True)
        names = near.gdf["location"].to_numpy()[other]
        ends = np.searchsorted(mine, np.arange(len(rows) + 1))
        return [list(names[ends[k] : ends[k + 1]]) for k in range(len(rows))]

    def keeps(self, locations: Sequence[str], where: GeoSlice) -> np.ndarray:
        """Pixels (H, W) that pass, by the first of the files that knows."""
        height, width = where.shape
        keep = np.zeros((height, width), dtype=bool)
        asked = np.zeros((height, width), dtype=bool)
        band = self.band if self.band is not None else 1
        for location in locations:
            patch = read_on_grid(location, where, [band])
            layer, known = patch.data[0], patch.valid[0] & ~asked
            if self.catalog is None:
                # Within one file the nodata of the picture (often 0) is a legal quality value.
                known = ~asked
            if layer.dtype.kind not in "iu":
                layer = np.nan_to_num(layer).astype(np.int64)
            drop = np.zeros((height, width), dtype=bool)
            if self.values:
                drop |= np.isin(layer, self.values)
            if self.bits:
                flags = np.bitwise_or.reduce(np.left_shift(np.uint64(1), np.array(self.bits, dtype=np.uint64)))
                drop |= (layer.astype(np.int64).view(np.uint64) & flags) != 0
            keep |= known & ~drop
            asked |= known
        return keep
