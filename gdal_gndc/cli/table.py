"""Tables that commands write: CSV, Parquet or JSON."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from gdal_gndc.time_axis import Moment

# columns of a part of a table: numpy arrays or lists, all of one length
Part = Mapping[str, Any]

output_option = click.option(
    "-o", "--output", default="-", show_default=True, metavar="FILE", help="CSV, or .parquet; - is CSV on stdout."
)


def write_table(output: str, parts: Iterable[Part], *, as_json: bool = False) -> None:
    """Write a table part by part.

    Numbers in CSV are the shortest text that gives the same float32 back, times are ISO 8601 in UTC; an empty cell, or
    null, is no data.

    Parameters
    ----------
    output
        A file, which appears when it is complete; ``-`` is stdout. ``.parquet`` or ``.pq``: Parquet.
    as_json
        JSON instead of CSV, a list of rows.
    """
    from gdal_gndc.atomic import replacing

    write: Callable[[IO[str], Iterable[Part]], None] = _write_json if as_json else _write_csv
    if output == "-":
        write(sys.stdout, parts)
        return
    path = Path(output)
    with replacing(path) as beside:
        if path.suffix.lower() in (".parquet", ".pq"):
            _write_parquet(beside, parts)
        else:
            with beside.open("w", newline="", encoding="utf-8") as file:
                write(file, parts)


def time_column(moments: Sequence[Moment]) -> NDArray[Any]:
    """Return the times of moments as naive UTC ``datetime64[us]``, or frame indices in a cube without dates."""
    if any(moment.time is None for moment in moments):
        return np.array([moment.frame for moment in moments], np.int64)
    naive = [moment.time.replace(tzinfo=None) for moment in moments if moment.time is not None]
    return np.array(naive, "datetime64[us]")


def _write_csv(file: IO[str], parts: Iterable[Part]) -> None:
    writer = csv.writer(file, lineterminator="\n")
    for i, part in enumerate(parts):
        if i == 0:
            writer.writerow(list(part))
        writer.writerows(zip(*(_texts(column) for column in part.values()), strict=True))


def _write_json(file: IO[str], parts: Iterable[Part]) -> None:
    rows = []
    for part in parts:
        columns = [_texts(c) if _is_time(c) else [_plain(v) for v in c] for c in part.values()]
        rows += [dict(zip(part, row, strict=True)) for row in zip(*columns, strict=True)]
    file.write(json.dumps(rows, indent=1) + "\n")


def _write_parquet(path: Path, parts: Iterable[Part]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with ExitStack() as stack:
        writer: Any = None
        for part in parts:
            columns = {
                name: pa.array(c, pa.timestamp("us", "UTC")) if _is_time(c) else pa.array(c, from_pandas=True)
                for name, c in part.items()
            }
            table = pa.table(columns)
            writer = writer or stack.enter_context(pq.ParquetWriter(path, table.schema))
            writer.write_table(table)


def _is_time(column: Sequence[Any]) -> bool:
    return isinstance(column, np.ndarray) and column.dtype.kind == "M"


def _texts(column: Sequence[Any]) -> list[str]:
    if _is_time(column):
        return [text.removesuffix(".000000") + "Z" for text in np.datetime_as_string(np.asarray(column), unit="us")]
    if isinstance(column, np.ndarray) and column.dtype.kind == "f":
        return ["" if np.isnan(value) else str(value) for value in column]
    return [str(value) for value in column]


def _plain(value: Any) -> Any:
    if isinstance(value, np.floating):
        return None if np.isnan(value) else float(value)
    return value.item() if isinstance(value, np.generic) else value
