"""``gndc sample``: values at a place."""

from __future__ import annotations

import json
import math

import click

from gdal_gndc.cli.base import Command, bands_option, parse_bands


@click.command(cls=Command, epilog="Example: gndc sample cube.gndc --lon 3.71 --lat 51.02 --timestamp 2018-06-30")
@click.argument("file")
@click.option("--lon", type=float, required=True, help="Longitude in degrees, or x in --crs.")
@click.option("--lat", type=float, required=True, help="Latitude in degrees, or y in --crs.")
@click.option("--timestamp", metavar="TIME", help="A frame index, date or time; all dates by default.")
@click.option("--crs", metavar="CRS", help="What --lon and --lat are in, EPSG:4326 by default.")
@bands_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of CSV.")
def main(
    file: str,
    lon: float,
    lat: float,
    timestamp: str | None,
    crs: str | None,
    bands: str | None,
    as_json: bool,
) -> None:
    """Print the values of the cube FILE at a place as CSV, one line a date."""
    import numpy as np

    import gdal_gndc
    from gdal_gndc.cli.timeseries import row_labels, table

    with gdal_gndc.open(file) as dataset:
        chosen = parse_bands(bands, dataset.band_names) or list(range(dataset.n_bands))
        values = dataset.sample(lon, lat, timestamp, **({} if crs is None else {"crs": crs}))
        values = np.atleast_2d(values)[:, chosen]
        names = [dataset.band_names[i] for i in chosen]
        times = row_labels(dataset, range(len(values)) if timestamp is None else [timestamp])
    if as_json:
        numbers = [[None if math.isnan(value) else float(value) for value in row] for row in values]
        rows = [{"time": time, **dict(zip(names, row, strict=True))} for time, row in zip(times, numbers, strict=True)]
        click.echo(json.dumps(rows, indent=1))
    else:
        click.echo(table(times, names, values), nl=False)
