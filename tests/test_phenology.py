"""Seasons of curves and of a real cube, against scipy on dense samples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gdal_gndc
from gdal_gndc.errors import CoordinateError, TimeError
from gdal_gndc.phenology import phenology, season

DAYS = np.arange(0, 361, 5.0)


def _curve(t, base, height, rise, fall, rise_width, fall_width):
    """The double logistic of Beck et al. 2006 and its derivative."""
    up, down = (1 / (1 + np.exp(-(t - c) / w)) for c, w in ((rise, rise_width), (fall, fall_width)))
    value = base + height * (up - down)
    rate = height * (up * (1 - up) / rise_width - down * (1 - down) / fall_width)
    return value, rate


parameters = st.tuples(
    st.floats(0.05, 0.3), st.floats(0.2, 0.8), st.floats(80, 140), st.floats(210, 280), st.floats(8, 15),
    st.floats(8, 15),
)  # fmt: skip


@given(st.lists(parameters, min_size=1, max_size=5), st.sampled_from([0.1, 0.2, 0.5, 0.8]))
@settings(deadline=None, max_examples=40)
def test_seasons_of_smooth_curves_are_scipys(curves, threshold):
    optimize = pytest.importorskip("scipy.optimize")
    integrate = pytest.importorskip("scipy.integrate")
    values, rates = (np.stack(a, axis=1) for a in zip(*(_curve(DAYS, *p) for p in curves), strict=True))
    found = season(DAYS, values, rates, "amplitude", threshold)
    for i, p in enumerate(curves):
        value, rate = (lambda t, p=p: _curve(t, *p)[0]), (lambda t, p=p: _curve(t, *p)[1])
        start, peak, end, height, base, amplitude, integral = found[:, i]
        true_peak = optimize.brentq(rate, p[2], p[3])
        true_height = value(true_peak)
        assert peak == pytest.approx(true_peak, abs=0.5)
        assert height == pytest.approx(true_height, abs=1e-4)
        lows = values[: int(true_peak // 5) + 1, i].min(), values[int(true_peak // 5) + 1 :, i].min()
        assert base == pytest.approx(np.mean(lows), abs=1e-9)
        assert amplitude == pytest.approx(true_height - base, abs=1e-4)
        levels = [low + threshold * (true_height - low) for low in lows]
        rise = optimize.brentq(lambda t, f=value, level=levels[0]: f(t) - level, 0, true_peak)
        fall = optimize.brentq(lambda t, f=value, level=levels[1]: f(t) - level, true_peak, 360)
        assert (start, end) == pytest.approx((rise, fall), abs=0.25)
        assert integral == pytest.approx(integrate.quad(value, start, end)[0], rel=1e-3)


@given(parameters)
@settings(deadline=None, max_examples=30)
def test_the_fastest_rise_and_fall_are_scipys(p):
    optimize = pytest.importorskip("scipy.optimize")
    values, rates = _curve(DAYS[:, None], *p)
    start, _, end, *_ = season(DAYS, values, rates, "velocity", 0.5)[:, 0]
    rise = optimize.minimize_scalar(lambda t: -_curve(t, *p)[1], bounds=(p[2] - 20, p[2] + 20), method="bounded")
    fall = optimize.minimize_scalar(lambda t: _curve(t, *p)[1], bounds=(p[3] - 20, p[3] + 20), method="bounded")
    assert (start, end) == pytest.approx((rise.x, fall.x), abs=1.5)


def test_the_higher_of_two_peaks_wins():
    one, two = _curve(DAYS, 0.1, 0.3, 50, 110, 8, 8), _curve(DAYS, 0, 0.6, 200, 300, 8, 8)
    values, rates = (np.stack([a + b, b + a], axis=1) for a, b in zip(one, two, strict=True))
    found = season(DAYS, values, rates, "amplitude", 0.5)
    assert (found[1] > 200).all()
    # the season begins in the valley between them
    assert (found[0] > 150).all()


def test_curves_without_a_season():
    t = DAYS[:, None]
    flat, rising = np.full_like(t, 0.3), 0.001 * t
    values, rates = _curve(t, 0.1, 0.6, 100, 250, 10, 12)
    holed = values.copy()
    holed[7] = np.nan
    all_values = np.hstack([flat, rising, holed, values])
    all_rates = np.hstack([0 * t, 0.001 + 0 * t, rates, rates])
    found = season(DAYS, all_values, all_rates, "amplitude", 0.5)
    assert np.isnan(found[:, :3]).all()
    assert np.isfinite(found[:, 3]).all()


def test_a_real_cube_against_scipy(real_cube):
    interpolate = pytest.importorskip("scipy.interpolate")
    with gdal_gndc.open(real_cube) as ds:
        window = (20, 30, 6, 4)
        span = ("2018-03-01T00:00:00Z", "2018-11-15T00:00:00Z")
        found = phenology(ds, *span, window=window, step="2d", smooth="15d")
        assert found.peak.shape == (4, 6)
        assert found.peak.dtype == np.dtype("datetime64[s]")
        times = np.arange(np.datetime64(span[0][:-1]), np.datetime64(span[1][:-1]), np.timedelta64(2, "D"))
        pixels = np.stack(np.meshgrid(np.arange(30, 34), np.arange(20, 26), indexing="ij"), axis=-1).reshape(-1, 2)
        # by another road: the values of series, smoothed, and a spline through them, sampled densely
        red, nir = np.moveaxis(ds.series_at(pixels, list(times), ["B04", "B08"]).astype(float), -1, 0)
    ndvi = (nir - red) / (nir + red)
    days = np.arange(len(times)) * 2.0
    kernel = np.exp(-0.5 * ((days[:, None] - days) / 15) ** 2)
    curves = interpolate.CubicSpline(days, (kernel / kernel.sum(1, keepdims=True)) @ ndvi.T)
    dense = np.arange(0, days[-1], 0.02)
    sampled = curves(dense)
    peaks = dense[sampled.argmax(axis=0)]
    got = (found.peak.ravel() - times[0]) / np.timedelta64(1, "D")
    inner = (peaks > 0.1) & (peaks < days[-1] - 0.1)
    assert inner.sum() > 12
    np.testing.assert_allclose(got[inner], peaks[inner], atol=0.1)
    np.testing.assert_allclose(found.peak_value.ravel()[inner], sampled.max(axis=0)[inner], atol=1e-4)
    start, end = ((t.ravel() - times[0]) / np.timedelta64(1, "D") for t in (found.start, found.end))
    for i in np.flatnonzero(inner):
        before, after = dense < peaks[i], dense > peaks[i]
        knots = curves(days)[:, i]
        low = knots[days <= peaks[i]].min()
        level = low + 0.5 * (sampled[:, i].max() - low)
        crossing = dense[before & (sampled[:, i] < level)].max()
        assert start[i] == pytest.approx(crossing, abs=0.2)
        low = knots[days >= peaks[i]].min()
        level = low + 0.5 * (sampled[:, i].max() - low)
        crossing = dense[after & (sampled[:, i] < level)].min()
        assert end[i] == pytest.approx(crossing, abs=0.2)


def test_the_field_itself_sampled_densely(modis_cube):
    """Fields in Mato Grosso, by MODIS: what is found is what the field says at every quarter of a day."""
    with gdal_gndc.open(modis_cube) as ds:
        span = ("2009-08-01", "2010-07-31")
        found = ds.phenology(*span, step="1d", window=(5, 5, 12, 10))
        times = np.arange(np.datetime64(span[0]), np.datetime64(span[1]), np.timedelta64(6, "h"))
        pixels = np.stack(np.meshgrid(np.arange(5, 15), np.arange(5, 17), indexing="ij"), axis=-1).reshape(-1, 2)
        red, nir = np.moveaxis(ds.series_at(pixels, list(times), ["red", "nir"]).astype(float), -1, 0)
    ndvi = (nir - red) / (nir + red)
    days = np.arange(ndvi.shape[1]) * 0.25
    peaks = days[ndvi.argmax(axis=1)]
    got = (found.peak.ravel() - times[0]) / np.timedelta64(86400, "s")
    inner = (peaks > 1) & (peaks < days[-1] - 1)
    assert inner.sum() > 80
    away = np.abs(got - peaks)[inner]
    # where two peaks are nearly as high, either may be taken
    assert np.median(away) < 0.25
    assert np.mean(away < 1) > 0.9
    np.testing.assert_allclose(found.peak_value.ravel()[inner], ndvi.max(axis=1)[inner], atol=0.03)
    start, end = ((t.ravel() - times[0]) / np.timedelta64(86400, "s") for t in (found.start, found.end))
    for i in np.flatnonzero(inner & (np.abs(got - peaks) < 1)):
        k = int(peaks[i] / 0.25)
        area = np.trapezoid(ndvi[i, int(start[i] / 0.25) : int(end[i] / 0.25) + 1], dx=0.25)
        assert found.integral.ravel()[i] == pytest.approx(area, rel=0.05, abs=0.5)
        assert start[i] <= got[i] <= end[i]
        low = ndvi[i, : k + 1].min(), ndvi[i, k:].min()
        assert found.base.ravel()[i] == pytest.approx(np.mean(low), abs=0.03)
        assert found.amplitude.ravel()[i] == pytest.approx(ndvi[i].max() - np.mean(low), abs=0.05)
        # the field at the start and end that were found lies halfway up
        for at, floor in ((start[i], low[0]), (end[i], low[1])):
            level = floor + 0.5 * (ndvi[i].max() - floor)
            assert np.interp(at, days, ndvi[i]) == pytest.approx(level, abs=0.06)


def test_the_season_of_a_band(modis_cube):
    with gdal_gndc.open(modis_cube) as ds:
        options = {"window": (3, 3, 5, 4), "step": "2d"}
        found = ds.phenology("2010-08-15", "2011-02-28", index=None, bands="ndvi", **options)
        assert (found.peak >= np.datetime64("2010-10-01")).all()
        for i, (row, col) in enumerate(np.ndindex(4, 5)):
            times = [found.peak[row, col], found.start[row, col], found.end[row, col]]
            top, *edges = ds.series_at([[3 + row, 3 + col]], times, "ndvi")[0, :, 0]
            assert top == pytest.approx(found.peak_value[row, col], abs=0.02), i
            assert all(edge < top for edge in edges)
        with pytest.raises(CoordinateError, match="2 bands for band, expected band"):
            ds.phenology(index=None, bands=["red", "nir"])


def test_what_cannot_be_asked_is_refused(real_cube):
    with gdal_gndc.open(real_cube) as ds:
        with pytest.raises(CoordinateError, match="method 'x'"):
            phenology(ds, method="x")
        with pytest.raises(CoordinateError, match="threshold 2"):
            phenology(ds, threshold=2)
        with pytest.raises(TimeError, match="expected at least 4"):
            phenology(ds, "2018-01-01", "2018-01-10")
        with pytest.raises(TimeError, match="outside the cube's times"):
            phenology(ds, "1999-01-01", "2018-01-10")
