"""The command ``gndc``, which loads the module of a subcommand only when it is called."""

from __future__ import annotations

import importlib
import importlib.util

import click

from gdal_gndc.cli.base import Command

# What `gndc --help` says of each command, so that showing it imports none of them.
COMMANDS = {
    "info": "What a cube holds: size, times, bands, chunks, quality.",
    "encode": "Encode a stack of GeoTIFFs into a cube.",
    "append": "Add later dates to a cube.",
    "verify": "Compare a cube with its sources.",
    "decompress": "A cube as GeoTIFFs, COGs, netCDF or Zarr.",
    "sample": "Values at a place, or at the points of a file.",
    "timeseries": "A pixel's series as CSV or Parquet.",
    "ndvi": "NDVI or another index of one date as a GeoTIFF.",
    "derivative": "Spatial or temporal derivatives as GeoTIFFs.",
    "stac": "A STAC Item of a cube.",
    "vrt": "Write VRTs that every GDAL with Python reads.",
    "qgis": "Write a QGIS project of a cube.",
    "qgis-plugin": "The plugin for QGIS, as a zip.",
    "driver": "Install the GDAL driver, find it, set the environment.",
    "catalog": "Index and query many cubes.",
}


class LazyGroup(Command, click.Group):
    """A group that lists its commands from a table and imports each when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands whose module is there."""
        return [name for name in COMMANDS if importlib.util.find_spec(_module(name)) is not None]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, or None if there is none of this name."""
        if cmd_name not in self.list_commands(ctx):
            return None
        module = importlib.import_module(_module(cmd_name))
        named = (getattr(module, name, None) for name in ("command", "main", cmd_name))
        return next((found for found in named if isinstance(found, click.Command)), None)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name]) for name in self.list_commands(ctx)])


def _module(name: str) -> str:
    return f"gdal_gndc.cli.{name.replace('-', '_')}"


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: gndc info cube.gndc",
)
@click.version_option(package_name="gdal-gndc", prog_name="gndc")
def main() -> None:
    """Neural data cubes (.gndc) as ordinary rasters."""


if __name__ == "__main__":
    main()
