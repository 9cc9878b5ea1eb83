"""Days of the year, and how a moment differs from them."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

import gdal_gndc
from gdal_gndc.climatology import _days, anomaly, climatology
from gdal_gndc.errors import CoordinateError, TimeError
from tests.conftest import CASES


def _field(dataset, time, bands):
    rows, cols = dataset.sample_grid()
    r, c = np.repeat(rows, cols.size), np.tile(cols, rows.size)
    values = dataset.cube.read_tangents(dataset.resolve_time(time), r, c, bands, "")[0]
    return values.reshape(rows.size, cols.size, -1).astype(np.float64)


def test_the_mean_of_the_same_day_of_every_year(real_cube):
    with gdal_gndc.open(real_cube) as ds:
        # the cube runs from August 2017 to November 2018
        found = climatology(ds, "1999-09-20T12:00:00Z", ["B04", "B08"])
        years = [_field(ds, f"{year}-09-20T12:00:00Z", [2, 6]) for year in (2017, 2018)]
        assert found.years == (2017, 2018)
        np.testing.assert_allclose(found.mean, np.mean(years, axis=0), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(found.std, np.std(years, axis=0, ddof=1), rtol=1e-3, atol=1e-6)
        assert found.mean.dtype == found.std.dtype == np.float32

        got = ds.anomaly("2018-09-20T12:00:00Z", ["B04", "B08"])
        np.testing.assert_allclose(got, years[1] - np.mean(years, axis=0), atol=1e-5)
        scaled = ds.anomaly("2018-09-20T12:00:00Z", ["B04"], standardised=True)
        # of two values, each lies 1 / sqrt(2) standard deviations from their mean
        np.testing.assert_allclose(np.abs(scaled[found.std[..., :1] > 1e-4]), np.sqrt(0.5), rtol=1e-2)


def test_six_years_against_series(modis_cube):
    """By another road: the field's series at the same day of every year, and its NDVI."""
    with gdal_gndc.open(modis_cube) as ds:
        days = [f"{year}-01-20T00:00:00Z" for year in range(2008, 2014)]
        pixels = np.stack(np.meshgrid(np.arange(27), np.arange(37), indexing="ij"), axis=-1).reshape(-1, 2)
        red, nir = np.moveaxis(ds.series_at(pixels, days, ["red", "nir"]).astype(float), -1, 0)
        ndvi = ((nir - red) / (nir + red)).reshape(27, 37, 6)
        found = ds.anomaly("2011-01-20T00:00:00Z", index="ndvi")[..., 0]
        np.testing.assert_allclose(found, ndvi[..., 3] - ndvi.mean(axis=-1), atol=2e-4)
        scaled = ds.anomaly("2011-01-20T00:00:00Z", index="ndvi", standardised=True)[..., 0]
        np.testing.assert_allclose(scaled, found / ndvi.std(axis=-1, ddof=1), rtol=0.05, atol=0.02)
        # anomalies of all years add up to nothing
        total = sum(ds.anomaly(day, index="ndvi", window=(3, 4, 8, 6)) for day in days)
        np.testing.assert_allclose(total, 0, atol=1e-5)
        # against the other years
        others = [2008, 2009, 2010, 2012, 2013]
        away = ds.anomaly("2011-01-20T00:00:00Z", index="ndvi", years=others)[..., 0]
        np.testing.assert_allclose(away, ndvi[..., 3] - np.delete(ndvi, 3, axis=-1).mean(axis=-1), atol=2e-4)
        assert climatology(ds, "2000-01-20", "ndvi", years=range(2009, 2012)).years == (2009, 2010, 2011)
        with pytest.raises(TimeError, match="among 1999 holds the 20 January"):
            climatology(ds, "2000-01-20", years=[1999])


def test_a_day_of_one_year_only(real_cube):
    with gdal_gndc.open(real_cube) as ds:
        found = climatology(ds, "2018-05-01", index="ndvi", window=(0, 0, 5, 4))
        assert found.years == (2018,)
        assert found.mean.shape == (4, 5, 1)
        assert np.isnan(found.std).all()
        assert (np.abs(anomaly(ds, "2018-05-01", index="ndvi")) < 1e-6).all()
        assert np.isnan(anomaly(ds, "2018-05-01", index="ndvi", standardised=True)).all()


def test_a_spread_smooths(real_cube):
    with gdal_gndc.open(real_cube) as ds:
        found = climatology(ds, "2018-05-01T00:00:00Z", "B08", spread="2d")
        names = ("04-29", "04-30", "05-01", "05-02", "05-03")
        days = [_field(ds, f"2018-{day}T00:00:00Z", [6]) for day in names]
        np.testing.assert_allclose(found.mean, np.mean(days, axis=0), rtol=1e-5, atol=1e-6)


def test_leap_days():
    class Dataset:
        timestamps = (datetime(2019, 1, 1, tzinfo=UTC), datetime(2021, 12, 31, tzinfo=UTC))

    days = _days(Dataset(), datetime(2016, 2, 29, 6, tzinfo=UTC))
    assert [(d.month, d.day, d.hour) for d in days] == [(2, 28, 6), (2, 29, 6), (2, 28, 6)]


def test_what_is_not_there_is_refused(real_cube):
    with gdal_gndc.open(CASES / "basic_i8dec.gndc") as ds:
        with pytest.raises(TimeError, match="holds the 30 December"):
            climatology(ds, "2020-12-30")
        with pytest.raises(CoordinateError, match="1 bands for ndvi"):
            climatology(ds, "2020-05-01", [0], index="ndvi")
