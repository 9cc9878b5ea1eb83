"""What encoding a cube gave: sizes, quality, time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gdal_gndc.encode.goal import Goal
from gdal_gndc.encode.plan import Plan


@dataclass(frozen=True)
class EncodeReport:
    """The outcome of an `encode`.

    Attributes
    ----------
    path
        The file written.
    shape
        (T, H, W, C).
    bytes
        Size of the whole file.
    raw_bytes
        Size of the source values without compression.
    seconds
        From reading the sources to the verified file.
    metrics
        Of the decoded file against its sources, as stored in ``metrics.json``.
    plan
        How it was encoded.
    device
        ``cpu`` or ``cuda``.
    goal
        What the file was to reach.
    skipped
        What was left out of the cube and why, with ``skip_bad``.
    memory
        Largest memory of all processes together in bytes, as far as the system tells; of this one since it began.
    chunks_found
        Chunks that an interrupted run had finished.
    """

    path: str
    shape: tuple[int, int, int, int]
    bytes: int
    raw_bytes: int
    seconds: float
    metrics: dict[str, Any]
    plan: Plan
    device: str = "cpu"
    goal: Goal | None = None
    skipped: tuple[str, ...] = ()
    memory: int = 0
    chunks_found: int = 0

    @property
    def goal_reached(self) -> bool | None:
        """Whether the file is as good or as small as was asked for; None without a goal."""
        if self.goal is None:
            return None
        return self.goal.reached(self.goal.pick(self.psnr, self.bits_per_sample, self.bytes))

    @property
    def psnr(self) -> float | None:
        """PSNR over all bands in dB; None where the file holds the values exactly."""
        value = self.metrics["psnr"]
        return None if value is None else float(value)

    @property
    def ratio(self) -> float:
        """Raw bytes over bytes."""
        return self.raw_bytes / self.bytes

    @property
    def bits_per_sample(self) -> float:
        """Bits of the file for each valid sample, a sample being one pixel of one band on one date."""
        return 8.0 * self.bytes / max(1, int(self.metrics["n_valid"]))

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON members."""
        return {
            "path": self.path,
            "shape": list(self.shape),
            "bytes": self.bytes,
            "raw_bytes": self.raw_bytes,
            "ratio": round(self.ratio, 3),
            "bits_per_sample": round(self.bits_per_sample, 6),
            "seconds": round(self.seconds, 2),
            "memory": self.memory,
            "chunks_found": self.chunks_found,
            "device": self.device,
            **({} if self.goal is None else {"goal": self.goal.text(), "goal_reached": self.goal_reached}),
            **({"skipped": list(self.skipped)} if self.skipped else {}),
            "metrics": self.metrics,
            "plan": self.plan.to_json(),
        }

    def table(self) -> str:
        """Return the figures of each band and of the whole as text."""
        bands = [*self.metrics["bands"], {**self.metrics, "name": "all"}]
        rows = [["band", "RMSE", "MAE", "max", "PSNR dB", "R2"]]
        rows += [[str(band["name"]), *(_text(band.get(key)) for key in _COLUMNS)] for band in bands]
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = []
        for row in rows:
            cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
            lines.append("  ".join([row[0].ljust(widths[0]), *cells]))
        t, h, w, c = self.shape
        lines.append(
            f"{t} dates, {h} x {w} pixels, {c} bands: {self.raw_bytes:,} bytes became {self.bytes:,} "
            f"({self.ratio:.1f} : 1, {self.bits_per_sample:.3f} bits a sample) in {self.seconds:.1f} s"
        )
        if self.goal:
            lines.append(f"goal: {self.goal.text()}: {'reached' if self.goal_reached else 'NOT reached'}")
        lines += [f"left out: {text}" for text in self.skipped]
        return "\n".join(lines)


_COLUMNS = ("rmse", "mae", "max_error", "psnr", "r2")


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
