"""``gndc qgis``: a QGIS project of a cube."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from gdal_gndc.cli.base import Command, bands_option, parse_bands


@click.command(cls=Command, epilog="Example: gndc qgis cube.gndc -o cube.qgs --product ndvi --every 5d")
@click.argument("file")
@click.option("-o", "--output", metavar="QGS", help="The project; by default FILE's name with .qgs, in this folder.")
@click.option(
    "--product",
    type=click.Choice(["ndvi", "evi", "ndwi", "ndmi", "dx", "dy", "dt"]),
    help="Show this index, or the derivative of a band by x, y or time.",
)
@bands_option
@click.option("--every", metavar="STEP", help="Regular times instead of the observations: 5d, 12h, P1W.")
@click.option("--start", metavar="TIME", help="First time.")
@click.option("--end", metavar="TIME", help="Last time.")
@click.option(
    "--source",
    type=click.Choice(["option", "gndc", "vrt"]),
    default="option",
    show_default=True,
    help="How layers name the cube: relative to the project; GNDC: with its absolute path; VRTs, without the driver.",
)
@click.option("--qlr", is_flag=True, help="Also a layer definition, which adds the layers to any project.")
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
def main(
    file: str,
    output: str | None,
    product: str | None,
    bands: str | None,
    every: str | None,
    start: str | None,
    end: str | None,
    source: str,
    qlr: bool,
    as_json: bool,
) -> None:
    """Write a QGIS project of the cube FILE: a layer a date, and the temporal controller set to step through them.

    True colour where the cube tells its red, green and blue bands, else one band with a colour ramp; --bands takes
    one or three, and the one whose derivative --product shows. The values shown are the 2nd to 98th percentile of the
    cube. The style lies beside the project as .qml.
    """
    import gdal_gndc
    from gdal_gndc.qgis import write_project
    from gdal_gndc.qgis_plugin.style import DERIVATIVES

    derivative = product in DERIVATIVES
    if product is not None and bands is not None and not derivative:
        raise click.UsageError("give --product or --bands, not both: an index finds its bands")
    with gdal_gndc.open(file) as dataset:
        shown = parse_bands(bands, dataset.band_names)
        names = dataset.band_names
    if shown is not None and len(shown) not in ((1,) if derivative else (1, 3)):
        expected = "one" if derivative else "one or three"
        raise click.BadParameter(f"{len(shown)} bands, expected {expected}", param_hint="'--bands'")
    target = Path(output) if output else Path(f"{Path(file).stem}{f'_{product}' if product else ''}.qgs")
    written = write_project(
        file,
        target,
        product=product,
        bands=shown,
        every=every,
        start=start,
        end=end,
        source=source,
        definition=qlr,
    )
    if as_json:
        click.echo(json.dumps(asdict(written), indent=1, default=str))
        return
    look = written.look
    titles = [names[band - 1] for band in look.bands]
    if look.product:
        titles = [f"{look.product} of {titles[0]}" if derivative else look.product.upper()]
    told = ", ".join(f"{title} {low:.4g} to {high:.4g}" for title, (low, high) in zip(titles, look.limits, strict=True))
    click.echo(f"{written.project}: {written.layers} layers; {told}")
    click.echo(f"style {written.style}")
    if written.definition is not None:
        click.echo(f"layer definition {written.definition}")
    if written.vrts:
        click.echo(f"VRTs in {written.vrts[0].parent}")
