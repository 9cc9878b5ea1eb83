"""Options of every command that reads a stack: `gdal_gndc.encode.inputs.open_source` on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import click

from gdal_gndc.cli.base import F, parse_numbers

if TYPE_CHECKING:
    from gdal_gndc.encode.inputs import SourceOptions

_RESAMPLING = ["nearest", "bilinear", "cubic", "cubic_spline", "lanczos", "average", "mode", "max", "min", "med", "rms"]


def input_options(function: F) -> F:
    """Add the options that say how inputs are read; `take_input_options` takes them out of a command's."""
    added = [
        click.option("--date-regex", metavar="REGEX", help="Finds the date in a file's name."),
        click.option(
            "--merge",
            type=click.Choice(["first", "last", "mean", "median", "min", "max"]),
            help="Make one of several files of one date: the first valid value of each sample, or another.",
        ),
        click.option(
            "--group-by",
            type=click.Choice(["time", "day"]),
            default="time",
            show_default=True,
            help="Which files --merge takes together.",
        ),
        click.option("--skip-bad", is_flag=True, help="Leave out files that cannot be read or dated, and report them."),
        click.option("--align", is_flag=True, help="Warp all files to one grid, that of the first."),
        click.option("--crs", metavar="CRS", help="CRS of the grid of --align, such as EPSG:32631."),
        click.option("--resolution", metavar="SIZE", help="Its pixel size in units of the CRS, or X,Y."),
        click.option("--bounds", metavar="BOX", help="Its left,bottom,right,top; or first (the default), or union."),
        click.option(
            "--resampling", type=click.Choice(_RESAMPLING), default="nearest", show_default=True, help="Of --align."
        ),
        click.option("--variables", metavar="LIST", help="Variables of netCDF and Zarr that are the bands, by commas."),
        click.option("--assets", metavar="LIST", help="Assets of STAC items that are the bands, by commas."),
        click.option(
            "--mask",
            multiple=True,
            metavar="FILES",
            help="A quality layer that hides pixels: files, a folder or a pattern, or band:NAME of the inputs.",
        ),
        click.option("--mask-values", metavar="LIST", help="Values of it that hide, by commas; or a preset."),
        click.option("--mask-bits", metavar="LIST", help="Bits of it that hide, by commas, 0 the least significant."),
        click.option(
            "--mask-preset", type=click.Choice(["scl", "qa60", "fmask", "hls", "landsat"]), help="What hides, by name."
        ),
        click.option("--fill-gaps", is_flag=True, help="Let the cube answer where a date has no data of its own."),
    ]
    for option in reversed(added):
        function = option(function)
    return function


def take_input_options(options: dict[str, Any]) -> SourceOptions:
    """Take the options of `input_options` out of a command's, as `open_source` wants them.

    Raises
    ------
    click.BadParameter
        If a list of numbers is none.
    """
    names = ("date_regex", "merge", "group_by", "skip_bad", "align", "crs", "resampling", "mask_preset", "fill_gaps")
    found: dict[str, Any] = {name: options.pop(name) for name in names}
    size = parse_numbers(options.pop("resolution"), "'--resolution'")
    if size is not None and len(size) not in (1, 2):
        raise click.BadParameter(f"{len(size)} numbers, expected 1 or 2", param_hint="'--resolution'")
    found["resolution"] = size[0] if size and len(size) == 1 else tuple(size) if size else None
    bounds = options.pop("bounds")
    if bounds not in (None, "first", "union"):
        box = parse_numbers(bounds, "'--bounds'")
        if box is None or len(box) != 4:
            raise click.BadParameter(f"{bounds!r}: expected left,bottom,right,top", param_hint="'--bounds'")
        bounds = tuple(box)
    found["bounds"] = bounds
    for name in ("variables", "assets"):
        text = options.pop(name)
        found[name] = None if text is None else [part.strip() for part in text.split(",")]
    masks = list(options.pop("mask"))
    found["mask"] = masks[0] if len(masks) == 1 else masks or None
    values = options.pop("mask_values")
    found["mask_values"] = values if values and values.isidentifier() else _integers(values, "'--mask-values'")
    found["mask_bits"] = _integers(options.pop("mask_bits"), "'--mask-bits'")
    return cast("SourceOptions", found)


def _integers(text: str | None, option: str) -> list[int] | None:
    found = parse_numbers(text, option)
    if found is not None and any(number != int(number) for number in found):
        raise click.BadParameter(f"{text!r}: expected whole numbers by commas", param_hint=option)
    return None if found is None else [int(number) for number in found]
