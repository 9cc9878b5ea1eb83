from __future__ import annotations

import numpy as np
import pytest

from gdal_gndc.encode.progress import Bar, ChunkProgress, Gauge
from gdal_gndc.encode.train import Progress


def test_one_bar_for_chunks_that_are_trained_at_a_time(capsys: pytest.CaptureFixture[str]) -> None:
    with Bar(4, 100) as bar:
        bar.found(1000)
        bar.update("a", ChunkProgress(50, 0.5, 8000.0, 20.0))
        bar.update("b", ChunkProgress(20, 0.25, 16000.0, 23.5))
        assert bar.text == "chunks=1/4, kB=4.0, loss=0.25, PSNR=23.50"
        bar.finish("a", 1500)
        bar.finish("b", 0)
        assert bar.text.startswith("chunks=3/4, kB=2.5")
        assert bar._bar.n == 300 and bar._bar.initial == 100
    assert "encode:" in capsys.readouterr().err


def test_a_gauge_tells_decibels() -> None:
    told: list[ChunkProgress] = []
    values = np.linspace(0, 1, 100_001, dtype=np.float32)
    Gauge(values, 0.2, told.append)(Progress(10, 0.25, 99.0, 5))
    assert told[0].step == 10 and told[0].bits == 99.0
    assert told[0].psnr == pytest.approx(20 * np.log10(0.998 / 0.1), abs=1e-3)
