"""``rio gndc``: cubes on rasterio's command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gdal_gndc.cli.base import Command, Failure, explain, parse_bands
from gdal_gndc.cli.main import COMMANDS, LazyGroup
from gdal_gndc.errors import GNDCError

if TYPE_CHECKING:
    from gdal_gndc.vrt.writer import VRTKeywords

SHARED = ("info", "vrt", "encode", "sample")


class RioGroup(LazyGroup):
    """The commands of ``gndc`` that have a place in ``rio``, and ``clip``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands whose module is there."""
        return [name for name in super().list_commands(ctx) if name in SHARED] + ["clip"]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, or None if there is none of this name."""
        return clip if cmd_name == "clip" else super().get_command(ctx, cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; its errors end ``rio`` as they end ``gndc``."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise
        except (GNDCError, OSError, ModuleNotFoundError) as error:
            raise Failure(explain(error)) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        rows = [(name, COMMANDS.get(name, "Part of a cube as a GeoTIFF.")) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


@click.group("gndc", cls=RioGroup, epilog="Example: rio gndc clip cube.gndc part.tif -t 2018-06-30")
def gndc() -> None:
    """Neural data cubes (.gndc)."""


@click.command(
    "clip",
    cls=Command,
    epilog="Example: rio gndc clip cube.gndc part.tif -t 2018-06-30 --bounds '501400 5629100 501900 5629600'",
)
@click.argument("file")
@click.argument("output")
@click.option("-t", "--time", required=True, metavar="TIME", help="A frame index, date or time.")
@click.option("--bounds", metavar="BOUNDS", help="'left bottom right top' in the cube's CRS.")
@click.option("--bands", metavar="LIST", help="Bands by name or number from 1; all by default.")
@click.option("--product", help="An index (ndvi, evi, ndwi, ndmi) or a derivative (dx, dy, dt).")
@click.option("--res", type=click.FloatRange(min=0, min_open=True), help="Pixel size in units of the CRS.")
@click.option("--dst-crs", metavar="CRS", help="Warp to another CRS.")
@click.option("--overwrite", is_flag=True, help="Replace a file that is there.")
def clip(
    file: str,
    output: str,
    time: str,
    bounds: str | None,
    bands: str | None,
    product: str | None,
    res: float | None,
    dst_crs: str | None,
    overwrite: bool,
) -> None:
    """Write a part of the cube FILE at one time to the GeoTIFF OUTPUT."""
    import rasterio.shutil

    import gdal_gndc
    from gdal_gndc.atomic import replacing

    target = Path(output)
    if target.exists() and not overwrite:
        raise click.UsageError(f"{output} exists; --overwrite replaces it")
    options: VRTKeywords = {"product": product, "resolution": res, "crs": dst_crs, "bbox": _bounds(bounds)}
    with gdal_gndc.open(file) as dataset:
        options["bands"] = parse_bands(bands, dataset.band_names)
    with gdal_gndc.open_raster(file, time, **options) as raster, replacing(target) as beside:
        rasterio.shutil.copy(
            raster, beside, driver="GTiff", compress="DEFLATE", predictor="3", tiled="YES", bigtiff="IF_SAFER"
        )


def _bounds(text: str | None) -> tuple[float, float, float, float] | None:
    if text is None:
        return None
    try:
        left, bottom, right, top = (float(part) for part in text.strip("[]").replace(",", " ").split())
    except ValueError:
        message = f"{text!r} is not 'left bottom right top'"
        raise click.BadParameter(message, param_hint="'--bounds'") from None
    return left, bottom, right, top
