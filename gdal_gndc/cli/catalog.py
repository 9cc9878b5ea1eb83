"""gndc catalog: many files as one index."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gdal_gndc.errors import GNDCError

if TYPE_CHECKING:
    from collections.abc import Callable

    from gdal_gndc.catalog import GeoCatalog

KINDS = ("raster", "gndc", "xarray", "vector", "stac")


class CatalogGroup(click.Group):
    """A group whose commands report the package's errors as one line."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except GNDCError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=CatalogGroup)
def catalog() -> None:
    """Index many files: build, query, combine and export catalogs (GeoParquet)."""


def question(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of a query."""
    options = (
        click.option("--bbox", nargs=4, type=float, metavar="LEFT BOTTOM RIGHT TOP", help="Box."),
        click.option("--crs", help="CRS of the box; default the catalog's."),
        click.option("--time", metavar="WHEN", help="2024-06, 2024-06-01/2024-07-15, ..."),
        click.option("--aoi", type=click.Path(exists=True), help="Area of interest: a vector file, in its own CRS."),
        click.option("--where", "expression", help='Filter, as in: bands >= 3 and has(band_names, "B04").'),
    )
    for option in reversed(options):
        command = option(command)
    return command


def ask(
    rows: GeoCatalog,
    bbox: tuple[float, float, float, float] | None,
    crs: str | None,
    time: str | None,
    aoi: str | None,
    expression: str | None,
) -> GeoCatalog:
    """A query with the options of `question`."""
    area = None
    if aoi is not None:
        import geopandas as gpd

        area = gpd.read_file(aoi)
    found = rows.query(bbox, time, aoi=area, crs=crs)
    return found if expression is None else found.where(expression)


def load(path: str, **filters: Any) -> GeoCatalog:
    """A catalog from disk."""
    from gdal_gndc.catalog import GeoCatalog

    return GeoCatalog.from_geoparquet(path, **filters)


as_json_option = click.option("--json", "as_json", is_flag=True, help="Say the result as JSON.")


def summary(rows: GeoCatalog) -> dict[str, Any]:
    """What a catalog holds, as plain values."""
    extent = rows.temporal_extent
    return {
        "rows": len(rows),
        "layers": rows.layers,
        "backends": {str(k): int(n) for k, n in rows.gdf["backend"].value_counts().items()},
        "crs": rows.crs.to_string(),
        "bounds": list(rows.total_bounds) if len(rows) else None,
        "start": None if extent is None else extent.left.isoformat(),
        "stop": None if extent is None else extent.right.isoformat(),
        "static": int(rows.gdf["static"].sum()),
        "size": int(rows.gdf["size"].sum()),
        "native_crs": sorted(rows.gdf["native_crs"].dropna().unique()),
        "columns": rows.columns,
    }


def tell(rows: GeoCatalog, output: str, as_json: bool) -> None:
    """Report a catalog that was written."""
    click.echo(json.dumps({"output": output, **summary(rows)}, indent=1) if as_json else repr(rows))


def listing(rows: GeoCatalog) -> list[dict[str, Any]]:
    """Rows as plain values: location, backend, times and bounds."""
    gdf = rows.gdf
    ends = [index.strftime("%Y-%m-%dT%H:%M:%S.%fZ") for index in (gdf.index.left, gdf.index.right)]
    fields = zip(gdf["location"], gdf["backend"], *ends, gdf.bounds.to_numpy().tolist(), strict=True)
    names = ("location", "backend", "start", "stop", "bounds")
    return [{k: None if v != v else v for k, v in zip(names, row, strict=True)} for row in fields]


@catalog.command()
@click.argument("files", nargs=-1, required=True)
@click.option("-o", "--output", required=True, type=click.Path(), help="GeoParquet file.")
@click.option("--kind", type=click.Choice(KINDS), default="raster", show_default=True)
@click.option("--regex", help="Groups 'date', or 'start' and 'stop', of the file names.")
@click.option("--date-format", default="%Y%m%d", show_default=True)
@click.option("--crs", "target_crs", help="CRS of the footprints.")
@click.option("--resolution", type=float, help="Pixel size that samplers use.")
@click.option("--asset", multiple=True, help="STAC asset, may be repeated.")
@click.option("--errors", type=click.Choice(["raise", "skip"]), default="raise", show_default=True)
@click.option("--workers", type=int)
@click.option("--update", is_flag=True, help="Read only files that changed since OUTPUT was written.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
@as_json_option
def build(
    files: tuple[str, ...],
    output: str,
    kind: str,
    regex: str | None,
    date_format: str,
    target_crs: str | None,
    resolution: float | None,
    asset: tuple[str, ...],
    errors: str,
    workers: int | None,
    update: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Index FILES (paths, globs, directories, URLs) by their headers."""
    from gdal_gndc import catalog as room

    if kind == "stac":
        if len(files) != 1:
            raise click.UsageError("a STAC catalog is built from one file")
        built = room.build_stac_catalog(files[0], list(asset) or None, target_crs)
    else:
        options: dict[str, Any] = {
            "target_crs": target_crs,
            "target_resolution": resolution,
            "errors": errors,
            "workers": workers,
            "progress": not quiet,
            "previous": load(output) if update and Path(output).exists() else None,
        }
        if kind != "gndc":
            options |= {"filename_regex": regex, "date_format": date_format}
        builders: dict[str, Callable[..., GeoCatalog]] = {
            "raster": room.build_raster_catalog,
            "gndc": room.build_gndc_catalog,
            "xarray": room.build_xarray_catalog,
            "vector": room.build_vector_catalog,
        }
        built = builders[kind](list(files), **options)
    built.to_geoparquet(output)
    if built.report is not None:
        click.echo(str(built.report), err=True)
        for path, why in built.report.failed.items():
            click.echo(f"{path}: {why}", err=True)
    tell(built, output, as_json)


@catalog.command()
@click.argument("path", type=click.Path())
@question
@click.option("-o", "--output", type=click.Path(), help="Write the rows as a catalog instead of listing them.")
@click.option("--explain", is_flag=True, help="Say what would be read, and read nothing else.")
@as_json_option
def query(
    path: str,
    bbox: tuple[float, float, float, float] | None,
    crs: str | None,
    time: str | None,
    aoi: str | None,
    expression: str | None,
    output: str | None,
    explain: bool,
    as_json: bool,
) -> None:
    """List the files of the catalog PATH that meet a box, a time, an area or a filter, one location a
    line."""
    from gdal_gndc.catalog import geoparquet

    # A box in the catalog's own CRS and the time already choose what is read.
    pushed: dict[str, Any] = {"bbox": bbox or None if crs is None else None, "interval": time}
    if explain:
        scan = geoparquet.scan(path, **pushed)
        click.echo(json.dumps(asdict(scan)) if as_json else str(scan))
        return
    found = ask(load(path, **pushed), bbox or None, crs, time, aoi, expression)
    if output is None and as_json:
        click.echo(json.dumps(listing(found), indent=1))
    elif output is None:
        for location in found.gdf["location"]:
            click.echo(location)
    else:
        found.to_geoparquet(output)
        tell(found, output, as_json)


@catalog.command()
@click.argument("left", type=click.Path())
@click.argument("right", type=click.Path())
@click.option("-o", "--output", required=True, type=click.Path())
@click.option("--spatial-only", is_flag=True, help="Pair rows whatever their times.")
@as_json_option
def intersect(left: str, right: str, output: str, spatial_only: bool, as_json: bool) -> None:
    """Pair the rows of LEFT and RIGHT that share ground and time."""
    pairs = load(left).intersect(load(right), spatial_only)
    pairs.to_geoparquet(output)
    tell(pairs, output, as_json)


@catalog.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path())
@click.option("-o", "--output", required=True, type=click.Path())
@click.option("--keep-duplicates", is_flag=True, help="Keep rows of one location and time apart.")
@as_json_option
def union(paths: tuple[str, ...], output: str, keep_duplicates: bool, as_json: bool) -> None:
    """Put catalogs together, in the CRS of the first."""
    whole = load(paths[0])
    for path in paths[1:]:
        whole = whole.union(load(path), dedupe=not keep_duplicates)
    whole.to_geoparquet(output)
    tell(whole, output, as_json)


@catalog.command()
@click.argument("path", type=click.Path())
@as_json_option
def info(path: str, as_json: bool) -> None:
    """Say what a catalog holds."""
    facts = summary(load(path))
    if as_json:
        click.echo(json.dumps(facts, indent=1))
        return
    for name, value in facts.items():
        click.echo(f"{name:>10}: {value}")


@catalog.command()
@click.argument("path", type=click.Path())
@click.argument("output", type=click.Path())
@question
@click.option("--crs-out", help="CRS of the mosaic.")
@click.option("--resolution", type=float, help="Pixel size of the mosaic.")
@click.option("--collection", help="STAC collection id.")
@as_json_option
def export(
    path: str,
    output: str,
    bbox: tuple[float, float, float, float] | None,
    crs: str | None,
    time: str | None,
    aoi: str | None,
    expression: str | None,
    crs_out: str | None,
    resolution: float | None,
    collection: str | None,
    as_json: bool,
) -> None:
    """Write PATH as a GDAL tile index (OUTPUT *.gti), stac-geoparquet (*.stac.parquet) or any vector
    format."""
    from gdal_gndc.catalog import to_gti, to_stac_geoparquet

    rows = ask(load(path), bbox or None, crs, time, aoi, expression)
    if output.endswith(".gti"):
        to_gti(rows, output, crs=crs_out, resolution=resolution)
    elif output.endswith(".stac.parquet"):
        to_stac_geoparquet(rows, output, collection=collection)
    elif output.endswith(".parquet"):
        (rows if crs_out is None else rows.to_crs(crs_out)).to_geoparquet(output)
    else:
        from gdal_gndc.catalog.export_vector import to_vector

        to_vector(rows if crs_out is None else rows.to_crs(crs_out), output)
    click.echo(json.dumps({"rows": len(rows), "output": output}) if as_json else f"{len(rows)} rows: {output}")


# The name under which the program looks for a module's command.
main = catalog
