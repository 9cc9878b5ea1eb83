"""The VRT templates that :mod:`gdal_gndc.vrt` fills in, and how to write one.

Shipped: ``cube`` (every band, or a product), ``series`` (times as bands), ``ndvi`` (one band) and ``rgb8``
(true colour in 8 bits for display).

A template is a file ``NAME.vrt`` with placeholders ``${...}`` as in :class:`string.Template` (a ``$``
itself is written ``$$``); values are escaped for XML. ``gndc-vrt --template mine.vrt`` uses one.
Placeholders of the raster:

``width``, ``height``, ``srs`` (WKT), ``geotransform``, ``anchor`` (Area or Point), ``block_width``,
``block_height``
    What it is.
``path``, ``t``, ``options``
    Arguments of the pixel function. ``options`` begins with a blank and is empty for the whole cube; a
    template that leaves it out shows no part or resolution other than the cube's own.
``time`` (ISO 8601), ``tiff_datetime``, ``acquisition_datetime``, ``observed`` (YES or NO)
    The moment.
``red``, ``green``, ``blue``, ``red_stretch``, ``green_stretch``, ``blue_stretch``
    Numbers of the bands for true colour, and the 2nd and 98th percentile of their values, as ``low,high``.
``bands``
    The bands, each filled in from ``NAME.band.xml`` beside the template, or from the shipped
    ``cube.band.xml``. A band has the placeholders above and ``band`` (its number), ``source_band`` (its
    number in the cube), ``name``, ``unit``, ``color``, ``metadata`` and ``overviews``. A template may
    instead write its bands itself.

The pixel function is ``gdal_gndc.vrt_pixels``; its arguments are those of
:class:`gdal_gndc.vrt.arguments.Arguments`: ``path``, ``t``, ``band`` (name or number), ``product``,
``bands``, ``window`` and, for bands of dataType Byte, ``scale``.
"""
