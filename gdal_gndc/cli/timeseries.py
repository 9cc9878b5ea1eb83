"""``gndc timeseries``: a pixel's series as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np
from numpy.typing import NDArray

from gdal_gndc.cli.base import Command, bands_option, parse_bands

if TYPE_CHECKING:
    from gdal_gndc.dataset import GNDCDataset
    from gdal_gndc.time_axis import MomentLike


@click.command(cls=Command, epilog="Example: gndc timeseries cube.gndc --row 30 --col 41 -o series.csv")
@click.argument("file")
@click.option("--row", type=int, required=True, help="Row of the pixel, from 0 at the top.")
@click.option("--col", type=int, required=True, help="Column of the pixel, from 0 at the left.")
@bands_option
@click.option("-o", "--output", default="-", show_default=True, metavar="CSV", help="File; - is stdout.")
def main(file: str, row: int, col: int, bands: str | None, output: str) -> None:
    """Write the series of one pixel of the cube FILE as CSV, one line a date."""
    import gdal_gndc
    from gdal_gndc.atomic import write_text

    with gdal_gndc.open(file) as dataset:
        chosen = parse_bands(bands, dataset.band_names) or list(range(dataset.n_bands))
        values = dataset.pixel_series(row, col, bands=chosen)
        times = row_labels(dataset, range(len(values)))
        text = table(times, [dataset.band_names[i] for i in chosen], values)
    if output == "-":
        click.echo(text, nl=False)
    else:
        write_text(Path(output), text)


def row_labels(dataset: GNDCDataset, moments: Iterable[MomentLike]) -> list[str]:
    """Return the time of each moment, or its frame index in a cube without dates."""
    from gdal_gndc.times import format_time

    resolved = [dataset.resolve_time(t) for t in moments]
    return [str(moment.frame) if moment.time is None else format_time(moment.time) for moment in resolved]


def table(times: Sequence[str], names: Sequence[str], values: NDArray[np.float32]) -> str:
    """Return CSV with a line of names and a line a time; an empty cell is nodata.

    Numbers are the shortest text that gives the same float32 back.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["time", *names])
    for time, row in zip(times, values, strict=True):
        writer.writerow([time, *("" if np.isnan(value) else str(value) for value in row)])
    return buffer.getvalue()
