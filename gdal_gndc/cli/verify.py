"""``gndc verify``: is a cube what it says of itself?"""

from __future__ import annotations

import json
from typing import Any

import click

from gdal_gndc.cli.base import Command
from gdal_gndc.cli.input_options import input_options, take_input_options

_EPILOG = """\b
Examples:
  gndc verify s2.gndc s2/*.tif
  gndc verify s2.gndc s2/ --max-error 0.01
  gndc verify s2.gndc s2/ --json
  gndc verify s2.gndc s2/ --mask scl/ --mask-preset scl
"""


@click.command(cls=Command, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("cube", metavar="CUBE")
@click.argument("inputs", nargs=-1, required=True, metavar="INPUTS...")
@click.option("--max-error", metavar="LIST", help="A bound to check; by default the one the cube was made with.")
@input_options
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
def verify(cube: str, inputs: tuple[str, ...], max_error: str | None, as_json: bool, **options: Any) -> int:
    """Decode CUBE, compare it with INPUTS, the stack it was made from, and check its metrics and its error bound.

    The exit code is 0 when all holds, 1 when something does not.
    """
    from gdal_gndc.cli.encode import bounds_of
    from gdal_gndc.encode.check import verify as run

    found = run(cube, list(inputs), max_error=bounds_of(max_error), **take_input_options(options))
    if as_json:
        members = {"holds": found.holds, "checked": found.checked, "problems": found.problems, "metrics": found.metrics}
        click.echo(json.dumps(members, indent=1))
    else:
        metrics = found.metrics
        click.echo(
            f"{cube}: RMSE {metrics['rmse']:.5g}, largest error {metrics['max_error']:.5g}, "
            f"PSNR {metrics['psnr'] or float('inf'):.2f} dB over {metrics['n_valid']:,} samples"
        )
        click.echo("checked: " + ", ".join(found.checked))
        for problem in found.problems:
            click.echo(f"gndc: {cube}: {problem}", err=True)
    return 0 if found.holds else 1
