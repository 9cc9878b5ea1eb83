"""What evaluates the networks of a dataset: the compiled core, torch, or the numpy reference."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from gdal_gndc.errors import DeviceError
from gdal_gndc.field.core import ffi, lib
from gdal_gndc.field.native import NativeField

if TYPE_CHECKING:
    from gdal_gndc.field.torch_evaluator import TorchEvaluator

log = logging.getLogger(__name__)

BackendName = Literal["auto", "native", "torch", "numpy"]
DeviceName = Literal["auto", "cpu", "cuda"]
Precision = Literal["float32", "fast"]
Coordinates = NDArray[np.floating[Any]]
GridFunction = Callable[[NativeField, Coordinates, Coordinates, float], NDArray[np.float32]]

# evaluations that the reference makes at once
_BATCH = 1 << 16


@dataclass(frozen=True)
class Backend:
    """A way to evaluate networks.

    ``grid(field, x, y, t)`` gives the outputs (ny, nx, n_outputs) float32 at normalised coordinates that broadcast to
    (ny, nx), at most about ``batch`` of them; None when ``native``, where the core does all. ``torch`` is what
    evaluates points and derivatives too, which are the core's with the other backends. ``fast`` asks the core for its
    faster, less exact arithmetic.
    """

    name: str
    device: str
    grid: GridFunction | None = None
    batch: int = _BATCH
    torch: TorchEvaluator | None = None
    fast: bool = False

    @property
    def native(self) -> bool:
        return self.grid is None


def choose_backend(
    backend: BackendName = "auto", device: DeviceName = "auto", precision: Precision = "float32"
) -> Backend:
    """Return the backend a user asked for.

    ``auto`` is the compiled core on the CPU unless ``device="cuda"`` was asked for, which is torch.
    ``precision="fast"`` is the compiled core's; where the processor lacks AVX512-VNNI it evaluates in float32, and the
    log says so.

    Raises
    ------
    DeviceError
        If it is not there.
    """
    if backend not in ("auto", "native", "torch", "numpy"):
        raise DeviceError(f"backend {backend!r}, expected auto, native, torch or numpy")
    if device not in ("auto", "cpu", "cuda"):
        raise DeviceError(f"device {device!r}, expected auto, cpu or cuda")
    chosen, why = backend, "as asked"
    if backend == "auto":
        chosen = "torch" if device == "cuda" else "native"
        asked = "the default" if device == "auto" else f"device={device!r}"
        why = {
            "native": f"auto, {asked}: the compiled core needs no torch; device='cuda' takes torch",
            "torch": f"auto, {asked}: the compiled core has no CUDA",
        }[chosen]
    if precision not in ("float32", "fast"):
        raise DeviceError(f"precision {precision!r}, expected float32 or fast")
    if chosen != "native" and precision == "fast":
        raise DeviceError(f"precision 'fast' is the compiled core's, backend {chosen!r} has none")
    if chosen != "torch" and device == "cuda":
        raise DeviceError(f"backend {backend!r} runs on the CPU only; use backend='torch' for device='cuda'")
    if chosen == "native":
        isa = ffi.string(lib.gndc_isa()).decode()
        log.info("backend native (%s) on cpu, %d threads (%s)", isa, lib.gndc_threads(), why)
        if precision == "fast":
            has = lib.gndc_has_fast()
            log.info("precision fast: %s", "16-bit fixed point" if has else "float32, for lack of AVX512-VNNI")
        return Backend("native", "cpu", fast=precision == "fast")
    if chosen == "numpy":
        from gdal_gndc.field.reference import grid as reference_grid

        log.info("backend numpy on cpu, the slow reference (%s)", why)
        return Backend("numpy", "cpu", reference_grid)
    if importlib.util.find_spec("torch") is None:
        raise DeviceError("backend 'torch' needs PyTorch: pip install 'gdal-gndc[encode]'")
    from gdal_gndc.field.torch_evaluator import TorchEvaluator

    evaluator = TorchEvaluator(device)
    how = "compiled" if evaluator.compiles else "not compiled"
    log.info("backend torch on %s, %s (%s)", evaluator.device, how, why)
    return Backend("torch", evaluator.device, evaluator.grid, evaluator.batch, evaluator)
