"""A progress bar over the steps of all chunks, wherever they are trained."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gdal_gndc.encode.train import Progress


@dataclass(frozen=True)
class ChunkProgress:
    """Where a chunk stands: steps done, loss, bits that its weights are heading for, PSNR in dB."""

    step: int
    loss: float
    bits: float
    psnr: float | None


Report = Callable[[ChunkProgress], None]


class Gauge:
    """Turns a trainer's progress into that of its chunk.

    Parameters
    ----------
    values
        Physical values of the chunk, NaN where there are none.
    scale
        Physical units of a loss of 1.
    report
        What wants to know.
    """

    def __init__(self, values: NDArray[np.float32], scale: float, report: Report) -> None:
        some = values.ravel()[:: max(1, values.size // 1_000_000)]
        some = some[np.isfinite(some)]
        self._spread = float(np.subtract(*np.percentile(some, (99.9, 0.1)))) if some.size else 0.0
        self._scale = scale
        self._report = report

    def __call__(self, progress: Progress) -> None:
        rmse = math.sqrt(max(progress.loss, 0.0)) * self._scale
        psnr = 20 * math.log10(self._spread / rmse) if self._spread > 0 and rmse > 0 else None
        self._report(ChunkProgress(progress.step, progress.loss, progress.bits, psnr))


class Bar:
    """Shows chunks done, steps, loss, PSNR and the bytes of chunks, those under way as they are estimated.

    Parameters
    ----------
    n_chunks
        All of them.
    steps
        Of each.
    enabled
        Show it on stderr.
    """

    def __init__(self, n_chunks: int, steps: int, *, enabled: bool = True) -> None:
        from tqdm import tqdm

        self._bar: Any = tqdm(total=n_chunks * steps, desc="encode", unit="step", disable=not enabled, leave=False)
        self._n_chunks, self._steps = n_chunks, steps
        self._done, self._bytes = 0, 0
        self._under_way: dict[str, ChunkProgress] = {}

    def found(self, size: int) -> None:
        """Count a chunk that an earlier run finished."""
        self._done += 1
        self._bytes += size
        if not self._bar.disable:
            # what was there already tells nothing of the time that the rest takes
            self._bar.initial += self._steps
            self._bar.n += self._steps
        self._show(None)

    def update(self, name: str, progress: ChunkProgress) -> None:
        """Show where a chunk stands."""
        before = self._under_way.get(name)
        self._under_way[name] = progress
        self._bar.update(progress.step - (before.step if before else 0))
        self._show(progress)

    def finish(self, name: str, size: int) -> None:
        """Count a chunk of so many bytes, 0 for one that has no data."""
        before = self._under_way.pop(name, None)
        self._bar.update(self._steps - (before.step if before else 0))
        self._done += 1
        self._bytes += size
        self._show(before)

    @property
    def text(self) -> str:
        """What stands behind the bar."""
        return "" if self._bar.disable else str(self._bar.postfix or "")

    def _show(self, latest: ChunkProgress | None) -> None:
        size = self._bytes + sum(chunk.bits for chunk in self._under_way.values()) / 8
        shown = {"chunks": f"{self._done}/{self._n_chunks}", "kB": f"{size / 1000:.1f}"}
        if latest:
            shown["loss"] = f"{latest.loss:.3g}"
        if latest and latest.psnr is not None:
            shown["PSNR"] = f"{latest.psnr:.2f}"
        if not self._bar.disable:
            self._bar.set_postfix(shown, refresh=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()
