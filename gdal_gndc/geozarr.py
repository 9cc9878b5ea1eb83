"""Where the grid of a Zarr store lies, after the Zarr conventions ``proj`` and ``spatial``, version 1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gdal_gndc.dataset import GNDCDataset
    from gdal_gndc.vrt.grid import Grid

_PLACE = "https://raw.githubusercontent.com/zarr-conventions"
_PAGES = "https://github.com/zarr-conventions"
_PROJ = {
    "schema_url": f"{_PLACE}/geo-proj/refs/tags/v1/schema.json",
    "spec_url": f"{_PAGES}/geo-proj/blob/v1/README.md",
    "uuid": "f17cb550-5864-4468-aeb7-f3180cfb622f",
    "name": "proj:",
    "description": "Coordinate reference system information for geospatial data",
}
_SPATIAL = {
    "schema_url": f"{_PLACE}/spatial/refs/tags/v1/schema.json",
    "spec_url": f"{_PAGES}/spatial/blob/v1/README.md",
    "uuid": "689b58e2-cf7b-45e0-9fff-9cfc0883d6b4",
    "name": "spatial:",
    "description": "Spatial coordinate information",
}


def geozarr_attributes(dataset: GNDCDataset, grid: Grid) -> dict[str, Any]:
    """Return attributes of a group whose arrays have the dimensions y and x of a grid; empty without a transform."""
    if grid.transform is None:
        return {}
    a, b, c, d, e, f = (float(v) for v in tuple(grid.transform)[:6])
    corners = [(a * x + b * y + c, d * x + e * y + f) for x in (0, grid.width) for y in (0, grid.height)]
    xs, ys = zip(*corners, strict=True)
    found: dict[str, Any] = {
        "zarr_conventions": [_SPATIAL],
        "spatial:dimensions": ["y", "x"],
        "spatial:shape": [grid.height, grid.width],
        "spatial:transform": [a, b, c, d, e, f],
        "spatial:bbox": [min(xs), min(ys), max(xs), max(ys)],
        "spatial:registration": "pixel",
    }
    if dataset.crs is not None:
        from pyproj import CRS

        crs = CRS.from_user_input(dataset.crs)
        authority = crs.to_authority(min_confidence=100)
        found.update({"proj:code": ":".join(authority)} if authority else {"proj:wkt2": crs.to_wkt()})
        found["zarr_conventions"] = [_PROJ, _SPATIAL]
    return found
