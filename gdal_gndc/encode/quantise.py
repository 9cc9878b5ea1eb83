"""Trained weights to the weight section of a chunk."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gdal_gndc.encode.plan import Plan
from gdal_gndc.encode.train import NativeTrainer
from gdal_gndc.errors import EncodeError
from gdal_gndc.format.weights import Quantization, Tensor, pack_weights

_HALF_MAX = 65504.0


def tensors_of(trainer: NativeTrainer) -> list[Tensor]:
    """Return what a trainer learnt, quantised as its plan says: tables int8, decoder int8 or float16."""
    plan = trainer.plan
    grids = [0] if plan.config.disable_temporal else [0, 1]
    tensors = [Tensor.from_array(trainer.quantised(i), plan.table_scale) for i in grids]
    if plan.decoder_scale > 0:
        return [*tensors, Tensor.from_array(trainer.quantised(2), plan.decoder_scale)]
    return [*tensors, Tensor.from_array(to_half(trainer.weights(2, rounded=False)))]


def to_half(weights: NDArray[np.float32]) -> NDArray[np.float16]:
    """Round to float16.

    Raises
    ------
    EncodeError
        If a weight is beyond its range.
    """
    if not np.all(np.abs(weights) <= _HALF_MAX):
        raise EncodeError("a decoder weight is too large for float16: train with a smaller step size")
    return weights.astype(np.float16)


def pack(tensors: Sequence[Tensor], plan: Plan) -> tuple[bytes, Quantization]:
    """Compress the tensors of a chunk."""
    return pack_weights(tensors, plan.quantisation)
