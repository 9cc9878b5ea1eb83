"""Options of every command that trains chunks: `gndc encode` and `gndc append`."""

from __future__ import annotations

from collections.abc import Callable

import click

from gdal_gndc.cli.base import F


def train_options(preset: str, max_error: str) -> Callable[[F], F]:
    """Add the options of a training and of its report; ``preset`` and ``max_error`` are the help of these two."""
    added = [
        click.option("--preset", type=click.Choice(["tiny", "fast", "balanced", "best"]), help=preset),
        click.option("--steps", type=click.IntRange(min=1), help="Training steps of a chunk."),
        click.option("--max-error", metavar="LIST", help=max_error),
        click.option(
            "--interpolate/--no-interpolate",
            default=None,
            help="Teach the network what lies between the dates; by default where a trial says that it helps.",
        ),
        click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the random numbers."),
        click.option("--threads", type=click.IntRange(min=1), help="CPU threads; all cores by default."),
        click.option(
            "--workers", type=click.IntRange(min=1), help="Chunks at a time, each in a process; one a core by default."
        ),
        click.option("--memory", metavar="SIZE", help="Limit for all processes together, such as 4G."),
        click.option(
            "--scheduler", metavar="ADDRESS", help="A Dask scheduler, tcp://...; its workers train the chunks."
        ),
        click.option(
            "--device",
            type=click.Choice(["auto", "cpu", "cuda"]),
            default="auto",
            show_default=True,
            help="Where to train; CUDA needs torch.",
        ),
        click.option("--json", "as_json", is_flag=True, help="Print the report as JSON."),
        click.option("-q", "--quiet", is_flag=True, help="No progress bar, no report."),
        click.option("-v", "--verbose", is_flag=True, help="Say what is planned."),
    ]

    def decorate(function: F) -> F:
        for option in reversed(added):
            function = option(function)
        return function

    return decorate
