"""A cube held against the sources it is said to come from."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Unpack

from gdal_gndc.encode.inputs import Inputs, Source, SourceOptions, open_source
from gdal_gndc.encode.memory import small_block_cache
from gdal_gndc.encode.residuals import ErrorBound
from gdal_gndc.encode.verify import beyond_bound, measure
from gdal_gndc.errors import EncodeError
from gdal_gndc.format.metrics import MEASURED
from gdal_gndc.times import format_time

# Decoders of other machines differ in the last bits of float32, and stored figures have four digits.
_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Verification:
    """What `verify` found.

    Attributes
    ----------
    metrics
        Of the file against the sources, as in ``metrics.json``.
    problems
        What does not hold, one sentence each; empty if all does.
    checked
        What was compared: stored metrics, an error bound, or only that every sample is there.
    """

    metrics: dict[str, Any]
    problems: tuple[str, ...]
    checked: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


@small_block_cache()
def verify(
    cube: str | os.PathLike[str],
    inputs: Inputs,
    *,
    max_error: float | Sequence[float] | None = None,
    **source_options: Unpack[SourceOptions],
) -> Verification:
    """Decode a cube, compare it with its sources, and see whether what it tells of itself is true.

    Parameters
    ----------
    cube
        A ``.gndc`` file.
    inputs, source_options
        The stack, as for `gdal_gndc.encode.encoder.encode`.
    max_error
        A bound to check, for all bands or one a band; by default the one the file was made with, if any.

    Raises
    ------
    EncodeError
        If the stack is another one: its grid, bands or dates differ from those of the cube, or a sample is lost.
    """
    import gdal_gndc

    source = open_source(inputs, **source_options)
    with gdal_gndc.open(cube, device="cpu") as dataset:
        _check_same(source, dataset, os.fspath(cube))
        stored = dataset.metrics()
        provenance = dataset.cube.container.sidecar("provenance.json") or {}
        metrics = measure(dataset, source)
    problems, checked = [], ["every sample of the sources is there"]
    if max_error is None:
        training = provenance.get("training")
        max_error = training.get("x_max_error") if isinstance(training, dict) else None
    if max_error is not None:
        bound = ErrorBound.of(max_error, source.shape[3])
        checked.append("the error bound")
        problems += beyond_bound(metrics, bound.bands)
    if stored and stored.get("source") in MEASURED and "x_appended" not in provenance:
        checked.append("the stored metrics")
        problems += _differences(stored, metrics, "the cube")
        for one, other in zip(stored.get("bands", []), metrics["bands"], strict=False):
            problems += _differences(one, other, f"band {other['name']}")
    return Verification(metrics, tuple(problems), tuple(checked))


def _check_same(source: Source, dataset: Any, name: str) -> None:
    meta = dataset.cube.meta
    source.check_fits(meta, name)
    if source.times != meta.times:
        apart = sorted(set(source.times) ^ set(meta.times))
        where = "the sources" if apart and apart[0] in source.times else name
        raise EncodeError(
            f"{name}: its {len(meta.times)} dates are not the {len(source.times)} of the sources"
            + (f"; {format_time(apart[0])} is in {where} only" if apart else "")
        )


def _differences(stored: dict[str, Any], found: dict[str, Any], what: str) -> list[str]:
    problems = []
    for key in ("rmse", "mae", "max_error", "n_valid"):
        one, other = stored.get(key), found.get(key)
        if one is None or other is None:
            continue
        if not math.isclose(one, other, rel_tol=_TOLERANCE, abs_tol=1e-9):
            problems.append(f"{what}: {key} is {other}, the file says {one}")
    return problems
