"""Derivatives of the core against torch's autograd in double precision, and what the SDK makes of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st

import gdal_gndc
from gdal_gndc.derivatives import DAY, to_crs_units
from gdal_gndc.errors import CoordinateError, FileFormatError, TimeError
from gdal_gndc.field.core import ffi, lib
from gdal_gndc.targets import tangents_target
from gdal_gndc.times import to_seconds
from tests.conftest import CASES

torch = pytest.importorskip("torch")


def _feather(x, c0, c1, s0, s1):
    one = torch.ones_like(x)
    w = torch.where(x < c0, (x - s0) / max(c0 - s0, 1), torch.where(x >= c1, (s1 - x) / max(s1 - c1, 1), one))
    return w.clamp(1e-6, 1.0)


def _model_xy(struct, field_config, row, col):
    """Normalised coordinates of DECODING's four norm_modes, in double precision."""
    stored = list(struct.stored)
    y, x = row - stored[2], col - stored[4]
    if struct.norm_mode == 3:
        return x / (stored[5] - stored[4]), y / (stored[3] - stored[2])
    a, _, c, _, e, f = struct.transform
    lon, lat, p = c + x * a, f + y * e, list(struct.params)
    if struct.norm_mode == 2:
        return ((lon - p[0]) / p[1]).clamp(0, 1), ((lat - p[2]) / p[3]).clamp(0, 1)
    lon, lat = torch.deg2rad(lon), torch.deg2rad(lat)
    sx, sy = torch.cos(lat) * torch.cos(lon), torch.cos(lat) * torch.sin(lon)
    if struct.norm_mode == 1 and struct.has_xyz_params:
        return ((sx - p[0]) / p[1]).clamp(0, 1), ((sy - p[2]) / p[3]).clamp(0, 1)
    return (sx + 1) / 2, (sy + 1) / 2


def _chunk_value(chunk, module, row, col, t):
    x, y = _model_xy(chunk.struct, None, row, col)
    raw = module(torch.stack([x, y, t], dim=1))
    low, high = torch.from_numpy(chunk.data_range.astype(np.float64)).T
    value = raw * (high - low) + low
    return torch.expm1(value) if chunk.struct.use_log else value


class Reference:
    """The cube as one differentiable function of row, column and seconds."""

    def __init__(self, path):
        from gdal_gndc.field.torch import TorchField

        # the torch backend keeps the tensors that TorchField is made of
        self.dataset = gdal_gndc.open(path, backend="torch", device="cpu")
        self.cube = self.dataset.cube
        self.chunks = [self.cube.chunk(i) for i in range(self.cube.n_chunks)]
        self.modules = [TorchField(c.field.layout, c.field.tensors, torch.float64) for c in self.chunks]
        manifest = self.cube.container.manifest
        self.blends = manifest.overlap > 0 or manifest.t_overlap > 0

    def values(self, row, col, seconds):
        times = torch.from_numpy(self.cube.axis.seconds)
        top = bottom = 0.0
        for chunk, module in zip(self.chunks, self.modules, strict=True):
            t = ((seconds - chunk._start) / (chunk._end - chunk._start)).clamp(0, 1)
            value = _chunk_value(chunk, module, row, col, t)
            t0, t1, y0, y1, x0, x1 = chunk.bounds
            a0, a1, b0, b1, d0, d1 = chunk.stored
            i = torch.searchsorted(times, seconds.detach(), right=True).clamp(1, len(times) - 1)
            frame = i - 0.5 + (seconds - times[i - 1]) / (times[i] - times[i - 1])
            inside = (frame >= a0) & (frame < a1) & (row >= b0) & (row < b1) & (col >= d0) & (col < d1)
            weight = torch.ones_like(row)
            if self.blends:
                weight = _feather(frame, t0, t1, a0, a1) * _feather(row, y0, y1, b0, b1) * _feather(col, x0, x1, d0, d1)
            weight = torch.where(inside, weight, torch.zeros_like(weight))[:, None]
            top, bottom = top + weight * value, bottom + weight
        return top / bottom

    def tangents(self, row, col, seconds):
        """(4, N, C): values, then derivatives by column, row and second."""
        inputs = [torch.from_numpy(np.asarray(a, np.float64)).requires_grad_() for a in (row, col, seconds)]
        values = self.values(*inputs)
        planes = [values.detach()]
        gradients = [
            torch.autograd.grad(values[:, band].sum(), inputs, retain_graph=True, allow_unused=True)
            for band in range(values.shape[1])
        ]
        planes += [torch.stack([g[axis] for g in gradients], dim=1) for axis in (1, 0, 2)]
        return np.stack([p.numpy() for p in planes])


@pytest.fixture
def reference_of():
    opened = []

    def open_reference(name):
        opened.append(Reference(CASES / f"{name}.gndc"))
        return opened[-1]

    yield open_reference
    for reference in opened:
        reference.dataset.close()


def _compare(got, reference, row, col, seconds):
    """Equal at points that are no corner of the piecewise linear field, as far as float32 can tell one."""
    expected = reference.tangents(row, col, seconds)
    near = [
        reference.tangents(row + sign * dr, col + sign * dc, seconds + sign * ds)
        for dr, dc, ds in ((3e-4, 0, 0), (0, 3e-4, 0), (0, 0, 300.0))
        for sign in (-1, 1)
    ]
    scale = np.quantile(np.abs(expected), 0.9, axis=1, keepdims=True)
    jump = np.max([np.abs(n - expected) for n in near], axis=0) / scale
    smooth = (jump[1:].max(axis=(0, 2)) < 0.02) & ~np.isnan(got[0]).any(axis=1)
    valid = ~np.isnan(got[0]).any(axis=1)
    assert smooth.sum() > 0.85 * valid.sum() > 100
    error = np.abs(got - expected) / scale
    assert error[:, smooth].max() < 3e-3
    # and nearly all are far closer than corners that were not told apart would allow
    assert np.quantile(error[:, smooth], 0.99) < 1e-4


@pytest.mark.parametrize(
    ("name", "isa"),
    [
        ("basic_i8dec", "avx512"),
        ("i16dec_log_dynamic", "avx2"),
        ("layout_f32_edges", "generic"),
        ("tiles22_ov8_mask_res", "avx512"),
        ("tiles22_ov8_mask_res", "generic"),
        ("toverlap2_residual", "avx2"),
        ("time2_native_int8", "avx512"),
    ],
)
def test_exact_derivatives_are_autograds(name, isa, reference_of):
    before = ffi.string(lib.gndc_isa())
    if not lib.gndc_set_isa(isa.encode()):
        pytest.skip(f"this machine has no {isa}")
    try:
        reference = reference_of(name)
        dataset, rng = reference.dataset, np.random.default_rng(1)
        times = [to_seconds(t) for t in dataset.timestamps]
        for fraction in (0.13, 0.71):
            seconds = round(times[0] + fraction * (times[-1] - times[0]))
            row, col = rng.uniform(0.1, dataset.height - 0.1, 500), rng.uniform(0.1, dataset.width - 0.1, 500)
            moment = dataset.resolve_time(datetime.fromtimestamp(seconds, UTC))
            bands = range(dataset.n_bands)
            got = dataset.cube.read_tangents(moment, row, col, bands, "xyt")
            _compare(got, reference, row, col, np.full(500, float(seconds)))
    finally:
        lib.gndc_set_isa(before)


@pytest.mark.parametrize("mode", [2, 1, 0])
def test_exact_derivatives_in_geographic_models(mode, reference_of):
    reference = reference_of("basic_i8dec")
    chunk = reference.chunks[0]
    struct = chunk.struct
    struct.norm_mode, struct.has_xyz_params = mode, 1
    # 83 x 61 pixels of 0.3 degrees around (20 E, 40 N)
    struct.transform = (0.3, 0.0, 8.0, 0.0, -0.3, 49.0)
    if mode == 2:
        struct.params = (8.0, 25.0, 30.0, 19.1, 0.0, 0.0)
    else:
        struct.params = (0.5, 0.45, 0.05, 0.5, 0.4, 0.4)
    rng = np.random.default_rng(2)
    row, col = rng.uniform(1, 60, 600), rng.uniform(1, 82, 600)
    seconds = to_seconds(reference.dataset.timestamps[3]) + 1e6
    got = np.empty((4, 600, 3), np.float32)
    target, _keep = tangents_target(row, col, range(3), "xyt", got, blends=False)
    lib.gndc_tangents_begin(target, np.nan)
    rate = chunk.normalised_rate(seconds)
    chunk.add_to_tangents(target, chunk.normalised(seconds), rate, 0, 1.0, 0.0, 0)
    lib.gndc_tangents_end(target)
    _compare(got, reference, row, col, np.full(600, seconds))


@pytest.mark.parametrize("name", ["basic_i8dec", "i16dec_log_dynamic", "f16_block33_static", "tiles22_missing"])
def test_the_value_beside_a_derivative_is_what_a_read_gives(name):
    with gdal_gndc.open(CASES / f"{name}.gndc") as dataset:
        moment = dataset.resolve_time(1)
        rows, cols = (a.ravel() for a in np.meshgrid(*dataset.sample_grid(), indexing="ij"))
        got = dataset.cube.read_tangents(moment, rows, cols, range(dataset.n_bands), "t")[0]
        expected = dataset.read(1).reshape(got.shape)
        np.testing.assert_array_equal(np.isnan(got), np.isnan(expected))
        spread = np.nanmax(expected, axis=0) - np.nanmin(expected, axis=0)
        assert np.nanmax(np.abs(got - expected) / spread) < 3e-5


def test_pixels_of_no_chunk_have_no_derivative():
    with gdal_gndc.open(CASES / "tiles22_missing.gndc") as dataset:
        missing = np.isnan(dataset.read(1))
        assert missing.any()
        np.testing.assert_array_equal(np.isnan(dataset.gradient(1, "dx")), missing)
    with gdal_gndc.open(CASES / "ov8_block33_missing_fill.gndc") as dataset:
        filled = dataset.read(1) == dataset.meta["missing_fill"]
        assert filled.any()
        np.testing.assert_array_equal(np.isnan(dataset.derivative(1)), filled | np.isnan(dataset.read(1)))


def test_masked_pixels_have_no_derivative():
    with gdal_gndc.open(CASES / "tiles22_ov8_mask_res.gndc") as dataset:
        dx, dy = dataset.gradient(2)
        dt = dataset.derivative(2)
        for derivative in (dx, dy, dt):
            np.testing.assert_array_equal(np.isnan(derivative), np.isnan(dataset.read(2)))
        assert np.isnan(dx).any()
        assert not np.isnan(dx).all()


@pytest.fixture(scope="module")
def cube():
    with gdal_gndc.open(CASES / "basic_i8dec.gndc") as dataset:
        yield dataset


def test_gradient_modes_belong_together(cube):
    dx, dy = cube.gradient(2)
    assert dx.shape == dy.shape == (61, 83, 3)
    assert dx.dtype == dy.dtype == np.float32
    np.testing.assert_array_equal(cube.gradient(2, "dx"), dx)
    np.testing.assert_array_equal(cube.gradient(2, "dy"), dy)
    np.testing.assert_array_equal(cube.derivative(2, axis="y"), dy)
    np.testing.assert_allclose(cube.gradient(2, mode="mag"), np.hypot(dx, dy))
    np.testing.assert_allclose(cube.gradient(2, mode="dir"), np.arctan2(dy, dx))
    np.testing.assert_array_equal(cube.gradient(2, "dx", bands="LAI"), dx[..., [1]])


def test_gradient_is_per_metre_and_north_is_up(cube):
    """Rows of 10 m grow southwards: walking a hundredth of a pixel north changes values by dy."""
    dx, dy = cube.gradient(2)
    rows, cols = cube.sample_grid()
    r, c = np.repeat(rows, cols.size), np.tile(cols, rows.size)
    moment, step = cube.resolve_time(2), 0.01
    here = cube.cube.read_tangents(moment, r, c, range(3), "")[0].astype(np.float64)
    north = cube.cube.read_tangents(moment, r - step, c, range(3), "")[0]
    east = cube.cube.read_tangents(moment, r, c + step, range(3), "")[0]
    for walked, derivative in ((north, dy), (east, dx)):
        found = (walked - here) / (step * 10)
        error = np.abs(found - derivative.reshape(found.shape)) / derivative.std(axis=(0, 1))
        assert np.median(error) < 0.01


@given(st.integers(0, 70), st.integers(0, 50), st.integers(1, 13), st.integers(1, 11))
@settings(max_examples=25, deadline=None)
def test_a_window_of_a_gradient_is_a_crop_of_it(cube, col, row, width, height):
    whole = cube.gradient(3, "dy")
    part = cube.gradient(3, "dy", window=(col, row, width, height))
    np.testing.assert_array_equal(part, whole[row : row + height, col : col + width])


@given(
    st.floats(-30, 30).filter(lambda v: abs(v) > 0.1),
    st.floats(-3.1, 3.1),
    st.floats(0.2, 5),
    st.sampled_from([-1, 1]),
)
@settings(deadline=None)
def test_the_chain_rule_through_any_transform(size, angle, ratio, flip):
    """A plane with slopes (3, -2) in CRS units has them whatever the pixels are."""
    transform = Affine.rotation(np.degrees(angle)) @ Affine.scale(size, flip * size * ratio)
    a, b, _, d, e, _ = tuple(transform)[:6]
    by_col, by_row = np.full(4, 3 * a - 2 * d, np.float32), np.full(4, 3 * b - 2 * e, np.float32)
    dx, dy = to_crs_units(transform, by_col, by_row)
    np.testing.assert_allclose(dx, 3, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(dy, -2, rtol=1e-4, atol=1e-4)


def test_models_of_blocks_are_differenced_in_space_and_exact_in_time():
    with gdal_gndc.open(CASES / "f16_block33_static.gndc") as dataset:
        dx, dy = dataset.gradient(1)
        values = dataset.read(1)
        a, e = dataset.transform.a, dataset.transform.e
        np.testing.assert_allclose(
            dx[:, 1:-1], (values[:, 2:] - values[:, :-2]) / (2 * a), rtol=1e-3, atol=1e-4 * np.nanstd(dx)
        )
        np.testing.assert_allclose(dy[1:-1], (values[2:] - values[:-2]) / (2 * e), rtol=1e-3, atol=1e-4 * np.nanstd(dy))
        # at an edge the step is one pixel
        np.testing.assert_allclose(dx[:, 0], (values[:, 1] - values[:, 0]) / a, rtol=1e-3, atol=1e-6)
        time = dataset.timestamps[1] + timedelta(days=1)
        late, early = (dataset.read_at_time(time + timedelta(minutes=s)) for s in (5, -5))
        found = (late.astype(np.float64) - early) / (10 / 1440)
        error = np.abs(found - dataset.derivative(time)) / np.nanstd(found)
        assert np.nanmedian(error) < 0.01
        rows = cols = np.array([0.5])
        with pytest.raises(FileFormatError, match="blocks of several pixels"):
            dataset.cube.read_tangents(dataset.resolve_time(1), rows, cols, [0], "x")


def _index_of_field(dataset, time):
    rows, cols = dataset.sample_grid()
    r, c = np.repeat(rows, cols.size), np.tile(cols, rows.size)
    red, nir = dataset.cube.read_tangents(dataset.resolve_time(time), r, c, [0, 1], "")[0].T.astype(np.float64)
    return ((nir - red) / (nir + red)).reshape(rows.size, cols.size)


def test_velocity_of_an_index_is_what_its_difference_tends_to(cube):
    time = cube.timestamps[4] + timedelta(days=3)
    step = timedelta(minutes=20)
    change = _index_of_field(cube, time + step) - _index_of_field(cube, time - step)
    found = change / (2 * step.total_seconds() / DAY)
    velocity = cube.temporal_derivative(time, red_idx=0, nir_idx=1)
    assert velocity.shape == (61, 83)
    assert velocity.dtype == np.float32
    # where red + nir is not close to 0 the index is tame
    tame = np.abs(found) < np.quantile(np.abs(found), 0.8)
    assert np.median(np.abs(found - velocity)[tame] / np.std(found[tame])) < 0.01


def test_acceleration_is_the_difference_of_velocities(cube):
    time = cube.timestamps[4] + timedelta(days=3)
    late, early = (cube.temporal_derivative(time + timedelta(days=d), 1, 0, 1).astype(np.float64) for d in (2, -2))
    found = cube.temporal_derivative(time, 2, 0, 1, step="4d")
    np.testing.assert_allclose(found, (late - early) / 4, rtol=1e-4, atol=1e-6 * np.nanstd(found))


def test_acceleration_at_an_end_is_one_sided(cube):
    first = cube.timestamps[0]
    late = cube.temporal_derivative(first + timedelta(days=4), 1, 0, 1).astype(np.float64)
    early = cube.temporal_derivative(first, 1, 0, 1)
    found = cube.temporal_derivative(0, 2, 0, 1, step=timedelta(days=4))
    np.testing.assert_allclose(found, (late - early) / 4, rtol=1e-4, atol=1e-6 * np.nanstd(found))


def test_an_index_of_ones_own_has_a_velocity(cube):
    from gdal_gndc.indices import RatioIndex

    # Huete 1988
    savi = RatioIndex("savi", "soil adjusted vegetation index", ("red", "nir"), (-1, 1), (1, 1), 0.5, 1.5)
    at, step = "2020-02-10T00:00:00Z", 600 / DAY
    rate = cube.temporal_derivative(at, 1, index=savi, bands=[0, 1])
    here = savi(np.moveaxis(cube.read_at_time(at, [0, 1]).astype(float), -1, 0))
    later = savi(np.moveaxis(cube.read_at_time("2020-02-10T00:10:00Z", [0, 1]).astype(float), -1, 0))
    found = (later - here) / step
    assert np.median(np.abs(found - rate)) < 0.02 * np.nanstd(rate)
    with pytest.raises(CoordinateError, match="1 bands for savi, expected red, nir"):
        cube.temporal_derivative(at, 1, index=savi, bands=[0])


def test_a_gradient_in_degrees_per_metre(sst_cube):
    """Against geodesic distances between neighbouring pixels of a sea surface, at 35 degrees north."""
    from pyproj import Geod

    with gdal_gndc.open(sst_cube) as ds:
        window = (60, 90, 30, 20)
        dx, dy = ds.gradient("2022-06-16", metric=True, window=window)
        slope, way = (ds.gradient("2022-06-16", mode, window=window, metric=True) for mode in ("mag", "dir"))
        np.testing.assert_allclose(slope, np.hypot(dx, dy), rtol=1e-6)
        np.testing.assert_allclose(way, np.arctan2(dy, dx), atol=1e-6)
        np.testing.assert_array_equal(ds.gradient("2022-06-16", "dy", window=window, metric=True), dy)
        plain = ds.gradient("2022-06-16", window=window)
        left, top, size = ds.bounds.left, ds.bounds.top, ds.resolution[0]
    lon, lat = left + (60 + np.arange(30) + 0.5) * size, top - (90 + np.arange(20) + 0.5) * size
    geod, half = Geod(ellps="WGS84"), 0.01
    for i in (0, 19):
        east = geod.inv(lon[3] - half, lat[i], lon[3] + half, lat[i])[2] / (2 * half)
        north = geod.inv(lon[3], lat[i] - half, lon[3], lat[i] + half)[2] / (2 * half)
        np.testing.assert_allclose(dx[i], plain[0][i] / east, rtol=1e-5)
        np.testing.assert_allclose(dy[i], plain[1][i] / north, rtol=1e-5)
    # a front of some degrees in 100 km
    assert 1e-6 < np.nanmedian(slope) < 1e-3


def test_metric_is_no_change_in_metres(cube):
    np.testing.assert_array_equal(cube.gradient(3, "mag", metric=True), cube.gradient(3, "mag"))
    cube.__dict__["crs"] = None
    with pytest.raises(CoordinateError, match="no CRS or no transform"):
        cube.gradient(3, metric=True)


def test_other_indices_have_a_velocity(cube):
    a = cube.temporal_derivative(3, red_idx=0, nir_idx=1)
    b = cube.temporal_derivative(3, index="ndwi", bands=["B2", "LAI"])
    np.testing.assert_allclose(a, -b, rtol=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d: d.gradient(0, "up"), "gradient mode 'up', expected spatial"),
        (lambda d: d.derivative(0, axis="z"), "axis 'z', expected x, y or t"),
        (lambda d: d.temporal_derivative(0, 3), "order 3, expected 1"),
        (lambda d: d.temporal_derivative(0, 1), "needs a red band, and none of B2, LAI, T"),
        (lambda d: d.temporal_derivative(0, 1, 0, 1, index="ndwi"), "do not name the bands of ndwi"),
        (lambda d: d.temporal_derivative(0, 1, index="evi", bands=[0]), "expected red, nir, blue"),
        (lambda d: d.temporal_derivative(0, 1, index="nope"), "index 'nope', expected one of"),
    ],
)
def test_what_cannot_be_asked_is_refused(cube, call, message):
    with pytest.raises(CoordinateError, match=message):
        call(cube)


def test_a_cube_of_one_date_has_no_acceleration():
    with gdal_gndc.open(CASES / "notemporal_t1_block.gndc") as dataset:
        with pytest.raises(TimeError, match="has no derivative by time"):
            dataset.temporal_derivative(0, 2, 0, 0)
        assert (dataset.derivative(0) == 0).all()
