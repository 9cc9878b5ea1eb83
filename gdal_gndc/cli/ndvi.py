"""``gndc ndvi``: a spectral index as a GeoTIFF."""

from __future__ import annotations

import click

from gdal_gndc.cli.base import Command, bands_option, index_option, parse_bands, time_option


@click.command(cls=Command, epilog="Example: gndc ndvi cube.gndc -t 2018-06-30 -o ndvi.tif")
@click.argument("file")
@click.option("-o", "--output", required=True, metavar="TIF", help="The GeoTIFF to write.")
@time_option
@index_option("Another index.")
@bands_option
def main(file: str, output: str, moment: str, index: str, bands: str | None) -> None:
    """Write the NDVI, or another index, of the cube FILE at a time.

    --bands names the index's bands: red,nir for ndvi; red,nir,blue for evi; green,nir for ndwi; nir,swir for ndmi.
    By default they are found by common name, wavelength or the usual names.
    """
    import gdal_gndc
    from gdal_gndc.errors import CoordinateError
    from gdal_gndc.indices import index_named
    from gdal_gndc.products import index_tif

    with gdal_gndc.open(file) as dataset:
        chosen = parse_bands(bands, dataset.band_names)
        roles = index_named(index).roles
        if chosen is not None and len(chosen) != len(roles):
            raise CoordinateError(f"{len(chosen)} bands for {index}, expected {','.join(roles)}")
        index_tif(dataset, output, index, moment, chosen)
    click.echo(output)
