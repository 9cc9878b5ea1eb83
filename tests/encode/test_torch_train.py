"""The torch trainer on the CPU: the same path that CUDA takes."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gdal_gndc.encode.inputs import open_rasters
from gdal_gndc.encode.normalise import Normalisation
from gdal_gndc.encode.planner import make_plan
from gdal_gndc.encode.quantise import tensors_of
from gdal_gndc.encode.train import NativeTrainer, Samples, train_chunk


def _loss(trainer: NativeTrainer, samples: Samples) -> float:
    t, h, w, _ = samples.values.shape
    frame, row, col = (a.ravel() for a in np.mgrid[0:t, 0:h, 0:w])
    x, y = ((col + 0.5) / w).astype(np.float32), ((row + 0.5) / h).astype(np.float32)
    output = trainer.evaluate(x, y, samples.times[frame]).reshape(samples.values.shape)
    return float(np.nanmean((output - samples.values) ** 2))


@pytest.mark.parametrize("decoder", ["int8", "float16"])
def test_it_learns_as_well_as_the_native_trainer(
    modis_files: list[object], decoder: str, request: pytest.FixtureRequest
) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the steps are too small to share
    request.addfinalizer(lambda: torch.set_num_threads(threads))
    from gdal_gndc.encode.torch_train import train_chunk_torch

    values = open_rasters(modis_files).read()[:, :12, :12]  # type: ignore[arg-type]
    samples = Samples(
        np.ascontiguousarray(Normalisation.of(values).apply(values)), np.linspace(0, 1, 12, dtype=np.float32)
    )
    plan = make_plan(values.shape, preset="fast", steps=60, decoder=decoder)  # type: ignore[arg-type]
    plan = dataclasses.replace(plan, batch=192, table_rate=0.04, decoder_rate=0.02, warmup=5, rate_relative=1.0)
    seen = []
    learnt = train_chunk_torch(plan, samples, device="cpu", report=seen.append)
    native = train_chunk(plan, samples)
    assert seen[-1].step == 60
    ours, theirs = _loss(native, samples), _loss(learnt, samples)
    assert theirs < 0.8
    assert theirs == pytest.approx(ours, rel=0.15)
    sizes = [sum(np.count_nonzero(t.array()) for t in tensors_of(trainer)) for trainer in (native, learnt)]
    assert sizes[1] == pytest.approx(sizes[0], rel=0.3)


def test_a_whole_encode_is_as_good(
    modis_files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """All that device="cuda" does, with torch on the CPU: within 0.2 dB and 3 % of the bytes of the core's."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    request.addfinalizer(lambda: torch.set_num_threads(threads))
    import gdal_gndc
    from gdal_gndc.encode import encoder, torch_train

    train, devices = torch_train.train_chunk_torch, []

    def on_the_cpu(plan: Any, samples: Any, *, device: str, report: Any) -> Any:
        devices.append(device)
        return train(plan, samples, device="cpu", report=report)

    monkeypatch.setattr(torch_train, "train_chunk_torch", on_the_cpu)
    reports = []
    for device in ("cpu", "cuda"):
        monkeypatch.setattr(encoder, "choose_device", lambda asked, chosen=device: chosen)
        reports.append(
            gdal_gndc.encode(
                modis_files,
                tmp_path / f"{device}.gndc",
                preset="tiny",
                steps=200,
                seed=1,
                device=device,
                progress=False,
            )
        )
    ours, theirs = reports
    assert devices == ["cuda"]
    assert (ours.device, theirs.device) == ("cpu", "cuda")
    assert ours.psnr > 22
    assert theirs.psnr == pytest.approx(ours.psnr, abs=0.2)
    assert theirs.bytes == pytest.approx(ours.bytes, rel=0.03)
