"""``gndc derivative``: derivatives by place or time as a GeoTIFF."""

from __future__ import annotations

import click

from gdal_gndc.cli.base import Command, bands_option, index_option, parse_bands, time_option


@click.command(
    cls=Command, epilog="Example: gndc derivative cube.gndc --mode mag -t 2018-06-30 --bands B08 -o slope.tif"
)
@click.argument("file")
@click.option("-o", "--output", required=True, metavar="TIF", help="The GeoTIFF to write.")
@click.option(
    "--mode",
    type=click.Choice(["dx", "dy", "mag", "dir", "dt", "velocity", "acceleration"]),
    default="mag",
    show_default=True,
    help="By place per CRS unit (dx, dy, mag), the direction of ascent in radians (dir), by time per day (dt), or "
    "how an index changes by time (velocity, acceleration).",
)
@time_option
@index_option("For velocity and acceleration.")
@bands_option
@click.option("--metric", is_flag=True, help="By place per metre, also where the CRS has degrees.")
def main(file: str, output: str, mode: str, moment: str, index: str, bands: str | None, metric: bool) -> None:
    """Write the exact derivatives of the cube FILE at a time, one band for each band of the cube.

    velocity and acceleration are those of one index: --bands then names its bands, as in gndc ndvi.
    """
    import gdal_gndc
    from gdal_gndc.products import derivative_tif

    with gdal_gndc.open(file) as dataset:
        derivative_tif(
            dataset, output, mode, moment, parse_bands(bands, dataset.band_names), index=index, metric=metric
        )
    click.echo(output)
