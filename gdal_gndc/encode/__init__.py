"""Rasters to ``.gndc``: sources, plan, training, quantisation, report."""

from gdal_gndc.callable_room import make_callable
from gdal_gndc.encode.encoder import encode
from gdal_gndc.encode.plan import Plan
from gdal_gndc.encode.report import EncodeReport

__all__ = ["EncodeReport", "Plan", "encode"]

make_callable(__name__, "gdal_gndc.encode.encoder", "encode")
