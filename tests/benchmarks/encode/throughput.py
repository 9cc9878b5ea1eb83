"""Training speed for the configuration that published cubes have.

    python -m tests.benchmarks.encode.throughput [--threads 2] [--batch 65536]

Prints million samples a second of wall time and of processor time, best of five runs.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from gdal_gndc.encode.plan import Plan
from gdal_gndc.encode.train import NativeTrainer, Samples
from gdal_gndc.format.config import ModelConfig

CONFIG = ModelConfig(
    n_bands=7, xy_hash_size=19, xy_base_resolution=16, xy_n_levels=10, xy_per_level_scale=1.745,
    xy_features_per_level=4, t_hash_size=18, t_base_resolution=16, t_n_levels=10, t_per_level_scale=1.3,
    t_features_per_level=4, spatial_scale=0.1, decoder_hidden=64, n_hidden_layers=3,
)  # fmt: skip
SHAPE = (8, 512, 512, 7)


def main() -> None:
    """Train on noise and print the speed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--batch", type=int, default=65536)
    options = parser.parse_args()
    values = np.random.default_rng(0).standard_normal(SHAPE, dtype=np.float32)
    times = np.linspace(0, 1, SHAPE[0], dtype=np.float32)
    plan = Plan(SHAPE, CONFIG, "throughput", steps=1_000_000, batch=options.batch)
    trainer = NativeTrainer(plan, Samples(values, times), n_threads=options.threads)
    trainer.run(1)
    wall, processor = [], []
    for _ in range(5):
        started = time.perf_counter(), time.process_time()
        samples = trainer.run(max(1, 500_000 // options.batch)).samples
        wall.append(samples / (time.perf_counter() - started[0]))
        processor.append(samples / (time.process_time() - started[1]))
    print(f"{max(wall) / 1e6:.3f} M samples/s, {max(processor) / 1e6:.3f} M samples per processor second")


if __name__ == "__main__":
    main()
