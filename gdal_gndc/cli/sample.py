"""``gndc sample``: values at places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from gdal_gndc.cli.base import Command, bands_option, parse_bands, parse_interval, period_options
from gdal_gndc.cli.table import Part, output_option, time_column, write_table

if TYPE_CHECKING:
    from gdal_gndc.dataset import GNDCDataset
    from gdal_gndc.points import Points
    from gdal_gndc.time_axis import Moment

EXAMPLES = """\b
Examples:
  gndc sample cube.gndc --lon 3.71 --lat 51.02 --timestamp 2018-06-30
  gndc sample cube.gndc --points stations.csv --id name -o series.parquet
  gndc sample cube.gndc --points plots.geojson --start 2018-04-01 --interval 5 --bands B04,B08
  gndc sample cube.gndc --points xy.csv --crs EPSG:32631 | head"""
# values that are decoded at once
_VALUES = 1 << 22


@click.command(cls=Command, epilog=EXAMPLES)
@click.argument("file")
@click.option("--lon", type=float, help="Longitude in degrees, or x in --crs.")
@click.option("--lat", type=float, help="Latitude in degrees, or y in --crs.")
@click.option(
    "--points",
    metavar="FILE",
    help="Points instead: CSV with columns lon and lat (or x and y), GeoJSON, or what geopandas reads.",
)
@click.option("--crs", metavar="CRS", help="Of the coordinates; by default what FILE says, else EPSG:4326.")
@click.option("--id", "id_column", metavar="COLUMN", help="Column of --points that names them; else counted from 0.")
@click.option("--skip-outside", is_flag=True, help="Leave out points outside the cube instead of stopping at one.")
@click.option("--timestamp", metavar="TIME", help="A frame index, date or time; all dates by default.")
@period_options
@bands_option
@output_option
@click.option("--json", "as_json", is_flag=True, help="JSON instead of CSV.")
def main(
    file: str,
    lon: float | None,
    lat: float | None,
    points: str | None,
    crs: str | None,
    id_column: str | None,
    skip_outside: bool,
    timestamp: str | None,
    start: str | None,
    end: str | None,
    interval: str | None,
    bands: str | None,
    output: str,
    as_json: bool,
) -> None:
    """Print the values of the cube FILE at a place, or at the points of a file: one line a date and point."""
    import gdal_gndc
    from gdal_gndc.points import LONLAT, Points, read_points
    from gdal_gndc.selection import select_moments

    single = lon is not None and lat is not None
    if single == (points is not None) or (points is None and not single):
        raise click.UsageError("give --lon and --lat, or --points")
    if single and (id_column is not None or skip_outside):
        raise click.UsageError("--id and --skip-outside are for --points")
    if timestamp is not None and (start or end or interval):
        raise click.UsageError("give --timestamp, or --start, --end and --interval")
    if points is not None:
        places = read_points(points, crs=crs, id_column=id_column)
    else:
        assert lon is not None
        assert lat is not None
        places = Points(np.array([lon]), np.array([lat]), LONLAT if crs is None else crs, ("", ""), [0])
    with gdal_gndc.open(file) as dataset:
        chosen = parse_bands(bands, dataset.band_names) or list(range(dataset.n_bands))
        moments = select_moments(
            dataset,
            times=None if timestamp is None else [timestamp],
            every=parse_interval(interval),
            start=start,
            end=end,
        )
        parts = _parts(dataset, places, moments, chosen, single=single, skip=skip_outside)
        write_table(output, parts, as_json=as_json)


def _parts(
    dataset: GNDCDataset, points: Points, moments: Sequence[Moment], bands: Sequence[int], *, single: bool, skip: bool
) -> Iterator[Part]:
    """Give parts of the table: for each point in turn its moments."""
    times = time_column(moments)
    pixels, inside = dataset.pixels_at(points.x, points.y, crs=points.crs, outside="skip" if skip else "raise")
    if not inside.all():
        click.echo(f"gndc: {int((~inside).sum())} of {len(points)} points lie outside the cube", err=True)
    kept = np.flatnonzero(inside)
    step = max(1, _VALUES // (len(moments) * len(bands)))
    # an empty table has its names too
    for first in range(0, max(1, kept.size), step):
        part = kept[first : first + step]
        values = dataset.series_at(pixels[part], moments, list(bands)).reshape(-1, len(bands))
        columns: dict[str, Any] = {}
        if not single:
            columns["point"] = [points.labels[i] for i in part for _ in moments]
            columns[points.columns[0]] = np.repeat(points.x[part], len(moments))
            columns[points.columns[1]] = np.repeat(points.y[part], len(moments))
        columns["time"] = np.tile(times, part.size)
        columns.update({dataset.band_names[b]: values[:, i] for i, b in enumerate(bands)})
        yield columns
