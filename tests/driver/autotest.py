"""Tests of the driver in the way of GDAL's autotest; run by test_autotest.py with the system's osgeo.gdal.

    python3 autotest.py CASES SCRATCH

prints a JSON object: for each function ``gndc_*`` "success" or what went wrong, and the checksums of a frame.
"""

import json
import shutil
import sys
import traceback
from pathlib import Path

import numpy as np
from osgeo import gdal, osr

gdal.UseExceptions()
CASES, SCRATCH = map(Path, sys.argv[1:])
CUBE = str(CASES / "basic_i8dec.gndc")
MASKED = str(CASES / "i16dec_log_dynamic.gndc")
GEOTRANSFORM = (399960.0, 10.0, 0.0, 5300040.0, 0.0, -10.0)
LAST = 255


def fails(name, flags=gdal.OF_RASTER | gdal.OF_VERBOSE_ERROR, options=()):
    """The message with which a name is refused."""
    try:
        opened = gdal.OpenEx(name, flags, open_options=list(options))
    except RuntimeError as error:
        return str(error)
    assert opened is None, f"{name} opened"
    return ""


def gndc_driver():
    driver = gdal.GetDriverByName("GNDC")
    metadata = driver.GetMetadata()
    assert metadata["DMD_EXTENSIONS"] == "gndc"
    assert metadata["DMD_CONNECTION_PREFIX"] == "GNDC:"
    for capability in ("DCAP_OPEN", "DCAP_RASTER", "DCAP_MULTIDIM_RASTER", "DCAP_VIRTUALIO", "DMD_SUBDATASETS"):
        assert metadata[capability] == "YES", capability
    for option in ("T", "BANDS", "BAND", "EVERY", "PRODUCT", "NUM_THREADS", "RESAMPLING", "MASK", "PRECISION"):
        assert f"<Option name='{option}'" in metadata["DMD_OPENOPTIONLIST"], option
    assert "DCAP_CREATE" not in metadata


def gndc_identify():
    assert gdal.IdentifyDriver(CUBE).ShortName == "GNDC"
    assert gdal.IdentifyDriver(f"GNDC:{CUBE}:t=0").ShortName == "GNDC"
    for name, content in (("empty.gndc", b""), ("text.gndc", b"no archive" * 60), ("zip.txt", None)):
        path = SCRATCH / name
        path.write_bytes(Path(CUBE).read_bytes() if content is None else content)
        found = gdal.IdentifyDriver(str(path))
        assert found is None or found.ShortName != "GNDC", name


def gndc_subdatasets():
    dataset = gdal.Open(CUBE)
    assert (dataset.RasterXSize, dataset.RasterYSize, dataset.RasterCount) == (83, 61, 0)
    listed = dataset.GetSubDatasets()
    assert len(listed) == 7
    for i, (name, description) in enumerate(listed):
        raster = gdal.Open(name)
        assert raster.RasterCount == 3
        time = raster.GetMetadataItem("time")
        assert time in name and description.startswith(time)
        same = gdal.Open(f"GNDC:{CUBE}:t={i}")
        assert [raster.GetRasterBand(b).Checksum() for b in (1, 2, 3)] == [
            same.GetRasterBand(b).Checksum() for b in (1, 2, 3)
        ]


def gndc_georeference():
    dataset = gdal.Open(f"GNDC:{CUBE}:t=3")
    assert dataset.GetGeoTransform() == GEOTRANSFORM
    expected = osr.SpatialReference()
    expected.ImportFromEPSG(32633)
    assert dataset.GetSpatialRef().IsSame(expected)
    assert dataset.GetGCPCount() == 0
    assert dataset.GetMetadataItem("AREA_OR_POINT") == "Area"


def gndc_bands():
    dataset = gdal.Open(f"GNDC:{CUBE}:t=3")
    for i, (name, unit) in enumerate((("B2", "1"), ("LAI", "m^2/m^2"), ("T", "K"))):
        band = dataset.GetRasterBand(i + 1)
        assert band.GetDescription() == name
        assert band.GetUnitType() == unit
        assert band.DataType == gdal.GDT_Float32
        assert np.isnan(band.GetNoDataValue())
        assert band.GetMaskFlags() == gdal.GMF_NODATA
        assert band.GetScale() in (None, 1.0) and band.GetOffset() in (None, 0.0)
        assert band.GetOverviewCount() == 0
        assert band.GetBlockSize() == [83, 61]
    assert dataset.GetRasterBand(1).GetColorInterpretation() == gdal.GCI_BlueBand
    assert dataset.GetMetadataItem("INTERLEAVE", "IMAGE_STRUCTURE") == "PIXEL"
    assert dataset.GetMetadataItem("ACQUISITIONDATETIME", "IMAGERY") == "2020-03-08 22:00:00"
    assert dataset.GetRasterBand(1).GetMetadataItem("CENTRAL_WAVELENGTH_UM", "IMAGERY") == "0.49"
    assert dataset.GetFileList() == [CUBE]


def gndc_pixels():
    """The independent decoder's values, in several layouts and types of the buffer."""
    expected = np.load(CASES / "basic_i8dec.npz")["read_t3"]
    dataset = gdal.Open(f"GNDC:{CUBE}:t=3")
    array = dataset.ReadAsArray()
    span = np.ptp(expected, axis=(0, 1))
    assert (np.abs(np.moveaxis(array, 0, -1) - expected) <= 1e-4 * span).all()
    pixel = np.empty((61, 83, 3), np.float64)
    data = dataset.ReadRaster(buf_type=gdal.GDT_Float64, buf_pixel_space=24, buf_line_space=24 * 83, buf_band_space=8)
    pixel[...] = np.frombuffer(data, np.float64).reshape(61, 83, 3)
    assert (np.moveaxis(pixel, -1, 0) == array).all()
    some = np.frombuffer(dataset.ReadRaster(5, 7, 20, 9, band_list=[3, 1]), np.float32).reshape(2, 9, 20)
    assert (some == array[[2, 0], 7:16, 5:25]).all()
    for b in (1, 2, 3):
        band = dataset.GetRasterBand(b)
        assert (np.frombuffer(band.ReadBlock(0, 0), np.float32).reshape(61, 83) == array[b - 1]).all()


def gndc_mask():
    dataset = gdal.Open(f"GNDC:{MASKED}:t=3")
    values = dataset.ReadAsArray()
    for b in range(dataset.RasterCount):
        mask = dataset.GetRasterBand(b + 1).GetMaskBand().ReadAsArray()
        assert ((mask == LAST) == ~np.isnan(values[b])).all()
    options = ["T=3", "MASK=BAND"]
    dataset = gdal.OpenEx(MASKED, open_options=options)
    band = dataset.GetRasterBand(1)
    assert band.GetMaskFlags() == gdal.GMF_PER_DATASET
    assert band.GetNoDataValue() is None
    assert ((band.GetMaskBand().ReadAsArray() == LAST) == ~np.isnan(values).all(axis=0)).all()


def gndc_statistics():
    path = str(SCRATCH / "statistics.gndc")
    shutil.copy(CUBE, path)
    dataset = gdal.Open(f"GNDC:{path}:t=2")
    band = dataset.GetRasterBand(1)
    assert band.GetStatistics(False, False)[3] in (0, -1)
    computed = band.ComputeStatistics(False)
    values = band.ReadAsArray().astype(float)
    assert np.allclose(computed, [values.min(), values.max(), values.mean(), values.std()], rtol=1e-5)
    assert sum(band.GetHistogram(computed[0], computed[1], 16, 1, 0)) == 83 * 61
    band = dataset = None
    assert Path(path + ".aux.xml").exists()
    dataset, other = gdal.Open(f"GNDC:{path}:t=2"), gdal.Open(f"GNDC:{path}:t=3")
    assert np.allclose(dataset.GetRasterBand(1).GetStatistics(False, False), computed)
    assert other.GetRasterBand(1).GetStatistics(False, False)[3] in (0, -1)
    assert dataset.GetFileList() == [path, path + ".aux.xml"]


def gndc_band_over_time():
    dataset = gdal.Open(f"GNDC:{CUBE}:band=LAI")
    assert dataset.RasterCount == 7
    assert dataset.GetRasterBand(2).GetDescription() == "2020-01-19T10:32:10Z"
    assert dataset.GetMetadataItem("INTERLEAVE", "IMAGE_STRUCTURE") == "BAND"
    expected = np.load(CASES / "basic_i8dec.npz")["series_0"][:, 1]
    got = dataset.ReadAsArray(54, 11, 1, 1)[:, 0, 0]
    assert np.allclose(got, expected, rtol=1e-4, atol=1e-3)


def gndc_multidim():
    dataset = gdal.OpenEx(CUBE, gdal.OF_MULTIDIM_RASTER)
    group = dataset.GetRootGroup()
    assert sorted(group.GetMDArrayNames()) == sorted(["time", "y", "x", "B2", "LAI", "T"])
    array = group.OpenMDArray("T")
    assert [(d.GetName(), d.GetSize()) for d in array.GetDimensions()] == [("time", 7), ("y", 61), ("x", 83)]
    assert [d.GetType() for d in array.GetDimensions()] == ["TEMPORAL", "HORIZONTAL_Y", "HORIZONTAL_X"]
    assert array.GetUnit() == "K"
    assert np.isnan(array.GetNoDataValueAsDouble())
    assert array.GetBlockSize() == [1, 61, 83]
    assert array.GetSpatialRef().GetAuthorityCode(None) == "32633"
    time = array.GetDimensions()[0].GetIndexingVariable()
    assert time.GetUnit() == "seconds since 1970-01-01 00:00:00"
    frame = gdal.Open(f"GNDC:{CUBE}:t=4")
    classic = frame.GetRasterBand(3).ReadAsArray()
    kind = gdal.ExtendedDataType.Create(gdal.GDT_Float32)
    assert (array.ReadAsArray([4, 0, 0], [1, 61, 83], [1, 1, 1], kind)[0] == classic).all()
    raster = array.GetView("[4]").AsClassicDataset(1, 0)
    assert raster.GetGeoTransform() == GEOTRANSFORM
    assert (raster.ReadAsArray() == classic).all()
    dataset = gdal.OpenEx(CUBE, gdal.OF_MULTIDIM_RASTER, open_options=["ARRAYS=ONE"])
    values = dataset.GetRootGroup()
    assert [d.GetName() for d in values.OpenMDArray("values").GetDimensions()] == ["time", "y", "x", "band"]


def gndc_in_memory():
    gdal.FileFromMemBuffer("/vsimem/cube.gndc", Path(CUBE).read_bytes())
    try:
        dataset = gdal.Open("GNDC:/vsimem/cube.gndc:t=1")
        assert (dataset.ReadAsArray() == gdal.Open(f"GNDC:{CUBE}:t=1").ReadAsArray()).all()
        assert dataset.GetFileList() == ["/vsimem/cube.gndc"]
        dataset = None
    finally:
        gdal.Unlink("/vsimem/cube.gndc")


def gndc_copy():
    """Every pixel and what is said of it arrives in other formats."""
    source = gdal.Open(f"GNDC:{CUBE}:t=5")
    for driver in ("MEM", "GTiff", "VRT"):
        path = "" if driver == "MEM" else str(SCRATCH / f"copy_{driver}")
        copy = gdal.GetDriverByName(driver).CreateCopy(path, source)
        assert [copy.GetRasterBand(b).Checksum() for b in (1, 2, 3)] == [
            source.GetRasterBand(b).Checksum() for b in (1, 2, 3)
        ]
        assert copy.GetGeoTransform() == GEOTRANSFORM
        assert copy.GetRasterBand(2).GetDescription() == "LAI"
        assert copy.GetMetadataItem("time") == source.GetMetadataItem("time")


def gndc_refused():
    assert "cannot be opened" in fails("GNDC:/no/such.gndc")
    assert "the key nothing" in fails(f"GNDC:{CUBE}:nothing=1")
    assert "outside the cube" in fails(f"GNDC:{CUBE}:t=1999-01-01")
    assert "1 to 3" in fails(CUBE, options=["BAND=9"])
    assert "NODATA, BAND, NONE" in fails(CUBE, options=["MASK=2"])
    assert "cannot update" in fails(CUBE, gdal.OF_RASTER | gdal.OF_UPDATE | gdal.OF_VERBOSE_ERROR)
    try:
        gdal.GetDriverByName("GNDC").CreateCopy(str(SCRATCH / "out.gndc"), gdal.Open(f"GNDC:{CUBE}:t=0"))
    except RuntimeError as error:
        assert "gndc encode" in str(error)
    else:
        raise AssertionError("CreateCopy was not refused")
    assert not (SCRATCH / "out.gndc").exists()


def gndc_errors_are_one_and_clear():
    """One error a failure, through GDAL's own handler, and none for what works."""
    said = []
    gdal.DontUseExceptions()
    gdal.PushErrorHandler(lambda level, number, message: said.append((level, message)))
    try:
        assert gdal.Open(f"GNDC:{CUBE}:t=0").ReadAsArray() is not None
        assert said == []
        assert gdal.Open(f"GNDC:{CUBE}:t=99") is None
        assert len(said) == 1 and said[0][0] == gdal.CE_Failure
    finally:
        gdal.PopErrorHandler()
        gdal.UseExceptions()


def checksums():
    dataset = gdal.Open(f"GNDC:{CUBE}:t=3")
    again = gdal.OpenEx(CUBE, open_options=["T=3", "NUM_THREADS=1"])
    bands = [dataset.GetRasterBand(b) for b in (1, 2, 3)]
    sums = [band.Checksum() for band in bands]
    assert sums == [again.GetRasterBand(b).Checksum() for b in (1, 2, 3)]
    return {"sums": sums, "mean": [float(band.ReadAsArray().astype(float).mean()) for band in bands], "call": "read_t3"}


def main():
    results = {}
    for name, function in list(globals().items()):
        if name.startswith("gndc_"):
            try:
                function()
                results[name] = "success"
            except Exception:
                results[name] = traceback.format_exc()
    results["checksums"] = checksums()
    print(json.dumps(results))


main()
