"""The field on the CPU: the compiled core."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gdal_gndc.field.core import check, ffi, lib, message_buffer, pointer
from gdal_gndc.field.layout import Layout, config_struct
from gdal_gndc.format.weights import Tensor

_TYPES = {"float16": lib.GNDC_FLOAT16, "int8": lib.GNDC_INT8, "int16": lib.GNDC_INT16}


class NativeField:
    """A dequantised network in the core.

    Parameters
    ----------
    layout
        Of its configuration.
    tensors
        Quantised weights: spatial, temporal unless disabled, decoder.
    keep_tensors
        Keep them as ``tensors``, for backends that hold the weights elsewhere too.

    Raises
    ------
    FileFormatError
        If a scale or weight cannot be used.
    """

    def __init__(
        self,
        layout: Layout,
        tensors: Sequence[Tensor],
        *,
        keep_tensors: bool = False,
        path: str | None = None,
        entry: str | None = None,
    ) -> None:
        self.layout = layout
        self.tensors = tuple(tensors) if keep_tensors else ()
        n = len(tensors)
        c_tensors = ffi.new("gndc_tensor[]", n)
        buffers = []
        for i, tensor in enumerate(tensors):
            buffer = ffi.from_buffer(tensor.data)
            buffers.append(buffer)
            c_tensors[i].data = buffer
            c_tensors[i].count = tensor.count
            c_tensors[i].type = _TYPES[tensor.dtype]
            c_tensors[i].scale = tensor.scale
        status = ffi.new("int *")
        message = message_buffer()
        handle = lib.gndc_field_new(config_struct(layout.config), c_tensors, n, status, message)
        check(status[0], message, path=path, entry=entry)
        self.handle = ffi.gc(handle, lib.gndc_field_free, lib.gndc_field_bytes(handle))

    @property
    def nbytes(self) -> int:
        """Memory of the weights, in bytes."""
        return int(lib.gndc_field_bytes(self.handle))

    def points(
        self, x: ArrayLike, y: ArrayLike, t: ArrayLike, *, fast: bool = False, n_threads: int = 0
    ) -> NDArray[np.float32]:
        """Evaluate the network.

        Parameters
        ----------
        x, y, t
            Normalised coordinates in [0, 1], broadcast against each other to (N,).
        fast
            Hidden layers in 16-bit fixed point where the processor has the instructions.

        Returns
        -------
        ndarray
            (N, n_outputs) float32, before denormalisation.
        """
        arrays = [np.ascontiguousarray(a, np.float32).ravel() for a in np.broadcast_arrays(x, y, t)]
        out = np.empty((arrays[0].size, self.layout.n_outputs), np.float32)
        c_arrays = [pointer("float", a) for a in arrays]
        precision = lib.GNDC_PRECISION_FAST if fast else lib.GNDC_PRECISION_FLOAT32
        status = lib.gndc_field_points(self.handle, len(out), *c_arrays, precision, n_threads, pointer("float", out))
        check(status, message_buffer())
        return out

    def __reduce__(self) -> Any:
        raise TypeError("a NativeField lives in this process; pickle the dataset, which reopens its file")
