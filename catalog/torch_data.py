"""Chips into torch: a map-style and a streaming dataset, the same in every worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gdal_gndc.catalog.geoslice import GeoSlice
from gdal_gndc.catalog.options import need

if TYPE_CHECKING:
    import torch.utils.data
else:
    torch = need("torch", "chips as tensors")

Loader = Callable[[GeoSlice], Any]


class ChipDataset(torch.utils.data.Dataset[Any]):
    """A map-style dataset: ``load`` of the slice at each index, as tensors.

    Parameters
    ----------
    slices
        Any sequence of slices, such as a sampler's `ChipSequence`.
    load
        From a slice to a DataArray, an array, or a mapping of them. Files are opened in the worker that reads
        them.
    """

    def __init__(self, slices: Sequence[GeoSlice], load: Loader) -> None:
        self.slices = slices
        self.load = load

    def __len__(self) -> int:
        return len(self.slices)

    def __getitem__(self, index: int) -> Any:
        return to_tensors(self.load(self.slices[index]))


class ChipStream(torch.utils.data.IterableDataset[Any]):
    """A streaming dataset: worker ``k`` of ``n`` takes slices ``k``, ``k + n``, ...; together they yield each
    once.

    Parameters
    ----------
    shuffle_seed
        Shuffles the order, differently in each epoch set with `set_epoch`, equally in all workers. None: in
        order.
    """

    def __init__(self, slices: Sequence[GeoSlice], load: Loader, *, shuffle_seed: int | None = None) -> None:
        super().__init__()
        self.slices = slices
        self.load = load
        self.shuffle_seed = shuffle_seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order the next pass has."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.slices)

    def __iter__(self) -> Iterator[Any]:
        order = np.arange(len(self.slices))
        if self.shuffle_seed is not None:
            order = np.random.default_rng([self.shuffle_seed, self.epoch]).permutation(order)
        worker = torch.utils.data.get_worker_info()
        if worker is not None:
            order = order[worker.id :: worker.num_workers]
        for index in order.tolist():
            yield to_tensors(self.load(self.slices[index]))


def to_tensors(value: Any) -> Any:
    """Arrays and DataArrays as tensors, inside mappings and sequences too; a DataArray brings its ``valid``
    mask.

    A DataArray becomes ``{"data": ..., "valid": ...}``.
    """
    if isinstance(value, dict):
        return {k: to_tensors(v) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return type(value)(to_tensors(v) for v in value)
    if hasattr(value, "coords") and hasattr(value, "values"):
        found = {"data": _tensor(value.values)}
        if "valid" in value.coords:
            found["valid"] = _tensor(value.coords["valid"].values)
        return found
    if isinstance(value, np.ndarray):
        return _tensor(value)
    return value


def _tensor(array: np.ndarray) -> Any:
    array = np.ascontiguousarray(array)
    return torch.from_numpy(array if array.flags.writeable else array.copy())
