"""``gndc vrt`` and ``gndc-vrt``: VRTs of a cube."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gdal_gndc.cli.base import Command, bands_option, parse_bands

if TYPE_CHECKING:
    from gdal_gndc.vrt.writer import VRTKeywords


@click.command(
    "gndc-vrt",
    cls=Command,
    epilog="Example: gndc-vrt cube.gndc -o vrts/ --every 5d --start 2018-01-01 --end 2018-12-31",
)
@click.argument("cubes", nargs=-1, required=True, metavar="CUBE...")
@click.option("-o", "--output", "out_dir", required=True, metavar="FOLDER", help="Folder for the VRTs, or a .vrt.")
@click.option(
    "-t",
    "--time",
    "times",
    multiple=True,
    metavar="TIME",
    help="A frame index, date or time, between observations too; can be repeated.",
)
@click.option("--every", metavar="STEP", help="A regular series: 5d, 12h, P1W.")
@click.option("--start", metavar="TIME", help="First time.")
@click.option("--end", metavar="TIME", help="Last time.")
@bands_option
@click.option("--product", help="An index (ndvi, evi, ndwi, ndmi) or a derivative (dx, dy, dt).")
@click.option("--product-bands", metavar="LIST", help="The bands an index takes, in its order.")
@click.option("--bbox", type=float, nargs=4, metavar="LEFT BOTTOM RIGHT TOP", help="Part, in the cube's CRS.")
@click.option("--resolution", metavar="X[,Y]", help="Pixel size in units of the cube's CRS: any.")
@click.option("--crs", help="Warp to another CRS.")
@click.option("--resampling", default="bilinear", show_default=True, help="GDAL's method for --crs.")
@click.option("--overviews", is_flag=True, help="Declare overviews, which gdalwarp uses.")
@click.option("--series", is_flag=True, help="Also one VRT a band with the times as bands.")
@click.option("--relative", is_flag=True, help="Name the cube relative to FOLDER, found through GNDC_PATH.")
@click.option("--stac", is_flag=True, help="Also a STAC collection of the VRTs.")
@click.option("--geoparquet", is_flag=True, help="The tile index as GeoParquet, too.")
@click.option("--block-size", metavar="N|WxH", help="Block size of the VRTs in pixels; about 256 by default.")
@click.option("--template", metavar="FILE", help="A template of your own, or cube, ndvi or rgb8.")
@click.option("--json", "as_json", is_flag=True, help="Print the files as JSON.")
def main(
    cubes: tuple[str, ...],
    out_dir: str,
    times: tuple[str, ...],
    every: str | None,
    start: str | None,
    end: str | None,
    bands: str | None,
    product: str | None,
    product_bands: str | None,
    bbox: tuple[float, float, float, float] | None,
    resolution: str | None,
    crs: str | None,
    resampling: str,
    overviews: bool,
    series: bool,
    relative: bool,
    stac: bool,
    geoparquet: bool,
    block_size: str | None,
    template: str | None,
    as_json: bool,
) -> None:
    """Write one VRT a date of CUBE, and an index, for any GDAL that has Python.

    Without -t or --every there is one for each observation. Several cubes are shown as one mosaic, which
    needs -t or --every. One date of one cube may also be a single file: -t TIME -o june.vrt. GDAL programs
    that are not Python need GDAL_VRT_PYTHON_TRUSTED_MODULES=gdal_gndc.* in their environment, and this
    package on PYTHONPATH.
    """
    import gdal_gndc
    from gdal_gndc.atomic import write_text
    from gdal_gndc.vrt.mosaic import write_mosaics
    from gdal_gndc.vrt.writer import write_vrts

    if times and (every or start or end):
        raise click.UsageError("give -t, or --every, --start and --end, not both")
    options: VRTKeywords = {
        "product": product,
        "bbox": bbox,
        "resolution": _resolution(resolution),
        "crs": crs,
        "resampling": resampling,
        "overviews": overviews,
        "block_size": _block_size(block_size),
        "template": template,
    }
    with gdal_gndc.open(cubes[0]) as dataset:
        options["bands"] = parse_bands(bands, dataset.band_names)
        options["product_bands"] = parse_bands(product_bands, dataset.band_names, "'--product-bands'")
    target = Path(out_dir)
    if target.suffix.lower() == ".vrt" and not target.is_dir():
        if len(cubes) > 1 or len(times) != 1 or series or relative or stac or geoparquet:
            message = f"{out_dir} is one file, for one cube and one -t, without an index; expected a folder"
            raise click.BadParameter(message, param_hint="'--output'")
        write_text(target, gdal_gndc.vrt(cubes[0], times[0], **options))
        click.echo(json.dumps([str(target)]) if as_json else str(target))
        return
    if len(cubes) > 1:
        if series or relative:
            raise click.UsageError("--series and --relative are for one cube")
        files = write_mosaics(
            cubes,
            out_dir,
            times=times or None,
            every=every,
            start=start,
            end=end,
            stac=stac,
            geoparquet=geoparquet,
            progress=not as_json,
            **options,
        )
    else:
        files = write_vrts(
            cubes[0],
            out_dir,
            times=times or None,
            every=every,
            start=start,
            end=end,
            series=series,
            relative=relative,
            stac=stac,
            geoparquet=geoparquet,
            progress=not as_json,
            **options,
        )
    if as_json:
        click.echo(json.dumps([str(file) for file in files], indent=1))
    else:
        click.echo(f"{len(files)} VRTs and index.json in {Path(out_dir)}")


def _block_size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    width, _, height = text.lower().partition("x")
    height = height or width
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        message = f"{text!r} is not a size; expected 256 or 512x128"
        raise click.BadParameter(message, param_hint="'--block-size'")
    return int(width), int(height)


def _resolution(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        parts = [float(part) for part in text.split(",")]
    except ValueError:
        parts = []
    if len(parts) not in (1, 2) or not all(part > 0 for part in parts):
        message = f"{text!r} is not a pixel size; expected 10 or 10,20"
        raise click.BadParameter(message, param_hint="'--resolution'")
    return parts[0], parts[-1]


if __name__ == "__main__":
    main()
