"""What every command shares: how errors end a run, and options that several commands take."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import IO, Any, TypeVar

import click

from gdal_gndc.errors import GNDCError

INTERRUPTED = 130
# The extra of this package that brings a module.
EXTRAS = {
    "torch": "encode",
    "geopandas": "catalog",
    "pandas": "catalog",
    "shapely": "catalog",
    "pyarrow": "catalog",
    "duckdb": "catalog",
    "xarray": "xarray",
    "dask": "xarray",
    "distributed": "cluster",
    "h5netcdf": "xarray",
    "h5py": "xarray",
    "zarr": "xarray",
    "exactextract": "zonal",
}

F = TypeVar("F", bound=Callable[..., Any])


class Command(click.Command):
    """A command that ends with one line on stderr: ``gndc: ...`` and code 1; 2 for usage, 130 for Ctrl-C."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, False, **extra)
        sys.exit(run(lambda: super(Command, self).main(args, prog_name, complete_var, False, **extra)))


def run(call: Callable[[], object]) -> int:
    """Run a command and return its exit code, after telling the user what went wrong."""
    try:
        # Without click's standalone mode ctx.exit(n), which --help uses too, comes back as n.
        result = call()
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("gndc: interrupted", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe has gone (`gndc timeseries ... | head`): silent, as click is about it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (GNDCError, OSError, ModuleNotFoundError) as error:
        click.echo(f"gndc: {explain(error)}", err=True)
        return 1


class Failure(click.ClickException):
    """An error as ``gndc`` tells it, for a command that runs below another program's group, such as ``rio``."""

    def show(self, file: IO[Any] | None = None) -> None:
        """Write the message to stderr."""
        click.echo(f"gndc: {self.message}", err=True)


def explain(error: BaseException) -> str:
    """Return the one sentence that tells a user what went wrong."""
    if isinstance(error, GNDCError):
        return str(error)
    if isinstance(error, ModuleNotFoundError):
        name = (error.name or "a module").partition(".")[0]
        extra = EXTRAS.get(name)
        remedy = f": pip install 'gdal-gndc[{extra}]'" if extra else ""
        return f"this needs {name}, which is not installed{remedy}"
    # rasterio reports "see previous exception": the reason is our own error below it, or in a pixel function.
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, GNDCError):
            return str(cause)
        cause = cause.__cause__ or cause.__context__
    pixels = sys.modules.get("gdal_gndc.vrt.pixels")
    if pixels is not None and isinstance(failure := pixels.failure_behind(error), GNDCError):
        return str(failure)
    filename = getattr(error, "filename", None)
    return f"{filename}: {getattr(error, 'strerror', None) or error}" if filename else str(error)


time_option = click.option(
    "-t",
    "--time",
    "moment",
    default="0",
    metavar="TIME",
    help="A frame index, date or time; the first date by default.",
)


def index_option(text: str) -> Callable[[F], F]:
    """Add ``--index``; ``text`` is its help."""
    names = click.Choice(["ndvi", "evi", "ndwi", "ndmi"])
    return click.option("--index", type=names, default="ndvi", show_default=True, help=text)


def period_options(function: F) -> F:
    """Add ``--start``, ``--end`` and ``--interval``, which :func:`parse_interval` reads."""
    added = [
        click.option("--start", metavar="TIME", help="First time."),
        click.option("--end", metavar="TIME", help="Last time; a date includes its day."),
        click.option(
            "--interval",
            metavar="DAYS",
            help="A regular series of this step instead of the observations: 10, or 12h, P1W.",
        ),
    ]
    for option in reversed(added):
        function = option(function)
    return function


def parse_interval(text: str | None) -> timedelta | None:
    """Return the step of ``--interval``: a number of days, or a duration with its unit.

    Raises
    ------
    click.BadParameter
        If it is neither.
    """
    from gdal_gndc.times import parse_duration

    if text is None:
        return None
    try:
        return parse_duration(f"{text}d" if text.replace(".", "", 1).isdecimal() else text)
    except GNDCError as error:
        raise click.BadParameter(str(error), param_hint="'--interval'") from error


def parse_numbers(text: str | None, option: str) -> list[float] | None:
    """Return numbers separated by commas.

    Raises
    ------
    click.BadParameter
        If one is none.
    """
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a number, or numbers by commas", param_hint=option) from None


def bands_option(function: F) -> F:
    """Add ``--bands``, whose value :func:`parse_bands` takes apart."""
    return click.option(
        "--bands",
        metavar="LIST",
        help="Bands by name or number from 1, separated by commas; all by default.",
    )(function)


def parse_bands(text: str | None, names: Sequence[str], option: str = "'--bands'") -> list[int] | None:
    """Return 0-based band indices from names and 1-based numbers.

    Raises
    ------
    click.BadParameter
        If an item is neither.
    """
    if text is None:
        return None
    found = []
    for item in (part.strip() for part in text.split(",")):
        if item in names:
            found.append(list(names).index(item))
        elif item.isdecimal() and 1 <= int(item) <= len(names):
            found.append(int(item) - 1)
        else:
            raise click.BadParameter(
                f"no band {item!r}; expected 1 to {len(names)} or one of {', '.join(names)}",
                param_hint=option,
            )
    return found
