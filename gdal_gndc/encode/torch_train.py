"""Fitting one chunk with torch, for CUDA devices; the same loss, schedule, quantisation and size penalty."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import torch

from gdal_gndc.encode.plan import Plan
from gdal_gndc.encode.train import NativeTrainer, Progress, Report, Samples
from gdal_gndc.errors import EncodeError
from gdal_gndc.field.core import lib, pointer
from gdal_gndc.field.torch import TorchField
from gdal_gndc.format.weights import Tensor

_PRICE_INTERVAL = 25
_MOST_STEPS = 127.0
_MOST_RELATIVE = 3.0
_SMOOTHING = 0.02


def train_chunk_torch(
    plan: Plan, samples: Samples, *, device: str = "cuda", report: Report | None = None
) -> NativeTrainer:
    """Train to the end of the plan on a torch device.

    Parameters
    ----------
    plan, samples
        As for the native trainer, whose initial weights are the starting point.
    device
        Any torch device; ``cpu`` serves tests, it is much slower than the native trainer.
    report
        Called a few times a second.

    Returns
    -------
    NativeTrainer
        Holding the weights that were learnt.

    Raises
    ------
    EncodeError
        If the loss is no longer a number.
    """
    native = NativeTrainer(plan, samples)
    learner = _Learner(native, samples, torch.device(device))
    reported = time.monotonic()
    for step in range(plan.steps):
        learner.step(step)
        if report and (step + 1 == plan.steps or time.monotonic() - reported > 0.25):
            reported = time.monotonic()
            report(Progress(step + 1, learner.loss(), learner.bits, plan.batch))
    if not math.isfinite(learner.loss()):
        raise EncodeError("training diverged: the loss is not a number")
    for component, weights in learner.weights().items():
        native.set_weights(component, weights)
    return native


class _Learner:
    def __init__(self, native: NativeTrainer, samples: Samples, device: torch.device) -> None:
        plan = native.plan
        self.plan, self.device = plan, device
        self.layout = native.layout
        grids = [0] if plan.config.disable_temporal else [0, 1]
        start = [Tensor.from_array(np.zeros(n, np.float16)) for n in self.layout.counts]
        self.module = TorchField(self.layout, start).to(device)
        # (parameters, component, steps of 1 / scale or 0) of tables and matrices
        self.groups: list[tuple[list[torch.nn.Parameter], int, float]] = [
            ([self.module.spatial if i == 0 else self.module.temporal], i, plan.table_scale) for i in grids
        ]
        self.groups.append((list(self.module.matrices), 2, plan.decoder_scale))
        for parameters, component, _ in self.groups:
            flat = torch.from_numpy(native.weights(component, rounded=False)).to(device)
            parts = torch.split(flat, [p.numel() for p in parameters])
            for parameter, part in zip(parameters, parts, strict=True):
                parameter.data.copy_(part.reshape(parameter.shape))
        # Weights that no sample reaches start at zero and stay there; they are not part of the histogram.
        self.reached = {id(p): p.detach() != 0 for parameters, i, _ in self.groups[:-1] for p in parameters if i < 2}
        self.adam = torch.optim.Adam(
            [
                {"params": parameters, "lr": 0.0, "peak": plan.decoder_rate if i == 2 else plan.table_rate}
                for parameters, i, _ in self.groups
            ],
            betas=(0.9, 0.99),
            eps=1e-15,
        )
        self.values = torch.from_numpy(samples.values).to(device)
        t, h, w, c = samples.values.shape
        self.shape = (t, h, w)
        flat_values = self.values.reshape(-1, c)
        weights = np.ones(t, np.float32) if samples.frame_weights is None else samples.frame_weights
        self.frame_weights = torch.from_numpy(weights).to(device)
        usable = torch.isfinite(flat_values).any(dim=1) & (self.frame_weights.repeat_interleave(h * w) > 0)
        self.positions = torch.nonzero(usable).ravel()
        self.rate_samples = samples.rate_samples or int(torch.isfinite(flat_values[self.positions]).sum())
        self.times = torch.from_numpy(samples.times).to(device)
        self.generator = torch.Generator(device=device).manual_seed(plan.seed)
        self.order = self._shuffled()
        self.taken = 0
        self.running = torch.zeros((), device=device)
        self.bits = 0.0
        self.slopes: dict[int, torch.Tensor] = {}

    def step(self, step: int) -> None:
        """One step of Adam."""
        plan = self.plan
        if step % _PRICE_INTERVAL == 0:
            self._price()
        xyt, target, weight = self._batch()
        # Forward and backward pass see the rounded weights; the gradient then moves the continuous ones.
        continuous = self._round() if step >= plan.quantise_from * plan.steps else []
        output = self.module(xyt)
        loss = (weight * (output - target) ** 2).sum() / weight.sum()
        self.adam.zero_grad(set_to_none=True)
        loss.backward()
        with torch.no_grad():
            for parameter, before in continuous:
                parameter.copy_(before)
            value = loss.detach()
            self.running = value if step == 0 else self.running + _SMOOTHING * (value - self.running)
            self._penalise(step)
            fraction = step / plan.steps
            factor = 0.5 * (1 + math.cos(math.pi * fraction)) * min(1.0, (step + 1) / max(1, plan.warmup))
            for group in self.adam.param_groups:
                group["lr"] = group["peak"] * factor
            self.adam.step()
            for parameters, _, scale in self.groups:
                if scale > 0:
                    for parameter in parameters:
                        parameter.clamp_(-_MOST_STEPS / scale, _MOST_STEPS / scale)

    def loss(self) -> float:
        """Return the running loss."""
        return float(self.running)

    def weights(self) -> dict[int, Any]:
        """Return the weights of each component as float32 arrays."""
        return {
            component: torch.cat([p.detach().ravel() for p in parameters]).cpu().numpy()
            for parameters, component, _ in self.groups
        }

    @torch.no_grad()
    def _round(self) -> list[tuple[torch.nn.Parameter, torch.Tensor]]:
        before = []
        for parameters, _, scale in self.groups:
            for p in parameters:
                before.append((p, p.detach().clone()))
                steps = (p * scale).round().clamp(-_MOST_STEPS, _MOST_STEPS)
                p.copy_(steps / scale if scale > 0 else p.half().float())
        return before

    def _shuffled(self) -> torch.Tensor:
        order = torch.randperm(len(self.positions), generator=self.generator, device=self.device)
        return self.positions[order]

    def _batch(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        parts, missing = [], self.plan.batch
        while missing:
            if self.taken == len(self.order):
                self.order, self.taken = self._shuffled(), 0
            part = self.order[self.taken : self.taken + missing]
            self.taken += len(part)
            missing -= len(part)
            parts.append(part)
        positions = torch.cat(parts)
        _, h, w = self.shape
        frame, pixel = positions // (h * w), positions % (h * w)
        x = ((pixel % w).float() + 0.5) / w
        y = ((pixel // w).float() + 0.5) / h
        target = self.values.reshape(-1, self.values.shape[-1])[positions]
        valid = torch.isfinite(target)
        weight = valid * self.frame_weights[frame][:, None]
        return torch.stack([x, y, self.times[frame]], dim=1), torch.where(valid, target, 0.0), weight

    def _price(self) -> None:
        """Look at the histogram of the weights: what does a step more or less cost?"""
        self.bits = 0.0
        for parameters, component, scale in self.groups:
            if scale <= 0:
                self.bits += 16.0 * sum(p.numel() for p in parameters)
                continue
            kept = [
                p.detach()[self.reached[id(p)]] if id(p) in self.reached else p.detach().ravel() for p in parameters
            ]
            values = torch.cat(kept)
            lengths = (values * scale).abs().round().clamp(max=_MOST_STEPS).long()
            counts = np.ascontiguousarray(torch.bincount(lengths, minlength=128).cpu().numpy(), np.int64)
            slopes = np.empty(129, np.float32)
            self.bits += lib.gndc_rate_slopes(pointer("int64_t", counts), pointer("float", slopes))
            self.slopes[component] = torch.from_numpy(slopes).to(self.device)

    def _penalise(self, step: int) -> None:
        plan = self.plan
        relative = torch.clamp(plan.rate_relative * self.running, max=_MOST_RELATIVE)
        weight = min(1.0, 10.0 * step / plan.steps) * (plan.rate_weight + relative) / self.rate_samples
        for parameters, component, scale in self.groups:
            if scale <= 0:
                continue
            slopes = self.slopes[component]
            for p in parameters:
                if p.grad is None:
                    continue
                length = (p.detach() * scale).abs().clamp(max=_MOST_STEPS)
                cell = length.long()
                slope = torch.lerp(slopes[cell], slopes[cell + 1], length - cell)
                p.grad += weight * scale * slope * torch.sign(p.detach())
