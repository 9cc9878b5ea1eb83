"""``gndc encode``: a stack of rasters becomes a cube."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import click

from gdal_gndc.cli.base import Command

_EPILOG = """\b
Examples:
  gndc encode s2/*.tif -o s2.gndc
  gndc encode s2/*.tif -o s2.gndc --max-error 0.01
  gndc encode archive/ -o archive.gndc --preset best
  gndc encode *.tif -o cube.gndc --date-regex '_(?P<year>\\d{4})(?P<yearday>\\d{3})_'
"""


def _bounds(text: str | None) -> float | list[float] | None:
    if text is None:
        return None
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise click.BadParameter(f"{text!r}: expected numbers by commas", param_hint="'--max-error'") from error
    return found[0] if len(found) == 1 else found


@click.command(cls=Command, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("inputs", nargs=-1, required=True, metavar="INPUTS...")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The .gndc file to write.")
@click.option("--date-regex", metavar="REGEX", help="Finds the date in a file's name.")
@click.option(
    "--preset",
    type=click.Choice(["tiny", "fast", "balanced", "best"]),
    default="balanced",
    show_default=True,
    help="What to spend: bytes and time, or quality.",
)
@click.option("--steps", type=click.IntRange(min=1), help="Training steps of a chunk.")
@click.option("--rate-weight", type=click.FloatRange(min=0), help="Weight of a bit a sample beside the squared error.")
@click.option(
    "--decoder",
    type=click.Choice(["auto", "float16", "int8"]),
    default="auto",
    show_default=True,
    help="How the decoder's weights are stored.",
)
@click.option("--max-error", metavar="LIST", help="Largest error allowed, for all bands or one a band by commas.")
@click.option("--interpolate", is_flag=True, help="Teach the network what lies between the dates.")
@click.option("--chunk-size", type=click.IntRange(min=16), help="Largest side of a chunk in pixels.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the random numbers.")
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads; all cores by default.")
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where to train; CUDA needs torch.",
)
@click.option("--overwrite", is_flag=True, help="Replace a file that exists.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="No progress bar, no report.")
@click.option("-v", "--verbose", is_flag=True, help="Say what is planned.")
def encode(inputs: tuple[str, ...], as_json: bool, quiet: bool, verbose: bool, **options: Any) -> None:
    """Encode INPUTS, rasters of one grid with one date each, as a neural data cube.

    INPUTS are files, directories, quoted patterns or text lists of them. Dates are taken from the names or the tags.
    The file appears when it is complete and has been decoded and compared with its sources.
    """
    from gdal_gndc.encode.encoder import encode as run

    if verbose:
        logging.basicConfig(level=logging.INFO, format="%(message)s")
    output = options.pop("output")
    options["max_error"] = _bounds(options["max_error"])
    report = run(list(inputs), output, progress=not quiet, **options)
    if as_json:
        click.echo(json.dumps(report.to_json(), indent=1))
    elif not quiet:
        click.echo(report.table())
