"""load_vector: features of a slice as label rasters, boxes or instances."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from gdal_gndc.catalog.crs import as_crs
from gdal_gndc.catalog.duck import AnyCatalog
from gdal_gndc.catalog.georeference import georeference
from gdal_gndc.catalog.geoslice import GeoSlice
from gdal_gndc.catalog.load_raster import hits
from gdal_gndc.catalog.options import choose, need
from gdal_gndc.errors import FileFormatError

if TYPE_CHECKING:
    import xarray as xr

TASKS = ("semantic_segmentation", "object_detection", "instance_segmentation")


def load_vector(
    catalog: AnyCatalog,
    where: GeoSlice,
    task: str = "semantic_segmentation",
    label_field: str | None = None,
    *,
    classes: dict[Any, int] | None = None,
    all_touched: bool = False,
    layer: str | None = None,
) -> xr.Dataset:
    """The features of vector files within a slice, cut at its edge.

    Parameters
    ----------
    task
        ``semantic_segmentation``: ``mask`` (y, x) int32, 0 where there is no feature, later features on top.
        ``object_detection``: ``boxes`` (instance, corner) float32 as column and row of the upper left and
        lower right corner, in pixels, and ``labels`` (instance,) int32.
        ``instance_segmentation``: both, and ``instances`` (y, x) int32, the number of the instance counted
        from 1.
    label_field
        The attribute that labels a feature. Default: every feature is 1.
    classes
        Labels by the attribute's values. Default: integers as they are, other values numbered from 1 in
        sorted order of what the loaded files hold (give ``classes`` to have the same numbers for every
        slice).
    all_touched
        Whether pixels that a feature only touches belong to it; default: those whose centre it holds.

    Returns
    -------
    xarray.Dataset
        With CRS, transform and the coordinate ``valid`` (pixels within a file's extent); attribute
        ``classes``.

    Raises
    ------
    FileFormatError
        For a file that cannot be read, or without that attribute, or a label without a class.
    """
    choose("task", task, TASKS)
    xarray = need("xarray", "loading")
    rows = hits(catalog, where, ("vector",)).gdf
    parts = [_features(location, where, label_field, layer) for location in rows["location"]]
    features = gpd.GeoDataFrame(pd.concat(parts, ignore_index=True), crs=parts[0].crs)
    labels, table = _labels(features, label_field, classes)
    geometry = np.asarray(shapely.intersection(np.asarray(features.geometry.array, dtype=object), where.polygon))
    inside = ~shapely.is_empty(geometry)
    geometry, labels = geometry[inside], labels[inside]
    extent = np.asarray(rows.to_crs(where.crs.to_wkt()).geometry.array, dtype=object)
    valid = _burn(extent, np.ones(len(extent), dtype=np.int32), where, True) > 0
    variables: dict[str, Any] = {}
    if task != "object_detection":
        mask = _burn(geometry, labels, where, all_touched)
        variables["mask"] = georeference(mask, valid, where, name="mask")
    if task == "instance_segmentation":
        numbers = np.arange(1, len(geometry) + 1, dtype=np.int32)
        variables["instances"] = georeference(_burn(geometry, numbers, where, all_touched), valid, where)
    if task != "semantic_segmentation":
        variables["boxes"] = (("instance", "corner"), _pixel_boxes(geometry, where))
        variables["labels"] = (("instance",), labels)
    out: xr.Dataset = xarray.Dataset(variables)
    if task == "object_detection":
        blank = georeference(valid.astype(np.uint8), valid, where)
        out = out.assign_coords({k: blank.coords[k] for k in ("y", "x", "spatial_ref", "valid")})
    if task != "semantic_segmentation":
        out = out.assign_coords(corner=["col_min", "row_min", "col_max", "row_max"])
    out.attrs["classes"] = {str(k): v for k, v in table.items()}
    return out


def _features(location: str, where: GeoSlice, label_field: str | None, layer: str | None) -> gpd.GeoDataFrame:
    try:
        if location.endswith(".parquet"):
            whole = gpd.read_parquet(location)
            box = where.footprint(as_crs(whole.crs))
            found = whole[whole.intersects(box)]
        else:
            pyogrio = need("pyogrio", "loading vector files")
            crs = as_crs(pyogrio.read_info(location, layer=layer)["crs"])
            found = pyogrio.read_dataframe(location, layer=layer, bbox=where.footprint(crs).bounds)
    except (OSError, ValueError, RuntimeError) as error:
        raise FileFormatError(f"cannot be read: {error}", path=location) from error
    if label_field is not None and label_field not in found.columns:
        names = [c for c in found.columns if c != "geometry"]
        raise FileFormatError(f"there is no field {label_field!r} among {names}", path=location)
    return found.to_crs(where.crs.to_wkt())


def _labels(
    features: gpd.GeoDataFrame, field: str | None, classes: dict[Any, int] | None
) -> tuple[np.ndarray, dict[Any, int]]:
    if field is None:
        return np.ones(len(features), dtype=np.int32), {"feature": 1}
    values = features[field]
    if classes is None and pd.api.types.is_integer_dtype(values.dtype):
        return values.to_numpy(dtype=np.int32), {int(v): int(v) for v in np.unique(values)}
    table = classes or {v: k for k, v in enumerate(sorted(values.dropna().unique()), 1)}
    labels = values.map(table)
    if labels.isna().any():
        strange = list(values[labels.isna()].unique()[:5])
        raise FileFormatError(f"field {field!r} holds {strange}, which have no class among {list(table)}")
    return labels.to_numpy(dtype=np.int32), dict(table)


def _burn(geometry: np.ndarray, values: np.ndarray, where: GeoSlice, all_touched: bool) -> np.ndarray:
    need("rasterio", "rasterising features")
    from rasterio.features import rasterize

    if not len(geometry):
        return np.zeros(where.shape, dtype=np.int32)
    shapes = zip(geometry, values.tolist(), strict=True)
    burnt: np.ndarray = rasterize(
        shapes, out_shape=where.shape, transform=where.transform, all_touched=all_touched, dtype="int32"
    )
    return burnt


def _pixel_boxes(geometry: np.ndarray, where: GeoSlice) -> np.ndarray:
    bounds = np.asarray(shapely.bounds(geometry)).reshape(-1, 4)
    t = where.transform
    cols, rows = (bounds[:, [0, 2]] - t.c) / t.a, (bounds[:, [3, 1]] - t.f) / t.e
    return np.column_stack([cols[:, 0], rows[:, 0], cols[:, 1], rows[:, 1]]).astype(np.float32)
