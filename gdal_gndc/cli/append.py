"""``gndc append``: later dates for a cube that exists."""

from __future__ import annotations

import json
import logging
from typing import Any

import click

from gdal_gndc.cli.base import Command
from gdal_gndc.cli.input_options import input_options, take_input_options

_EPILOG = """\b
Examples:
  gndc append s2.gndc s2/2024/*.tif
  gndc append s2.gndc new/ --preset best --memory 4G
"""


@click.command(cls=Command, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("cube", metavar="CUBE")
@click.argument("inputs", nargs=-1, required=True, metavar="INPUTS...")
@input_options
@click.option(
    "--preset",
    type=click.Choice(["tiny", "fast", "balanced", "best"]),
    help="What to spend; by default what the cube was made with.",
)
@click.option("--steps", type=click.IntRange(min=1), help="Training steps of a chunk.")
@click.option("--max-error", metavar="LIST", help="Largest error allowed; by default the one of the cube.")
@click.option(
    "--interpolate/--no-interpolate",
    default=None,
    help="Teach the network what lies between the dates; by default where a trial says that it helps.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the random numbers.")
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads; all cores by default.")
@click.option("--workers", type=click.IntRange(min=1), help="Chunks at a time; one a core by default.")
@click.option("--memory", metavar="SIZE", help="Limit for all processes together, such as 4G.")
@click.option("--scheduler", metavar="ADDRESS", help="A Dask scheduler, tcp://...; its workers train the chunks.")
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where to train; CUDA needs torch.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="No progress bar, no report.")
@click.option("-v", "--verbose", is_flag=True, help="Say what is planned.")
def append(
    cube: str, inputs: tuple[str, ...], as_json: bool, quiet: bool, verbose: bool, max_error: str | None, **options: Any
) -> None:
    """Add INPUTS, a stack of later dates, to CUBE as chunks of their own.

    Grid and bands must be those of the cube. What it has is not trained anew and stays as it is, byte for byte. The
    file is replaced when the new one is complete and verified.
    """
    from gdal_gndc.cli.encode import bounds_of
    from gdal_gndc.encode.append import append as run

    if verbose:
        logging.basicConfig(level=logging.INFO, format="%(message)s")
    source_options = take_input_options(options)
    report = run(
        cube, list(inputs), progress=not quiet, max_error=bounds_of(max_error), **options, **source_options
    )  # fmt: skip
    if as_json:
        click.echo(json.dumps(report.to_json(), indent=1))
    elif not quiet:
        click.echo(report.table())
