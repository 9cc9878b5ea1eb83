"""Sources of the encoder: from what a user names to frames of physical values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gdal_gndc.encode.inputs.find import Paths, find_files, is_catalog, kind_of
from gdal_gndc.encode.inputs.grid import Alignment, Box, Extent
from gdal_gndc.encode.inputs.masks import masked_by, masked_by_band
from gdal_gndc.encode.inputs.merge import Merge, check_merge
from gdal_gndc.encode.inputs.options import GroupBy, SourceOptions, Stacking
from gdal_gndc.encode.inputs.rasters import RasterStack, open_rasters
from gdal_gndc.encode.inputs.rule import MaskRule
from gdal_gndc.encode.inputs.source import Source
from gdal_gndc.encode.inputs.warped import WarpedSource
from gdal_gndc.errors import EncodeError

__all__ = [
    "Inputs",
    "Paths",
    "RasterStack",
    "Source",
    "SourceOptions",
    "find_files",
    "open_rasters",
    "open_source",
]

Inputs = Paths | Source | Any
_BAND = "band:"


def open_source(
    inputs: Inputs,
    *,
    date_regex: str | None = None,
    merge: Merge | None = None,
    group_by: GroupBy = "time",
    skip_bad: bool = False,
    align: bool = False,
    crs: Any = None,
    resolution: float | tuple[float, float] | None = None,
    bounds: Box | Extent | None = None,
    resampling: str = "nearest",
    variables: Sequence[str] | None = None,
    assets: Sequence[str] | None = None,
    mask: Any = None,
    mask_values: Sequence[int] | str | None = None,
    mask_bits: Sequence[int] | None = None,
    mask_preset: str | None = None,
    fill_gaps: bool = False,
) -> Source:
    """Open what a user names as one cube.

    Parameters
    ----------
    inputs
        Files, directories, patterns, text lists, URLs: see `gdal_gndc.encode.inputs.find.find_files`. All are rasters
        that rasterio opens; or netCDF, Zarr or GRIB; or one STAC ItemCollection (``.json``); or one catalog
        (``.parquet``, or a folder of such), whose rasters are mosaicked to one grid. Or an xarray Dataset or DataArray,
        which stays lazy if it is, or a `gdal_gndc.catalog.GeoCatalog`.
    date_regex
        Finds the date in a file's name: groups ``year``, ``month``, ``day``, or one group in ISO 8601. By default
        dates come from the usual patterns in names, else from the tags.
    merge
        Makes one of several rasters of one date, sample by sample: ``first`` or ``last`` valid one in the order given,
        ``mean``, ``median``, ``min``, ``max``. Without it two files of one date are an error, but those of a catalog
        are merged by ``first``.
    group_by
        What rasters are merged: those of one ``time``, or of one ``day`` (UTC), which then has the time of its first.
    skip_bad
        Leave files out that cannot be read or have no date, instead of an error; they are told in the report. All
        pixels are read once more to find out.
    align
        Warp all to one grid: that of the first file, or as the following say, which imply it. Files of a catalog are
        warped to the union of all of them, where nothing else is said.
    crs, resolution, bounds
        Of that grid: anything rasterio reads; size of a pixel; (left, bottom, right, top), ``first`` or ``union``. Of
        netCDF, Zarr, GRIB and xarray objects that name no CRS, ``crs`` is theirs.
    resampling
        A method of GDAL's warper by its name in rasterio.
    variables
        Variables of arrays that are the bands; by default all on the grid.
    assets
        Assets of STAC items that are the bands; by default all rasters with the role ``data``.
    mask
        A quality layer that hides pixels, such as clouds, which then are no data: ``band:NAME``, a band of the inputs,
        which is not encoded then; or inputs of its own, whose first band it is, with a frame for each date (of the same
        time, else of the same day). What a layer of its own knows nothing of is hidden too.
    mask_values, mask_bits, mask_preset
        Codes that hide a pixel: values, bits any of which is set (0 is the least significant), or a set of them by
        name, see `gdal_gndc.encode.inputs.rule.PRESETS`.
    fill_gaps
        Where a date has no data, masked or missing, but other dates have, the cube answers with what the network makes
        of it. The file keeps which samples were observed, see `gdal_gndc.GNDCDataset.observed`.

    Raises
    ------
    EncodeError
        If the inputs do not make a cube.
    """
    check_merge(merge)
    alignment = None
    if align or crs is not None or resolution is not None or bounds is not None:
        alignment = Alignment(crs, resolution, bounds, resampling)
    how = Stacking(merge, group_by, skip_bad, alignment)
    masking = mask.removeprefix(_BAND) if isinstance(mask, str) and mask.startswith(_BAND) else None
    if masking is not None:
        # a list of bands need not name the one that masks
        variables, assets = (
            None if names is None else [*names, *([masking] if masking not in names else [])]
            for names in (variables, assets)
        )
    source = _open(inputs, how, date_regex, variables=variables, assets=assets, crs=crs)
    if mask is not None:
        rule = MaskRule.of(mask_values, mask_bits, mask_preset)
        if masking is not None:
            source = masked_by_band(source, masking, rule)
        else:
            grid = source.grid if alignment or is_catalog(mask) else None
            layer = _open(mask, replace(how, merge=merge or "first", alignment=None, grid=grid), date_regex)
            source = masked_by(source, layer, rule, skip_bad=skip_bad)
    elif mask_values is not None or mask_bits is not None or mask_preset is not None:
        raise EncodeError("mask values, bits or a preset without a mask: expected mask too")
    return replace(source, fill_gaps=True) if fill_gaps else source


def _open(
    inputs: Any,
    how: Stacking,
    date_regex: str | None,
    *,
    variables: Sequence[str] | None = None,
    assets: Sequence[str] | None = None,
    crs: Any = None,
) -> Source:
    """Open inputs, or the layer that masks them."""
    if isinstance(inputs, Source):
        return inputs
    if type(inputs).__module__.startswith("gdal_gndc.catalog."):
        if variables is not None or assets is not None:
            raise EncodeError("variables and assets are for other inputs than a catalog of rasters")
        return _catalog(inputs, how)
    if type(inputs).__module__.startswith("xarray."):
        from gdal_gndc.encode.inputs.arrays import open_object

        return WarpedSource.aligned(open_object(inputs, variables=variables, crs=crs), how.alignment, how.grid)
    paths = find_files(inputs)
    kinds = {kind_of(path): path for path in reversed(paths)}
    if len(kinds) > 1:
        raise EncodeError(f"inputs of several kinds: {' and '.join(kinds.values())}")
    if "array" in kinds:
        from gdal_gndc.encode.inputs.arrays import open_arrays

        if how.merge not in (None, "first"):
            raise EncodeError(f"{paths[0]}: merge is for rasters")
        source = open_arrays(paths, variables=variables, date_regex=date_regex, skip_bad=how.skip_bad, crs=crs)
        return WarpedSource.aligned(source, how.alignment, how.grid)
    if variables is not None:
        raise EncodeError(f"{paths[0]}: variables are for netCDF, Zarr and GRIB")
    if "stac" in kinds:
        from gdal_gndc.encode.inputs.stac import open_stac

        if len(paths) > 1:
            raise EncodeError(f"{paths[1]}: expected a single STAC ItemCollection")
        return open_stac(paths[0], how, assets=assets)
    if assets is not None:
        raise EncodeError(f"{paths[0]}: assets are for STAC")
    if "catalog" in kinds:
        if len(paths) > 1:
            raise EncodeError(f"{paths[1]}: expected a single catalog")
        return _catalog(paths[0], how)
    return open_rasters(paths, how, date_regex=date_regex)


def _catalog(catalog: Any, how: Stacking) -> Source:
    from gdal_gndc.encode.inputs.catalogs import open_catalog

    return open_catalog(catalog, how)
