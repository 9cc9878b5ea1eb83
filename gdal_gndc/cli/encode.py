"""``gndc encode``: a stack of rasters becomes a cube."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gdal_gndc.cli.base import Command
from gdal_gndc.cli.input_options import input_options, take_input_options
from gdal_gndc.cli.train_options import train_options

if TYPE_CHECKING:
    from gdal_gndc.encode.inputs import SourceOptions

_GOAL_MISSED = 3
_EPILOG = """\b
Examples:
  gndc encode s2/*.tif -o s2.gndc
  gndc encode s2/*.tif -o s2.gndc --max-error 0.01
  gndc encode s2/*.tif -o s2.gndc --target-psnr 36
  gndc encode s2/*.tif --dry-run --target-size 40000 --save-config plan.yaml
  gndc encode s2/*.tif -o s2.gndc --config plan.yaml
  gndc encode archive/ -o archive.gndc --preset best --memory 4G --workers 4
  gndc encode archive/ -o archive.gndc --scheduler tcp://host:8786
  gndc encode s2/*.tif -o s2.gndc --mask scl/ --mask-preset scl --fill-gaps
  gndc encode s2/*.tif -o s2.gndc --mask qa.parquet --mask-bits 10,11
  gndc encode tiles.parquet -o tiles.gndc --crs EPSG:32631 --resolution 10 --bounds 500000,5600000,510000,5610000
  gndc encode tiles/*.tif -o tiles.gndc --merge first --group-by day --bounds union
  gndc encode weather.nc -o weather.gndc --variables t2m,tp
  gndc encode items.json -o items.gndc --assets red,nir --skip-bad
  gndc encode *.tif -o cube.gndc --date-regex '_(?P<year>\\d{4})(?P<yearday>\\d{3})_'
"""


def bounds_of(text: str | None) -> float | list[float] | None:
    """Return the numbers of ``--max-error``."""
    if text is None:
        return None
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise click.BadParameter(f"{text!r}: expected numbers by commas", param_hint="'--max-error'") from error
    return found[0] if len(found) == 1 else found


@click.command(cls=Command, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("inputs", nargs=-1, required=True, metavar="INPUTS...")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The .gndc file to write.")
@input_options
@train_options(
    preset="What to spend: bytes and time, or quality; balanced by default.",
    max_error="Largest error allowed, for all bands or one a band by commas.",
)
@click.option("--target-psnr", type=float, metavar="DB", help="Reach this PSNR with as few bytes as it takes.")
@click.option("--target-bps", type=float, metavar="BITS", help="As good as so many bits a sample allow.")
@click.option("--target-size", type=int, metavar="BYTES", help="As good as a file of this size allows.")
@click.option("--config", type=click.Path(path_type=Path), help="A plan that --save-config wrote, used as it is.")
@click.option("--save-config", type=click.Path(path_type=Path), help="Write the plan as YAML.")
@click.option("--dry-run", is_flag=True, help="Only say what is planned and expected, after a short trial.")
@click.option("--rate-weight", type=click.FloatRange(min=0), help="Weight of a bit a sample beside the squared error.")
@click.option(
    "--decoder",
    type=click.Choice(["auto", "float16", "int8"]),
    default="auto",
    show_default=True,
    help="How the decoder's weights are stored.",
)
@click.option("--chunk-size", type=click.IntRange(min=16), help="Largest side of a chunk in pixels.")
@click.option("--chunk-dates", type=click.IntRange(min=8), help="Most dates of a chunk.")
@click.option(
    "--resume/--no-resume",
    default=True,
    show_default=True,
    help="Go on from what an interrupted run of the same command finished.",
)
@click.option(
    "--preview/--no-preview", default=None, help="Store a small picture; by default in files of fifty times its size."
)
@click.option("--overwrite", is_flag=True, help="Replace a file that exists.")
def encode(inputs: tuple[str, ...], as_json: bool, quiet: bool, verbose: bool, **options: Any) -> int | None:
    """Encode INPUTS, rasters of one grid with one date each, as a neural data cube.

    INPUTS are files, directories, quoted patterns or text lists of them. Dates are taken from the names or the tags.
    The file appears when it is complete and has been decoded and compared with its sources. The exit code is 3 when
    the file written misses its target.
    """
    from gdal_gndc.encode.encoder import encode as run
    from gdal_gndc.encode.plan import Plan

    if verbose:
        logging.basicConfig(level=logging.INFO, format="%(message)s")
    source_options = take_input_options(options)
    config = options.pop("config")
    options["plan"] = Plan.load(config) if config else None
    options["max_error"] = bounds_of(options["max_error"])
    save_config = options.pop("save_config")
    if options.pop("dry_run"):
        _dry_run(inputs, save_config, source_options, options)
        return None
    output = options.pop("output")
    if output is None:
        raise click.UsageError("Missing option '-o' / '--output'.")
    report = run(list(inputs), output, progress=not quiet, **source_options, **options)
    if save_config:
        report.plan.save(save_config)
    if as_json:
        click.echo(json.dumps(report.to_json(), indent=1))
    elif not quiet:
        click.echo(report.table())
    if report.goal_reached is False:
        click.echo(f"gndc: {output}: {report.goal and report.goal.text()} was not reached", err=True)
        return _GOAL_MISSED
    return None


def _dry_run(
    inputs: tuple[str, ...], save_config: Path | None, source_options: SourceOptions, options: dict[str, Any]
) -> None:
    from gdal_gndc.encode.inputs import open_source
    from gdal_gndc.encode.memory import parse_memory
    from gdal_gndc.encode.within import prepare_within

    for key in ("output", "device", "overwrite", "scheduler", "resume", "preview"):
        options.pop(key)
    memory, workers = options.pop("memory"), options.pop("workers")
    limit = None if memory is None else parse_memory(memory)
    prepared = prepare_within(limit, workers, open_source(list(inputs), **source_options), **options)
    click.echo(prepared.explain())
    if save_config:
        prepared.plan.save(save_config)
