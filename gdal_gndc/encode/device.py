"""Where to train."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from gdal_gndc.errors import DeviceError

Device = Literal["auto", "cpu", "cuda"]


def choose_device(device: Device) -> str:
    """Return ``cpu`` or ``cuda``; torch is imported only where there is a device it could use.

    Raises
    ------
    DeviceError
        If CUDA was asked for and is not there.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise DeviceError(f"device {device!r}, expected auto, cpu or cuda")
    if device == "cpu" or (device == "auto" and not Path("/proc/driver/nvidia").exists()):
        return "cpu"
    try:
        import torch
    except ImportError as error:
        if device == "cuda":
            raise DeviceError(
                "training on CUDA needs torch, which is not installed: pip install 'gdal-gndc[encode]'"
            ) from error
        return "cpu"
    if torch.cuda.is_available():
        return "cuda"
    if device == "cuda":
        raise DeviceError("torch finds no CUDA device")
    return "cpu"
