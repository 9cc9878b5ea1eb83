"""Reads rasters with the system's osgeo.gdal: a JSON list of jobs on stdin, arrays a0, a1, ... to an .npz.

A job: name; optional options (open options), window (x, y, width, height), size (columns, rows to give),
bands (1-based), by ("dataset" in one call, or "band" one by one), dtype, resample. With array it is read from
that array of the multidimensional view instead, by optional start, count and step, or as the classic raster
of an optional view. With overview the bands are those of that overview level.
"""

import json
import sys

import numpy as np
from osgeo import gdal

gdal.UseExceptions()


def read(job):
    options = [f"{key}={value}" for key, value in job.get("options", {}).items()]
    dataset = gdal.OpenEx(job["name"], gdal.OF_RASTER | gdal.OF_VERBOSE_ERROR, open_options=options)
    if "overview" in job:
        levels = [dataset.GetRasterBand(i + 1).GetOverview(job["overview"]) for i in range(dataset.RasterCount)]
        return np.stack([level.ReadAsArray() for level in levels])
    x, y, width, height = job.get("window", (0, 0, dataset.RasterXSize, dataset.RasterYSize))
    columns, rows = job.get("size", (int(width), int(height)))
    bands = job.get("bands") or list(range(1, dataset.RasterCount + 1))
    dtype = job.get("dtype", "float32")
    kind = {"float32": gdal.GDT_Float32, "float64": gdal.GDT_Float64, "int16": gdal.GDT_Int16}[dtype]
    resample = getattr(gdal, "GRIORA_" + job.get("resample", "NearestNeighbour"))
    if job.get("by", "dataset") == "dataset":
        array = np.empty((len(bands), rows, columns), dtype)
        dataset.ReadAsArray(
            x,
            y,
            width,
            height,
            buf_obj=array,
            buf_xsize=columns,
            buf_ysize=rows,
            buf_type=kind,
            resample_alg=resample,
            band_list=bands,
        )
        return array
    return np.stack(
        [
            dataset.GetRasterBand(band).ReadAsArray(
                x, y, width, height, columns, rows, buf_type=kind, resample_alg=resample
            )
            for band in bands
        ]
    )


def read_array(job):
    options = [f"{key}={value}" for key, value in job.get("options", {}).items()]
    dataset = gdal.OpenEx(job["name"], gdal.OF_MULTIDIM_RASTER, open_options=options)
    array = dataset.GetRootGroup().OpenMDArray(job["array"])
    dataset = None
    keys = {"array_start_idx": "start", "count": "count", "array_step": "step"}
    if "view" in job:
        return array.GetView(job["view"]).AsClassicDataset(1, 0).ReadAsArray()
    wide = job.get("dtype") == "float64"
    kind = gdal.ExtendedDataType.Create(gdal.GDT_Float64 if wide else gdal.GDT_Float32)
    return array.ReadAsArray(**{name: job[key] for name, key in keys.items() if key in job}, buffer_datatype=kind)


def main():
    jobs = json.load(sys.stdin)
    arrays = {f"a{i}": (read_array if "array" in job else read)(job) for i, job in enumerate(jobs)}
    np.savez(sys.argv[1], **arrays)


main()
