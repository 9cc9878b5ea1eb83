"""``gndc timeseries``: a pixel's series as CSV or Parquet."""

from __future__ import annotations

import click

from gdal_gndc.cli.base import Command, bands_option, parse_bands, parse_interval, period_options
from gdal_gndc.cli.table import output_option, time_column, write_table

EXAMPLES = """\b
Examples:
  gndc timeseries cube.gndc --row 30 --col 41 -o series.csv
  gndc timeseries cube.gndc --row 30 --col 41 --start 2018-04-01 --end 2018-09-30 --interval 1 -o daily.parquet
  gndc timeseries cube.gndc --row 30 --col 41 --bands B04,B08 | head"""


@click.command(cls=Command, epilog=EXAMPLES)
@click.argument("file")
@click.option("--row", type=int, required=True, help="Row of the pixel, from 0 at the top.")
@click.option("--col", type=int, required=True, help="Column of the pixel, from 0 at the left.")
@period_options
@bands_option
@output_option
@click.option("--json", "as_json", is_flag=True, help="JSON instead of CSV.")
def main(
    file: str,
    row: int,
    col: int,
    start: str | None,
    end: str | None,
    interval: str | None,
    bands: str | None,
    output: str,
    as_json: bool,
) -> None:
    """Write the series of one pixel of the cube FILE: its observations, or a regular series; one line a date."""
    import gdal_gndc
    from gdal_gndc.selection import select_moments

    with gdal_gndc.open(file) as dataset:
        chosen = parse_bands(bands, dataset.band_names) or list(range(dataset.n_bands))
        moments = select_moments(dataset, every=parse_interval(interval), start=start, end=end)
        values = dataset.series_at([[row, col]], moments, chosen)[0]
        columns = {dataset.band_names[band]: values[:, i] for i, band in enumerate(chosen)}
        write_table(output, [{"time": time_column(moments), **columns}], as_json=as_json)
