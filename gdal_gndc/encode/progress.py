"""A progress bar over the steps of all chunks."""

from __future__ import annotations

import math
from types import TracebackType
from typing import Any, Self

import numpy as np

from gdal_gndc.encode.train import Progress


class Bar:
    """Shows steps, loss, PSNR and the size that the weights are heading for.

    Parameters
    ----------
    total
        Steps of all chunks.
    enabled
        Show it on stderr.
    """

    def __init__(self, total: int, *, enabled: bool = True) -> None:
        from tqdm import tqdm

        self._bar: Any = tqdm(total=total, desc="encode", unit="step", disable=not enabled, leave=False)
        self._before = 0
        self._finished_bits = 0.0
        self._scale = 1.0
        self._spread = 0.0
        self._bits = 0.0

    def start_chunk(self, scale: float, values: Any) -> None:
        """Begin a chunk whose errors are in units of ``scale``."""
        self._finished_bits += self._bits
        self._bits = 0.0
        self._before = 0
        self._scale = scale
        if not self._bar.disable:
            some = values.ravel()[:: max(1, values.size // 1_000_000)]
            some = some[np.isfinite(some)]
            self._spread = float(np.subtract(*np.percentile(some, (99.9, 0.1)))) if some.size else 0.0

    def update(self, progress: Progress) -> None:
        """Show where a chunk stands."""
        self._bar.update(progress.step - self._before)
        self._before = progress.step
        self._bits = progress.bits
        rmse = math.sqrt(max(progress.loss, 0.0)) * self._scale
        shown = {"loss": f"{progress.loss:.3g}", "kB": f"{(self._finished_bits + self._bits) / 8000:.1f}"}
        if self._spread > 0 and rmse > 0:
            shown["PSNR"] = f"{20 * math.log10(self._spread / rmse):.2f}"
        self._bar.set_postfix(shown, refresh=False)

    def skip(self, steps: int) -> None:
        """Pass over a chunk that has no data."""
        self._bar.update(steps)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()
