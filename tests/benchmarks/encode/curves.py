"""Draw bytes against error of this encoder beside classical codecs.

python -m tests.benchmarks.encode.curves rd.csv docs/images/rate_distortion.png
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from pathlib import Path

from tests.benchmarks.encode.classical import curves

TITLES = {
    "s2_flanders/all": "Sentinel-2, 118 dates with clouds, 10 bands",
    "s2_flanders/b4_clear": "Sentinel-2, 55 clear dates, 4 bands",
    "modis_mt_vi/all": "MODIS, 137 dates, 6 bands",
    "s2_puglia/all": "Sentinel-2, 19 dates, 3 bands",
    "sst_gulfstream/all": "Sea surface temperature, 12 months",
    "era5_t2m_uk/all": "Air temperature, 744 hours",
}
PRESETS = ("tiny", "fast", "balanced", "best")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("picture", type=Path)
    chosen = parser.parse_args()
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    ours: dict[str, list[tuple[float, float]]] = defaultdict(list)
    with chosen.table.open(newline="") as file:
        for row in csv.DictReader(file):
            if row["setting"] in PRESETS:
                ours[f"{row['dataset']}/{row['variant']}"].append(
                    (float(row["bits_per_sample"]), float(row["psnr_db"]))
                )
    names = [name for name in TITLES if name in ours]
    columns = 3
    rows = -(-len(names) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(11, 3.3 * rows), squeeze=False)
    for axis in axes.ravel()[len(names) :]:
        axis.axis("off")
    for axis, name in zip(axes.ravel(), names, strict=False):
        points = sorted(ours[name])
        low, high = points[0][0] / 1.6, points[-1][0] * 2.5
        for codec, (rates, quality) in sorted(curves(*name.split("/")).items()):
            near = [(r, q) for r, q in zip(rates, quality, strict=True) if low <= r <= high]
            if len(near) > 1:
                axis.plot(*zip(*near, strict=True), lw=1, alpha=0.8, label=codec)
        axis.plot(*zip(*points, strict=True), "k.-", lw=2, ms=8, label="gndc")
        axis.set(xscale="log", title=TITLES[name], xlabel="bits a sample", ylabel="PSNR, dB", xlim=(low, high))
        # codecs that fall apart at their lowest rates would flatten all the rest
        axis.set_ylim(points[0][1] - 3, max(points[-1][1] + 5, *axis.get_ylim()[1:]))
        axis.set_xticks([t for t in (0.02, 0.05, 0.1, 0.2, 0.5, 1.0) if low <= t <= high])
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axis.minorticks_off()
        axis.title.set_fontsize(9)
        axis.grid(alpha=0.3)
        axis.legend(fontsize=6)
    figure.tight_layout()
    figure.savefig(chosen.picture, dpi=95)


if __name__ == "__main__":
    main()
