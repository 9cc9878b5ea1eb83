"""What goes into the container of an encoded cube."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gdal_gndc.encode.chunks import Piece
from gdal_gndc.encode.inputs import Source
from gdal_gndc.encode.observed import observation_entries
from gdal_gndc.encode.plan import Plan
from gdal_gndc.errors import EncodeError
from gdal_gndc.format.document import dump_json
from gdal_gndc.format.manifest import Manifest
from gdal_gndc.format.meta import Meta
from gdal_gndc.format.metrics import ENTRY as METRICS
from gdal_gndc.format.metrics import MEASURED, packed
from gdal_gndc.format.writer import ContainerWriter
from gdal_gndc.observations import FILLED, GAPS


def meta_of(source: Source) -> Meta:
    """Describe a source as ``meta.json`` does."""
    return Meta(
        shape=source.shape,
        bands=source.bands,
        dtype=source.dtype,
        crs=source.crs,
        transform=source.transform,
        times=source.times,
        raw={GAPS: FILLED} if source.fill_gaps else {},
    )


@dataclass(frozen=True)
class Documents:
    """What goes into the container; chunks are read when they are written, one at a time."""

    meta: Meta
    manifest: Manifest
    blobs: dict[str, Callable[[], bytes]]
    observations: dict[str, bytes]

    @classmethod
    def of(cls, source: Source, pieces: list[Piece], plan: Plan) -> Documents:
        """Describe a stack and its chunks."""
        meta = meta_of(source)
        blobs: dict[str, Callable[[], bytes]] = {
            piece.entry.file: piece.path.read_bytes for piece in pieces if piece.path is not None
        }
        missing = tuple(
            {"id": list(piece.entry.id), "reason": "no_data", "tag": "skip"} for piece in pieces if piece.path is None
        )
        if not blobs:
            raise EncodeError("no sample of the stack has a value: everything is nodata")
        manifest = Manifest(
            chunks=tuple(piece.entry for piece in pieces if piece.path is not None),
            overlap=plan.overlap,
            t_overlap=plan.t_overlap,
            missing=missing,
        )
        observations = observation_entries(source, manifest.chunks) if source.fill_gaps else {}
        return cls(meta, manifest, blobs, observations)

    def write(self, path: Path, sidecars: dict[str, bytes]) -> int:
        """Write the container and return its size."""
        with ContainerWriter(path, self.meta, self.manifest) as writer:
            for name, read in self.blobs.items():
                writer.add_chunk(name, read())
            for name, data in (self.observations | sidecars).items():
                writer.add_sidecar(name, data)
        return path.stat().st_size

    def write_measured(
        self,
        path: Path,
        metrics: dict[str, Any],
        source: Source,
        plan: Plan,
        device: str,
        preview: bytes | None = None,
    ) -> int:
        """Write the container with its sidecars, and return its size."""
        sidecars = {"provenance.json": dump_json(_provenance(source, plan, device))}
        if preview is not None:
            sidecars["preview.png"] = preview
        return self.write_with_metrics(path, metrics, sidecars)

    def write_with_metrics(self, path: Path, metrics: dict[str, Any], sidecars: dict[str, bytes]) -> int:
        """Write the container with its metrics, and return its size."""
        document = {"source": MEASURED[0], **packed(metrics)}
        return self.write(path, {METRICS: dump_json(document), **sidecars})


def _provenance(source: Source, plan: Plan, device: str) -> dict[str, Any]:
    # Without dates of making: the same inputs give the same bytes.
    from gdal_gndc import __version__

    return {
        "format": "gndc-provenance",
        "version": "0.9",
        "encoder": {"name": "gdal-gndc", "version": __version__},
        "source": {"uri": Path(source.names[0]).name, "n_files": len(source.names)},
        "training": {
            "loss": "MSE",
            "optimizer": "Adam",
            "steps": plan.steps,
            "batch_size": plan.batch,
            "lr_grid": plan.table_rate,
            "lr_mlp": plan.decoder_rate,
            "x_preset": plan.preset,
            "x_rate": [plan.rate_weight, plan.rate_relative],
            "x_seed": plan.seed,
            **({"x_max_error": list(plan.max_error)} if plan.max_error else {}),
            "hardware": device,
        },
    }
