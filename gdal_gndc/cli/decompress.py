"""``gndc decompress``: a cube as GeoTIFFs, netCDF or Zarr."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from gdal_gndc.cli.base import Command, bands_option, parse_bands, parse_interval, parse_numbers, period_options

EXAMPLES = """\b
Examples:
  gndc decompress -i cube.gndc -o tifs/
  gndc decompress -i cube.gndc -o cogs/ --format cog --dtype int16 --start 2018-01-01 --interval 10
  gndc decompress -i cube.gndc -o cube.nc --bands B04,B08
  gndc decompress -i cube.gndc -o cube.zarr --bbox 501500 5629300 501800 5629600"""
_SUFFIXES = {".nc": "nc", ".nc4": "nc", ".zarr": "zarr"}


@click.command(cls=Command, epilog=EXAMPLES)
@click.option("-i", "--input", "file", required=True, metavar="FILE", help="The cube.")
@click.option(
    "-o", "--output", required=True, metavar="PLACE", help="Folder for GeoTIFFs; for nc the file, for zarr the store."
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["tif", "cog", "nc", "zarr"]),
    help="By default that of PLACE's suffix, else tif.",
)
@period_options
@bands_option
@click.option("--bbox", type=float, nargs=4, metavar="LEFT BOTTOM RIGHT TOP", help="Part, in the cube's CRS.")
@click.option("--resolution", metavar="X[,Y]", help="Pixel size in units of the cube's CRS: any.")
@click.option(
    "--resampling",
    type=click.Choice(["nearest", "average"]),
    default="nearest",
    show_default=True,
    help="The field at the centres of larger pixels, or its mean over them.",
)
@click.option(
    "--dtype",
    type=click.Choice(["float32", "uint8", "int16", "uint16", "int32", "uint32"]),
    default="float32",
    show_default=True,
    help="Integers are (value - offset) / scale, rounded to nearest.",
)
@click.option("--scale", metavar="N[,N...]", help="For integers, one or one a band; by default that of the sources.")
@click.option("--offset", metavar="N[,N...]", help="As --scale.")
@click.option(
    "--nodata", type=float, help="By default NaN, or the lowest (highest) number of a signed (unsigned) type."
)
@click.option(
    "--compress",
    type=click.Choice(["deflate", "zstd", "lzw", "none"]),
    help="Of GeoTIFFs; deflate by default, with the predictor of the type.",
)
@click.option("--overviews/--no-overviews", default=None, help="Of GeoTIFFs; by default only a COG has them.")
@click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="At a time; the number of CPUs, at most 4.")
@click.option("--overwrite", is_flag=True, help="Write again what is there.")
@click.option("--json", "as_json", is_flag=True, help="Print the files as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="No progress bar.")
def main(
    file: str,
    output: str,
    kind: str | None,
    start: str | None,
    end: str | None,
    interval: str | None,
    bands: str | None,
    bbox: tuple[float, float, float, float] | None,
    resolution: str | None,
    resampling: str,
    dtype: str,
    scale: str | None,
    offset: str | None,
    nodata: float | None,
    compress: str | None,
    overviews: bool | None,
    jobs: int | None,
    overwrite: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Write the observations of a cube between --start and --end, or a regular series: a GeoTIFF a date, or one
    netCDF file or Zarr store.

    A run that was interrupted goes on where it stopped; nothing is seen under its name before it is complete.
    """
    import gdal_gndc

    target = Path(output)
    chosen = kind or _SUFFIXES.get(target.suffix.lower(), "tif")
    size = parse_numbers(resolution, "'--resolution'")
    if size is not None and len(size) > 2:
        raise click.BadParameter("expected 10 or 10,20", param_hint="'--resolution'")
    options: dict[str, Any] = {
        "start": start,
        "end": end,
        "every": parse_interval(interval),
        "bbox": bbox,
        "resolution": None if size is None else (size[0], size[-1]),
        "resampling": resampling,
        "dtype": dtype,
        "scale": parse_numbers(scale, "'--scale'"),
        "offset": parse_numbers(offset, "'--offset'"),
        "nodata": nodata,
        "jobs": jobs,
        "progress": not quiet,
    }
    if chosen in ("nc", "zarr"):
        if compress is not None or overviews is not None:
            raise click.UsageError(f"--compress and --overviews are for GeoTIFFs, not for {chosen}")
    else:
        options.update(format=chosen, overviews=overviews, compress=compress or "deflate", overwrite=overwrite)
    with gdal_gndc.open(file) as dataset:
        options["bands"] = parse_bands(bands, dataset.band_names)
        if chosen in ("tif", "cog"):
            files = dataset.to_tifs(target, **options)
        elif target.exists() and not overwrite:
            raise FileExistsError(17, "it is there already; --overwrite replaces it", str(target))
        elif chosen == "nc":
            files = [dataset.to_netcdf(target, **options)]
        else:
            files = [dataset.to_zarr(target, overwrite=overwrite, **options)]
    if as_json:
        click.echo(json.dumps([str(path) for path in files], indent=1))
    else:
        click.echo(f"{len(files)} GeoTIFFs in {output}" if chosen in ("tif", "cog") else output)
