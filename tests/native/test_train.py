"""The training step against torch's automatic differentiation and its Adam."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest

from gdal_gndc.encode.plan import Plan
from gdal_gndc.encode.train import NativeTrainer, Samples
from gdal_gndc.errors import EncodeError
from gdal_gndc.field.core import ffi, lib
from gdal_gndc.field.layout import Layout
from gdal_gndc.field.native import NativeField
from gdal_gndc.format.config import ModelConfig
from gdal_gndc.format.weights import Tensor

SHAPE = (7, 9, 11, 3)
CONFIGS = {
    "hashed": ModelConfig(
        n_bands=3, xy_hash_size=5, xy_base_resolution=4, xy_n_levels=3, xy_per_level_scale=1.5,
        xy_features_per_level=2, t_hash_size=6, t_base_resolution=3, t_n_levels=2, t_per_level_scale=1.6,
        t_features_per_level=4, spatial_scale=0.5, decoder_hidden=16, n_hidden_layers=2,
    ),
    "dense": ModelConfig(
        n_bands=3, xy_hash_size=12, xy_base_resolution=3, xy_n_levels=2, xy_per_level_scale=2.0,
        xy_features_per_level=8, t_hash_size=12, t_base_resolution=4, t_n_levels=2, t_per_level_scale=1.5,
        t_features_per_level=1, spatial_scale=1.0, decoder_hidden=24, n_hidden_layers=1,
    ),
    "spatial": ModelConfig(
        n_bands=3, xy_hash_size=10, xy_base_resolution=3, xy_n_levels=3, xy_per_level_scale=1.7,
        xy_features_per_level=3, t_n_levels=1, decoder_hidden=80, n_hidden_layers=3, disable_temporal=True,
    ),
    "wide": ModelConfig(
        n_bands=3, xy_hash_size=8, xy_base_resolution=5, xy_n_levels=4, xy_per_level_scale=1.4,
        xy_features_per_level=4, t_hash_size=9, t_base_resolution=4, t_n_levels=4, t_per_level_scale=1.3,
        t_features_per_level=8, spatial_scale=2.5, decoder_hidden=64, n_hidden_layers=2,
    ),
    # tables and batches of a size at which samples are sorted by place
    "sorted": ModelConfig(
        n_bands=3, xy_hash_size=16, xy_base_resolution=250, xy_n_levels=2, xy_per_level_scale=1.1,
        xy_features_per_level=4, t_hash_size=8, t_base_resolution=4, t_n_levels=2, t_per_level_scale=1.5,
        t_features_per_level=2, spatial_scale=0.5, decoder_hidden=48, n_hidden_layers=2,
    ),
}  # fmt: skip
BATCHES = {"sorted": 4096}


def samples(seed: int = 0) -> Samples:
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(SHAPE).astype(np.float32)
    values[2, 3:6, 2:9] = np.nan  # a cloud
    values[:, 4, 4, 1] = np.nan  # a band that is missing at one pixel
    return Samples(values, np.linspace(0, 1, SHAPE[0], dtype=np.float32))


def plan_of(config: ModelConfig, **changes: Any) -> Plan:
    plan = Plan(
        (*SHAPE[:3], SHAPE[3]), config, "test", steps=100, batch=192, table_init=0.5, table_scale=0.0, decoder_scale=0.0
    )
    return dataclasses.replace(plan, **changes)


def trainer_of(config: ModelConfig, data: Samples, threads: int = 1, **changes: Any) -> NativeTrainer:
    return NativeTrainer(plan_of(config, **changes), data, n_threads=threads)


def unquantised(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the decoder in float32, so that torch sees the same weights."""
    from gdal_gndc.encode import train

    original = train._options

    def options(*args: Any) -> Any:
        found = original(*args)
        found.decoder_scale = 0.0
        return found

    monkeypatch.setattr(train, "_options", options)


class TorchField:
    """The network in float64, from the format's text alone."""

    def __init__(self, trainer: NativeTrainer) -> None:
        import torch

        self.torch = torch
        self.layout = trainer.layout
        self.config = trainer.plan.config
        components = [0, 2] if self.config.disable_temporal else [0, 1, 2]
        start = {i: trainer.weights(i, rounded=False) for i in components}
        self.weights = {i: torch.tensor(w, dtype=torch.float64, requires_grad=True) for i, w in start.items()}

    def grid(self, component: int, place: Any) -> list[Any]:
        torch = self.torch
        levels = self.layout.temporal if component else self.layout.spatial
        features = self.config.t_features_per_level if component else self.config.xy_features_per_level
        primes, out = (1, 2654435761, 805459861), []
        for level in levels:
            at = place * level.scale + np.float32(0.5)
            low = torch.floor(at)
            fraction = (at - low).double()
            low = low.long()
            total = 0.0
            for k in range(1 << place.shape[1]):
                bits = [(k >> d) & 1 for d in range(place.shape[1])]
                corner = [low[:, d] + bit for d, bit in enumerate(bits)]
                if level.hashed:
                    index = 0
                    for d, c in enumerate(corner):
                        index = index ^ ((c * primes[d]) & 0xFFFFFFFF)
                    index = index % level.entries
                else:
                    index = sum(c * level.resolution**d for d, c in enumerate(corner)) % level.allocated
                weight = 1.0
                for d, bit in enumerate(bits):
                    weight = weight * (fraction[:, d] if bit else 1 - fraction[:, d])
                table = self.weights[component][level.offset : level.offset + level.allocated * features]
                total = total + weight[:, None] * table.view(-1, features)[index]
            out.append(total)
        return out

    def __call__(self, x: Any, y: Any, t: Any) -> Any:
        torch = self.torch
        x, y, t = (torch.tensor(np.asarray(a, np.float32)) for a in (x, y, t))
        parts = self.grid(0, torch.stack([x, y], 1))
        if not self.config.disable_temporal:
            scale = np.float32(self.config.spatial_scale)
            parts += self.grid(1, torch.stack([x * scale, y * scale, t], 1))
        pad = self.layout.n_inputs_padded - self.layout.n_inputs
        h = torch.cat([*parts, torch.ones(len(x), pad, dtype=torch.float64)], 1)
        flat, start, hidden = self.weights[2], 0, self.config.decoder_hidden
        widths = [self.layout.n_inputs_padded, *[hidden] * self.config.n_hidden_layers, self.layout.n_outputs_padded]
        for i, (a, b) in enumerate(itertools.pairwise(widths)):
            h = h @ flat[start : start + a * b].view(b, a).T
            start += a * b
            if i < len(widths) - 2:
                h = torch.relu(h)
        return h[:, : self.layout.n_outputs]


def batch(data: Samples, positions: np.ndarray) -> tuple[np.ndarray, ...]:
    positions = positions[positions >= 0]
    t, h, w, c = data.values.shape
    frame, row, col = np.unravel_index(positions, (t, h, w))
    x = (col.astype(np.float32) + np.float32(0.5)) / np.float32(w)
    y = (row.astype(np.float32) + np.float32(0.5)) / np.float32(h)
    return x, y, data.times[frame], data.values.reshape(-1, c)[positions]


def loss_of(field: TorchField, data: Samples, positions: np.ndarray) -> Any:
    x, y, t, target = batch(data, positions)
    valid = np.isfinite(target)
    error = field(x, y, t) - field.torch.tensor(np.where(valid, target, 0), dtype=field.torch.float64)
    return (error**2 * field.torch.tensor(valid)).sum() / valid.sum()


@pytest.mark.parametrize("name", CONFIGS)
def test_gradient_is_that_of_torch(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    unquantised(monkeypatch)
    data = samples()
    trainer = trainer_of(CONFIGS[name], data, batch=BATCHES.get(name, 192))
    field = TorchField(trainer)
    loss, gradients = trainer.gradient(3)
    expected = loss_of(field, data, trainer.draw(3))
    expected.backward()
    assert loss == pytest.approx(float(expected.detach()), rel=1e-5)
    for component, weights in field.weights.items():
        want = weights.grad.numpy()
        assert np.abs(want).max() > 1e-4
        np.testing.assert_allclose(gradients[component], want, atol=2e-5 * np.abs(want).max(), rtol=2e-4)


@pytest.mark.parametrize("name", CONFIGS)
def test_five_steps_are_those_of_torch(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    unquantised(monkeypatch)
    data = samples()
    trainer = trainer_of(CONFIGS[name], data, batch=BATCHES.get(name, 192))
    field = TorchField(trainer)
    plan = trainer.plan
    tables = [w for i, w in field.weights.items() if i < 2]
    adam = torch.optim.Adam(
        [{"params": tables, "lr": plan.table_rate}, {"params": [field.weights[2]], "lr": plan.decoder_rate}],
        betas=(0.9, 0.99),
        eps=1e-15,
    )
    peaks = [plan.table_rate, plan.decoder_rate]
    for step in range(5):
        loss = loss_of(field, data, trainer.draw(step))
        adam.zero_grad()
        loss.backward()
        factor = 0.5 * (1 + np.cos(np.pi * step / plan.steps)) * min(1.0, (step + 1) / plan.warmup)
        for group, peak in zip(adam.param_groups, peaks, strict=True):
            group["lr"] = peak * factor
        adam.step()
        assert trainer.run(1).loss == pytest.approx(float(loss.detach()), rel=2e-4)
    for component, weights in field.weights.items():
        np.testing.assert_allclose(
            trainer.weights(component, rounded=False), weights.detach().numpy(), atol=2e-4 * plan.table_rate * 5
        )


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("decoder_scale", [0.0, 32.0])
def test_outputs_are_those_of_the_decoder(name: str, decoder_scale: float) -> None:
    """The trainer evaluates what a decoder reads from the weights it hands over."""
    trainer = trainer_of(CONFIGS[name], samples(), table_scale=24.0, decoder_scale=decoder_scale)
    trainer.run(30)
    grids = [0] if trainer.plan.config.disable_temporal else [0, 1]
    tensors = [Tensor.from_array(trainer.quantised(i), 24.0) for i in grids]
    if decoder_scale:
        tensors.append(Tensor.from_array(trainer.quantised(2), decoder_scale))
    else:
        tensors.append(Tensor.from_array(trainer.weights(2, rounded=False).astype(np.float16)))
    field = NativeField(Layout.of(trainer.plan.config), tensors)
    rng = np.random.default_rng(1)
    x, y, t = rng.random((3, 500), np.float32)
    x[:3], t[:3] = (0.0, 1.0, 1.0), (1.0, 0.0, 1.0)
    expected = field.points(x, y, t)
    np.testing.assert_allclose(trainer.evaluate(x, y, t), expected, atol=2e-5 * np.abs(expected).max())


@pytest.mark.parametrize("isa", ["generic", "avx2", "avx512"])
def test_instruction_sets_agree(isa: str) -> None:
    before = ffi.string(lib.gndc_isa()).decode()
    if not lib.gndc_set_isa(isa.encode()):
        pytest.skip(f"this machine has no {isa}")
    try:
        found = trainer_of(CONFIGS["wide"], samples(), table_scale=32.0).run(20).loss
        lib.gndc_set_isa(b"generic")
        expected = trainer_of(CONFIGS["wide"], samples(), table_scale=32.0).run(20).loss
    finally:
        lib.gndc_set_isa(before.encode())
    assert found == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(("name", "batch", "steps"), [("hashed", 960, 60), ("sorted", 4096, 5)])
def test_the_number_of_threads_changes_nothing(name: str, batch: int, steps: int) -> None:
    options: dict[str, Any] = {"batch": batch, "table_scale": 32.0, "decoder_scale": 32.0, "rate_relative": 1.0}
    weights = []
    for threads in (1, 2, 3):
        trainer = trainer_of(CONFIGS[name], samples(), threads, **options)
        trainer.run(steps)
        weights.append([trainer.weights(i, rounded=False) for i in range(3)])
    for other in weights[1:]:
        for a, b in zip(weights[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_the_seed_changes_the_result() -> None:
    a, b = (trainer_of(CONFIGS["hashed"], samples(), seed=seed) for seed in (1, 2))
    assert a.run(5).loss != b.run(5).loss


def test_an_epoch_draws_every_valid_position_once() -> None:
    values = np.ones((4, 8, 9, 1), np.float32)
    data = Samples(values, np.linspace(0, 1, 4, dtype=np.float32))
    config = dataclasses.replace(CONFIGS["hashed"], n_bands=1)
    trainer = NativeTrainer(plan_of(config, batch=96), data)
    drawn = np.concatenate([trainer.draw(k) for k in range(3)])
    assert sorted(drawn.tolist()) == list(range(288))
    assert not np.array_equal(drawn, np.sort(drawn))


def test_positions_without_data_are_not_drawn() -> None:
    data = samples()
    trainer = trainer_of(CONFIGS["hashed"], data)
    drawn = np.concatenate([trainer.draw(k) for k in range(20)])
    valid = np.isfinite(data.values).any(axis=-1).ravel()
    assert valid[drawn[drawn >= 0]].all()
    assert np.count_nonzero(drawn >= 0) > 0.9 * drawn.size


def test_weights_that_no_sample_reaches_stay_zero() -> None:
    values = np.full((3, 32, 32, 3), np.nan, np.float32)
    values[:, :8, :8] = np.random.default_rng(0).standard_normal((3, 8, 8, 3))
    data = Samples(values, np.linspace(0, 1, 3, dtype=np.float32))
    config = dataclasses.replace(CONFIGS["dense"], xy_base_resolution=32, xy_n_levels=1)
    trainer = NativeTrainer(plan_of(config), data)
    trainer.run(20)
    table = trainer.weights(0).reshape(-1, 8)[: 32 * 32].reshape(32, 32, 8)
    assert np.abs(table[:7, :7]).max() > 0
    assert not table[12:, 12:].any()


def test_the_rate_penalty_makes_weights_cheap() -> None:
    found = {}
    for rate in (0.0, 5.0):
        trainer = trainer_of(
            CONFIGS["wide"], samples(), table_scale=32.0, decoder_scale=32.0, rate_relative=rate, steps=400
        )
        trainer.run(400)
        integers = np.concatenate([trainer.quantised(i) for i in range(3)])
        counts = np.bincount(integers.astype(int) + 128)
        shares = counts[counts > 0] / integers.size
        found[rate] = -(shares * np.log2(shares)).sum()
    assert found[5.0] < 0.8 * found[0.0]


def test_frame_weights_decide_what_is_fitted() -> None:
    values = np.zeros((2, 6, 6, 1), np.float32)
    values[1] = 1.0
    config = dataclasses.replace(CONFIGS["spatial"], n_bands=1)  # cannot tell the frames apart
    data = Samples(values, np.array([0, 1], np.float32), np.array([1.0, 3.0], np.float32))
    trainer = NativeTrainer(plan_of(config, steps=300, batch=960), data)
    trainer.run(300)
    y, x = ((np.mgrid[0:6, 0:6].reshape(2, -1) + 0.5) / 6).astype(np.float32)
    assert trainer.evaluate(x, y, 0 * x).mean() == pytest.approx(0.75, abs=0.02)


def test_what_is_refused() -> None:
    data = samples()
    with pytest.raises(EncodeError, match=r"block_size \[1, 1\]"):
        trainer_of(dataclasses.replace(CONFIGS["dense"], block_size=(2, 2)), data)
    empty = Samples(np.full(SHAPE, np.nan, np.float32), data.times)
    with pytest.raises(EncodeError, match="no sample has a value"):
        trainer_of(CONFIGS["dense"], empty)
    with pytest.raises(EncodeError, match="expected 0 to 1"):
        trainer_of(CONFIGS["dense"], Samples(data.values, data.times * 2))
    with pytest.raises(EncodeError, match="do not fit the plan"):
        trainer_of(dataclasses.replace(CONFIGS["dense"], n_bands=4), data)
    with pytest.raises(EncodeError, match="weights given"):
        trainer_of(CONFIGS["dense"], data).set_weights(0, np.zeros(3, np.float32))
    with pytest.raises(EncodeError, match="not trained as integers"):
        trainer_of(CONFIGS["dense"], data).quantised(0)


def test_divergence_is_reported() -> None:
    trainer = trainer_of(CONFIGS["dense"], samples(), decoder_rate=1e30, warmup=1)
    with pytest.raises(EncodeError, match="diverged"):
        trainer.run(50)
