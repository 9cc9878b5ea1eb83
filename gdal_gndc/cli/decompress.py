"""``gndc decompress``: a cube as GeoTIFFs."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import click

from gdal_gndc.cli.base import Command, bands_option, parse_bands

if TYPE_CHECKING:
    from gdal_gndc.export import Format


@click.command(cls=Command, epilog="Example: gndc decompress -i cube.gndc -o tifs/ --start 2018-01-01 --interval 10")
@click.option("-i", "--input", "file", required=True, metavar="FILE", help="The cube.")
@click.option("-o", "--output", "out_dir", required=True, metavar="FOLDER", help="Folder for the GeoTIFFs.")
@click.option("--start", metavar="TIME", help="First time.")
@click.option("--end", metavar="TIME", help="Last time.")
@click.option(
    "--interval",
    type=click.FloatRange(min=0, min_open=True),
    metavar="DAYS",
    help="Write a regular series of this step instead of the observations.",
)
@bands_option
@click.option("--format", "kind", type=click.Choice(["tif", "cog"]), default="tif", show_default=True)
@click.option("--overwrite", is_flag=True, help="Write again what an earlier run completed.")
@click.option("-q", "--quiet", is_flag=True, help="No progress bar.")
def main(
    file: str,
    out_dir: str,
    start: str | None,
    end: str | None,
    interval: float | None,
    bands: str | None,
    kind: Format,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Write the observations of a cube between --start and --end, or a regular series, as GeoTIFFs.

    A run that was interrupted goes on where it stopped: files that are complete are left as they are.
    """
    import gdal_gndc
    from gdal_gndc.export import to_tifs

    with gdal_gndc.open(file) as dataset:
        files = to_tifs(
            dataset,
            out_dir,
            start=start,
            end=end,
            every=None if interval is None else timedelta(days=interval),
            bands=parse_bands(bands, dataset.band_names),
            format=kind,
            overwrite=overwrite,
            progress=not quiet,
        )
    click.echo(f"{len(files)} GeoTIFFs in {out_dir}")
