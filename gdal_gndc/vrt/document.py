"""The XML of one VRT: what it shows, described for a template to fill in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape, quoteattr

from gdal_gndc.errors import GNDCError
from gdal_gndc.indices import bands_of, index_named
from gdal_gndc.selection import band_indices, moment_argument
from gdal_gndc.times import format_time
from gdal_gndc.vrt.arguments import DERIVATIVES
from gdal_gndc.vrt.grid import Grid, grid_of
from gdal_gndc.vrt.stretch import stretches
from gdal_gndc.vrt.template import VRTTemplate

if TYPE_CHECKING:
    from gdal_gndc.dataset import GNDCDataset
    from gdal_gndc.time_axis import Moment

Box = tuple[float, float, float, float]
Resolution = float | tuple[float, float]
BlockSize = int | tuple[int, int]

_COLORS = {"red": "Red", "green": "Green", "blue": "Blue"}
_STATISTICS = {
    "STATISTICS_MINIMUM": "min",
    "STATISTICS_MAXIMUM": "max",
    "STATISTICS_MEAN": "mean",
    "STATISTICS_STDDEV": "stddev",
}
# An overview is worth having while the raster is larger than a screenful.
_SMALLEST = 256
_BLOCK = 256


@dataclass(frozen=True)
class VRTOptions:
    """How a cube is shown; the parameters are those of :func:`gdal_gndc.vrt`."""

    template: str | Path | None = None
    bands: Sequence[int | str] | None = None
    product: str | None = None
    product_bands: Sequence[int | str] | None = None
    bbox: Box | None = None
    resolution: Resolution | None = None
    crs: str | None = None
    resampling: str = "bilinear"
    overviews: bool = False
    block_size: BlockSize | None = None


@dataclass(frozen=True)
class Layer:
    """One band of a VRT: a band of the cube or a product, at a moment."""

    name: str
    moment: Moment
    source_band: int
    product: str | None = None
    product_bands: tuple[int, ...] = ()
    color: str = "Undefined"
    unit: str = ""
    metadata: tuple[tuple[str, object], ...] = ()


def layers_of(dataset: GNDCDataset, moment: Moment, options: VRTOptions) -> list[Layer]:
    """Return the bands of the VRT of one moment.

    Raises
    ------
    CoordinateError
        If a band or product does not exist, or the cube lacks the bands for it.
    """
    if options.product is not None and options.product.lower() not in DERIVATIVES:
        index = index_named(options.product)
        given = options.product_bands
        if given is not None and len(given) != len(index.roles):
            raise GNDCError(f"{len(given)} bands for {options.product}; expected {', '.join(index.roles)}")
        taken = bands_of(dataset, index, given if given is not None else [None] * len(index.roles))
        name = options.product.lower()
        return [Layer(name.upper(), moment, taken[0], name, tuple(taken), unit="1")]
    described = _band_documents(dataset)
    statistics = _statistics(dataset)
    layers = [
        Layer(
            dataset.band_names[band],
            moment,
            band,
            color=_COLORS.get(str(described[band].get("common_name") or "").lower(), "Undefined"),
            unit=str(described[band].get("unit") or ""),
            metadata=statistics[band],
        )
        for band in band_indices(dataset, options.bands)
    ]
    if options.product is None:
        return layers
    name = options.product.lower()
    return [
        Layer(f"{layer.name} {name}", moment, layer.source_band, name, unit=_per(layer.unit, dataset, name))
        for layer in layers
    ]


def series_layers(dataset: GNDCDataset, moments: Sequence[Moment], band: int | str, options: VRTOptions) -> list[Layer]:
    """Return one band of the cube, or a product, with a band of the VRT for each moment."""
    chosen = replace(options, bands=[band])
    layers = []
    for moment in moments:
        layer = layers_of(dataset, moment, chosen)[0]
        times = _times(moment)
        observed = "NO" if moment.frame is None else "YES"
        items = (
            ("time", times["time"]),
            ("TIFFTAG_DATETIME", times["tiff_datetime"]),
            ("observed", observed),
        )
        name = times["time"] or f"frame {moment.frame}"
        layers.append(replace(layer, name=name, color="Undefined", metadata=(*layer.metadata, *items)))
    return layers


def render(dataset: GNDCDataset, path: str, layers: Sequence[Layer], template: VRTTemplate, options: VRTOptions) -> str:
    """Return the XML of a VRT in the cube's CRS.

    Parameters
    ----------
    path
        What the VRT calls the cube.
    layers
        Its bands, at least one.
    """
    from affine import Affine

    grid = grid_of(dataset, options.bbox, options.resolution)
    width, height = _block_size(dataset, options.block_size, grid)
    moment = layers[0].moment
    raster: dict[str, object | Callable[[], object]] = {
        "width": grid.width,
        "height": grid.height,
        "srs": "" if dataset.crs is None else dataset.crs.to_wkt(),
        "geotransform": ",".join(repr(float(v)) for v in (grid.transform or Affine.identity()).to_gdal()),
        "anchor": "Point" if dataset.meta.get("pixel_anchor") == "center" else "Area",
        "path": path,
        "t": _t(dataset, moment),
        **_times(moment),
        "observed": "NO" if moment.frame is None else "YES",
        "options": _window(dataset, grid),
        "block_width": width,
        "block_height": height,
        **stretches(dataset, moment, grid.window),
    }
    bands = [
        {
            "band": number,
            "source_band": layer.source_band + 1,
            "name": layer.name,
            "color": layer.color,
            "unit": layer.unit,
            "t": _t(dataset, layer.moment),
            "metadata": _metadata(layer.metadata),
            "options": _product(layer) + _window(dataset, grid),
            "overviews": "",
        }
        for number, layer in enumerate(layers, 1)
    ]
    if options.overviews:
        for band in bands:
            band["overviews"] = _overviews(template, raster, band, grid)
    return template.fill(raster, bands)


def _t(dataset: GNDCDataset, moment: Moment) -> str:
    argument = moment_argument(dataset, moment)
    return str(argument) if isinstance(argument, int) else format_time(argument)


def _times(moment: Moment) -> dict[str, str]:
    time = moment.time
    return {
        "time": format_time(time) if time else "",
        "tiff_datetime": time.strftime("%Y:%m:%d %H:%M:%S") if time else "",
        "acquisition_datetime": time.strftime("%Y-%m-%d %H:%M:%S") if time else "",
    }


def _product(layer: Layer) -> str:
    if layer.product is None:
        return ""
    taken = ",".join(str(band + 1) for band in layer.product_bands)
    return f' product="{layer.product}"' + (f' bands="{taken}"' if taken else "")


def _window(dataset: GNDCDataset, grid: Grid) -> str:
    if tuple(grid.window) == (0, 0, dataset.width, dataset.height):
        return ""
    return f' window="{",".join(repr(float(value)) for value in grid.window)}"'


def _overviews(template: VRTTemplate, raster: dict[str, Any], band: dict[str, Any], grid: Grid) -> str:
    """Return the overviews of a band, each an inline VRT of the same field with fewer pixels."""
    found = ""
    factor = 2
    while max(grid.width, grid.height) // (factor // 2) > _SMALLEST:
        width, height = grid.reduced(factor)
        block = {
            "block_width": min(raster["block_width"], width),
            "block_height": min(raster["block_height"], height),
        }
        inner = template.fill_band({**raster, **band, **block, "band": 1, "metadata": "", "overviews": ""})
        text = f'<VRTDataset rasterXSize="{width}" rasterYSize="{height}">{inner}</VRTDataset>'
        found += (
            f'\n    <Overview><SourceFilename relativeToVRT="0">{escape(text)}</SourceFilename>'
            "<SourceBand>1</SourceBand></Overview>"
        )
        factor *= 2
    return found


def _band_documents(dataset: GNDCDataset) -> list[dict[str, Any]]:
    given = dataset.meta.get("bands") or []
    return [dict(given[i]) if i < len(given) else {} for i in range(dataset.n_bands)]


def _statistics(dataset: GNDCDataset) -> list[tuple[tuple[str, object], ...]]:
    """Return GDAL's statistics of each band where the container's metrics tell all of them.

    They are those of the whole cube, so GDAL is told that for one date they are approximate: good for a
    first display, and computed anew where exact ones are asked for.
    """
    documents = (dataset.metrics() or {}).get("bands") or []
    found: list[tuple[tuple[str, object], ...]] = [()] * dataset.n_bands
    for i, document in enumerate(documents[: dataset.n_bands]):
        values = {key: document.get(name) for key, name in _STATISTICS.items()}
        # Without the others, "max" may be the largest error.
        if all(isinstance(value, int | float) for value in values.values()):
            found[i] = (("STATISTICS_APPROXIMATE", "YES"), *values.items())
    return found


def _metadata(items: Sequence[tuple[str, object]]) -> str:
    return "".join(f"<MDI key={quoteattr(key)}>{escape(str(value))}</MDI>" for key, value in items if value != "")


def _per(unit: str, dataset: GNDCDataset, product: str) -> str:
    """Return the unit of a derivative: per day, or per unit of the CRS."""
    below = "day"
    if product != "dt":
        below = "pixel" if dataset.crs is None else "degree" if dataset.crs.is_geographic else dataset.crs.linear_units
    return f"{unit or '1'}/{below}"


def _block_size(dataset: GNDCDataset, given: BlockSize | None, grid: Grid) -> tuple[int, int]:
    if given is None:
        own = tuple(grid.window) == (0, 0, dataset.width, dataset.height) == (0, 0, grid.width, grid.height)
        width, height = _chunk_blocks(dataset) if own else (_BLOCK, _BLOCK)
    else:
        width, height = (given, given) if isinstance(given, int) else given
    if width < 1 or height < 1:
        raise GNDCError(f"the block size is {width}x{height}; expected at least 1x1")
    return min(width, grid.width), min(height, grid.height)


def _chunk_blocks(dataset: GNDCDataset) -> tuple[int, int]:
    """Return (width, height) of blocks, near 256, whose borders are those of the chunks where these are regular.

    A block across a border would load the model of either chunk.
    """
    chunks = dataset.cube.container.manifest.chunks
    return _dividing({chunk.x for chunk in chunks}), _dividing({chunk.y for chunk in chunks})


def _dividing(sides: set[tuple[int, int]]) -> int:
    starts = sorted({start for start, _ in sides})
    length = max(end - start for start, end in sides) if sides else 0
    if len(starts) < 2 or any(start % length for start in starts):
        return _BLOCK
    parts = [n for n in range(1, length + 1) if length % n == 0 and _BLOCK // 2 <= length // n <= 2 * _BLOCK]
    return min((length // n for n in parts), key=lambda side: abs(side - _BLOCK), default=_BLOCK)
