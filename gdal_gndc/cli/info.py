"""``gndc info``: what a cube holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gdal_gndc.cli.base import Command

if TYPE_CHECKING:
    from gdal_gndc.dataset import GNDCDataset


@click.command(cls=Command, epilog="Example: gndc info cube.gndc --json")
@click.argument("file")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def main(file: str, as_json: bool) -> None:
    """Show the size, place, times, bands and quality of the cube FILE."""
    import gdal_gndc

    with gdal_gndc.open(file) as dataset:
        found = describe(dataset, file)
    click.echo(json.dumps(found, indent=1, ensure_ascii=False) if as_json else _table(found))


def describe(dataset: GNDCDataset, file: str) -> dict[str, Any]:
    """Return what ``gndc info --json`` prints."""
    from gdal_gndc.times import format_time

    documents = dataset.meta.get("bands") or []
    manifest = dataset.cube.container.manifest
    path = Path(file)
    crs, transform = dataset.crs, dataset.transform
    frames, height, width, count = dataset.shape
    return {
        "file": file,
        "bytes": path.stat().st_size if path.is_file() else None,
        "raw_bytes_float32": frames * height * width * count * 4,
        "version": dataset.meta.get("version"),
        "shape": {"time": frames, "height": height, "width": width, "bands": count},
        "crs": None if crs is None else crs.to_string(),
        "bounds": [float(value) for value in dataset.bounds],
        "transform": None if transform is None else [float(value) for value in tuple(transform)[:6]],
        "resolution": [float(value) for value in dataset.resolution],
        "times": [format_time(time) for time in dataset.timestamps],
        "bands": [
            {
                "name": name,
                "unit": (documents[i].get("unit") if i < len(documents) else None),
                "common_name": (documents[i].get("common_name") if i < len(documents) else None),
            }
            for i, name in enumerate(dataset.band_names)
        ],
        "chunks": len(manifest.chunks),
        "overlap": manifest.overlap,
        "has_mask": bool(dataset.has_mask),
        "has_residuals": bool(dataset.has_residuals),
        "metrics": dataset.metrics() or None,
    }


def _table(found: dict[str, Any]) -> str:
    shape, times = found["shape"], found["times"]
    rows = [
        ("File", found["file"]),
        ("Size", f"{shape['width']} x {shape['height']} pixels"),
        ("Bands", str(shape["bands"])),
        ("Dates", str(shape["time"])),
        ("Bytes", _bytes(found)),
        ("CRS", _crs(found["crs"])),
        ("Bounds", ", ".join(f"{value:.10g}" for value in found["bounds"])),
        ("Pixel", " x ".join(f"{value:.10g}" for value in found["resolution"])),
        ("Times", f"{times[0]} to {times[-1]}" if times else "none"),
        ("Chunks", f"{found['chunks']}" + (f", overlap {found['overlap']} pixels" if found["overlap"] else "")),
        ("Mask", "yes" if found["has_mask"] else "no"),
        ("Residuals", "yes" if found["has_residuals"] else "no"),
    ]
    lines = [f"{label:<10} {text}" for label, text in rows]
    return "\n".join([*lines, "", *_band_lines(found)])


def _crs(text: str | None) -> str:
    """An authority's code as it is, WKT by its name and projection."""
    if text is None or len(text) < 40:
        return text or "none"
    from pyproj import CRS

    crs = CRS.from_user_input(text)
    parts = [crs.name, crs.coordinate_operation.method_name if crs.coordinate_operation else "unknown"]
    return ", ".join(part for part in parts if part != "unknown") or "without a name"


def _bytes(found: dict[str, Any]) -> str:
    size, raw = found["bytes"], found["raw_bytes_float32"]
    return "unknown" if size is None else f"{size:,} ({raw / max(size, 1):.1f} times less than raw float32)"


def _band_lines(found: dict[str, Any]) -> list[str]:
    measured = (found["metrics"] or {}).get("bands") or []
    columns = [key for key in ("rmse", "mae", "max_error", "psnr", "r2") if any(key in band for band in measured)]
    width = max(len("Band"), *(len(str(band["name"])) for band in found["bands"])) + 2
    lines = [f"{'Band':<{width}}" + f"{'Unit':<10}" + "".join(f"{key.upper():>12}" for key in columns)]
    for i, band in enumerate(found["bands"]):
        quality = measured[i] if i < len(measured) else {}
        cells = "".join(f"{_number(quality.get(key)):>12}" for key in columns)
        lines.append(f"{band['name']:<{width}}{band['unit'] or '-':<10}{cells}".rstrip())
    return lines


def _number(value: object) -> str:
    return f"{value:.5g}" if isinstance(value, int | float) else "-"
