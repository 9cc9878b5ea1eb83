"""The look-up and the intersection of TorchGeo on the frames of a benchmark, run by an interpreter that has TorchGeo.

``python peer_torchgeo.py LEFT RIGHT`` with two pickled GeoDataFrames (column ``filepath``); prints milliseconds and
numbers of rows as JSON. No pixel is read: the data set's merging of files gives their number.
"""

from __future__ import annotations

import json
import pickle
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import torch

# The wheel of torchvision for CUDA cannot load its operators beside a torch for CPUs; TorchGeo imports it, but no
# look-up calls an operator. Their names are enough for the import.
names = torch.library.Library("torchvision", "DEF")
for name in ("nms", "qnms"):
    names.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

from torchgeo.datasets import IntersectionDataset, RasterDataset  # noqa: E402

BOX = (0.0, 0.0, 20.0, 20.0)
WHEN = (pd.Timestamp("2018-01-01", tz="UTC"), pd.Timestamp("2018-06-30", tz="UTC"))


class Files(RasterDataset):
    """A data set over a frame that is there already."""

    def __init__(self, index: Any) -> None:
        self.index = index
        self._res = (0.1, 0.1)
        self.transforms = None
        self.separate_files = False
        self.band_indexes = None

    def _merge_files(self, filepaths: Any, *_: Any) -> torch.Tensor:
        return torch.tensor([len(filepaths)])


def median_ms(call: Callable[[], Any], repeat: int) -> float:
    call()
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3


def main() -> None:
    left, right = (Files(pickle.loads(Path(path).read_bytes())) for path in sys.argv[1:3])
    query = slice(BOX[0], BOX[2]), slice(BOX[1], BOX[3]), slice(*WHEN)
    hits = int(left[query]["image"][0])
    pairs = IntersectionDataset(left, right, spatial_only=True)
    report = {
        "torchgeo_hits": hits,
        "torchgeo_pairs": len(pairs),
        "torchgeo_query_ms": median_ms(lambda: left[query], 20),
        "torchgeo_intersect_ms": median_ms(lambda: IntersectionDataset(left, right, spatial_only=True), 5),
    }
    sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main()
