"""``gndc stac``: a cube as a STAC Item."""

from __future__ import annotations

import json
from pathlib import Path

import click

from gdal_gndc.cli.base import Command


@click.command(cls=Command, epilog="Example: gndc stac cube.gndc --href https://example.org/cube.gndc -o cube.json")
@click.argument("file")
@click.option("-o", "--output", default="-", show_default=True, metavar="JSON", help="File; - is stdout.")
@click.option("--href", metavar="URL", help="Where the file is, as the Item shall say; FILE by default.")
@click.option("--id", "item_id", metavar="ID", help="By default the file's name without its suffix.")
def main(file: str, output: str, href: str | None, item_id: str | None) -> None:
    """Write a STAC Item of the cube FILE: place, times, bands and dimensions."""
    import gdal_gndc
    from gdal_gndc.atomic import write_text
    from gdal_gndc.stac import stac_item

    with gdal_gndc.open(file) as dataset:
        item = stac_item(dataset, href=href or file, item_id=item_id)
    text = json.dumps(item, indent=1, ensure_ascii=False) + "\n"
    if output == "-":
        click.echo(text, nl=False)
    else:
        write_text(Path(output), text)
