"""The GDAL driver: C++ sources, built against this machine's libgdal, and their installer."""
