"""Evaluating loaded networks with torch on one device, compiled where that pays."""

from __future__ import annotations

import logging
import math
import os
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gdal_gndc.errors import DeviceError
from gdal_gndc.field.backend import DeviceName
from gdal_gndc.field.native import NativeField
from gdal_gndc.field.torch import TorchField

log = logging.getLogger(__name__)

_COMPILE = "GNDC_TORCH_COMPILE"
# evaluations at once: enough to keep a GPU busy; of a CPU what its caches hold
_BATCH = {"cuda": 1 << 20, "cpu": 1 << 14}
# evaluations; below, calling them costs as much as they do
_WORTH_COMPILING = 1 << 12


class TorchEvaluator:
    """Networks on a torch device. Loaded chunks keep their module; memory is that of ``batch`` evaluations.

    Parameters
    ----------
    device
        ``auto`` is CUDA where there is one.

    Attributes
    ----------
    device
        ``cpu`` or ``cuda``.
    compiles
        Whether networks go through ``torch.compile``. ``GNDC_TORCH_COMPILE`` says: ``1`` or ``0``, or the name of a
        compiler of torch; by default on CUDA only. A compiler that fails is not asked again, which a warning says.
    batch
        Evaluations in one call.

    Raises
    ------
    DeviceError
        If CUDA was asked for and there is none, or ``GNDC_TORCH_COMPILE`` is something else.
    """

    def __init__(self, device: DeviceName) -> None:
        if device == "cuda" and not torch.cuda.is_available():
            raise DeviceError("device 'cuda' was asked for, but torch finds no CUDA device")
        self.device = "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"
        self.batch = _BATCH[self.device]
        self._modules: weakref.WeakKeyDictionary[NativeField, TorchField] = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()
        # the name of the compiler, and the compiled function once there is one
        self._compiler = _compiler(self.device)
        self._compiled: Callable[..., torch.Tensor] | None = None

    @property
    def compiles(self) -> bool:
        return self._compiler is not None

    def module(self, field: NativeField) -> TorchField:
        """Return the module of a chunk's network, whose tensors were kept."""
        with self._lock:
            found = self._modules.get(field)
            if found is None:
                found = TorchField(field.layout, field.tensors).to(self.device).requires_grad_(requires_grad=False)
                self._modules[field] = found
            return found

    def tensor(self, array: NDArray[Any] | float) -> torch.Tensor:
        """Return an array on the device."""
        return torch.as_tensor(array, device=self.device)

    @torch.inference_mode()
    def grid(
        self, field: NativeField, x: NDArray[np.floating[Any]], y: NDArray[np.floating[Any]], t: float
    ) -> NDArray[np.float32]:
        """Return the outputs (ny, nx, n_outputs) at coordinates that broadcast to (ny, nx); compiled if that is on."""
        module, shape = self.module(field), np.broadcast_shapes(x.shape, y.shape)
        xs, ys = self.tensor(x), self.tensor(y)
        compiler = self._compiler
        if compiler is not None and math.prod(shape) >= _WORTH_COMPILING:
            # one length that varies is all that the compiled code has to know of shapes
            time = torch.full((1,), t, dtype=torch.float32, device=self.device)
            flat = [a.expand(shape).reshape(-1) for a in (xs, ys)]
            try:
                if self._compiled is None:
                    # a function, not a method of one module: chunks of one configuration share what is compiled
                    self._compiled = torch.compile(TorchField.evaluate, backend=compiler)
                for a in flat:
                    torch._dynamo.mark_dynamic(a, 0)
                return _to_host(self._compiled(module, *flat, time)).reshape(*shape, -1)
            except Exception as error:
                # whatever a compiler stumbles over; what is wrong with the arguments fails below too
                reason = " ".join(str(error).split())[:300]
                log.warning(
                    "torch.compile (%s) cannot compile the network on %s (%s: %s); it is evaluated uncompiled",
                    compiler, self.device, type(error).__name__, reason,
                )  # fmt: skip
                self._compiler = None
        time = torch.full((1, 1), t, dtype=torch.float32, device=self.device)
        return _to_host(module.evaluate(xs, ys, time))


def _to_host(tensor: torch.Tensor) -> NDArray[np.float32]:
    if not tensor.is_cuda:
        return tensor.numpy()
    # pages that stay where they are, which torch keeps for the next time, are copied to at full speed
    host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    return host.copy_(tensor).numpy()


def _compiler(device: str) -> str | None:
    wanted = os.environ.get(_COMPILE, "1" if device == "cuda" else "0")
    if wanted == "0":
        return None
    compiler = "inductor" if wanted == "1" else wanted
    known = torch.compiler.list_backends(exclude_tags=())
    if compiler not in known:
        raise DeviceError(f"{_COMPILE} is {wanted!r}, expected 0, 1 or one of {', '.join(known)}")
    return compiler
