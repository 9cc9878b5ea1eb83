"""``gndc append``: later dates for a cube that exists."""

from __future__ import annotations

import json
import logging
from typing import Any

import click

from gdal_gndc.cli.base import Command
from gdal_gndc.cli.input_options import input_options, take_input_options
from gdal_gndc.cli.train_options import train_options

_EPILOG = """\b
Examples:
  gndc append s2.gndc s2/2024/*.tif
  gndc append s2.gndc new/ --preset best --memory 4G
  gndc append s2.gndc new/ --mask new/scl --mask-preset scl
"""


@click.command(cls=Command, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("cube", metavar="CUBE")
@click.argument("inputs", nargs=-1, required=True, metavar="INPUTS...")
@input_options
@train_options(
    preset="What to spend; by default what the cube was made with.",
    max_error="Largest error allowed; by default the one of the cube.",
)
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
