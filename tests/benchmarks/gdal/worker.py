"""Reads rasters with the system's osgeo.gdal and says how long it took; see __main__.py.

python3 worker.py overview NAME       seconds to open it and read three bands of the whole onto 300 x 300 pixels
python3 worker.py frame NAME          seconds of one ReadAsArray of all bands, the file open already
python3 worker.py session NAME SEED   seconds of 20 views as QGIS asks for them
"""

import random
import sys
import time

from osgeo import gdal

gdal.UseExceptions()
VIEWS, COLUMNS, ROWS = 20, 1000, 700


def frame(name):
    dataset = gdal.Open(name)
    # what a file keeps in memory is there before the clock starts: the chunk of a cube, tile indices
    dataset.GetRasterBand(1).ReadAsArray(0, 0, 8, 8)
    started = time.perf_counter()
    dataset.ReadAsArray()
    return time.perf_counter() - started


def overview(name):
    started = time.perf_counter()
    dataset = gdal.Open(name)
    for band in (3, 2, 1):
        dataset.GetRasterBand(band).ReadAsArray(buf_xsize=300, buf_ysize=300)
    return time.perf_counter() - started


def session(name, seed):
    """Views of random zoom at random places, three bands each, band by band into a screen's pixels."""
    chance = random.Random(int(seed))
    started = time.perf_counter()
    dataset = gdal.Open(name)
    width, height = dataset.RasterXSize, dataset.RasterYSize
    for _ in range(VIEWS):
        # from one screen pixel on half a pixel of the raster to the whole raster on the screen
        scale = 2 ** chance.uniform(-1, 1.78)
        w, h = min(width, round(COLUMNS * scale)), min(height, round(ROWS * scale))
        x, y = chance.randint(0, width - w), chance.randint(0, height - h)
        columns, rows = min(COLUMNS, round(w / scale)), min(ROWS, round(h / scale))
        for band in (3, 2, 1):
            dataset.GetRasterBand(band).ReadAsArray(x, y, w, h, columns, rows)
    return time.perf_counter() - started


print({"frame": frame, "overview": overview, "session": session}[sys.argv[1]](*sys.argv[2:]))
