"""The hyperparameters that fix the shape of a chunk's network (specification 6.1)."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from gdal_gndc.format.document import Document, shown


@dataclass(frozen=True)
class ModelConfig:
    """Shape of the network of one chunk.

    ``xy_*`` describe the spatial hash grid (x, y), ``t_*`` the temporal one (x, y, t), which a model with
    ``disable_temporal`` lacks. ``block_size`` is (rows, columns) of the pixel block one evaluation yields.
    The defaults are what a reader assumes for absent keys.
    """

    n_bands: int = 1
    xy_hash_size: int = 19
    xy_base_resolution: int = 512
    xy_n_levels: int = 9
    xy_per_level_scale: float = 1.43
    xy_features_per_level: int = 4
    t_hash_size: int = 21
    t_base_resolution: int = 16
    t_n_levels: int = 9
    t_per_level_scale: float = 1.43
    t_features_per_level: int = 4
    spatial_scale: float = 1.0
    decoder_hidden: int = 128
    n_hidden_layers: int = 6
    disable_temporal: bool = False
    block_size: tuple[int, int] = (1, 1)
    spatial_dims: int = 2

    @classmethod
    def from_json(cls, document: Document, *, spatial_dims: int | None = None) -> ModelConfig:
        """Read ``model_config``.

        Types, signs and the range of 64-bit integers are checked; whether a network of this shape can be
        built is for the numeric core to say.

        Parameters
        ----------
        document
            The ``model_config`` object.
        spatial_dims
            Value of the chunk's own ``spatial_dims``, used when ``model_config`` has none.

        Raises
        ------
        FileFormatError
            For values of the wrong type or sign, and for variants that are not supported: a deformation
            network, a ``temporal_mode`` other than ``hash3d``, three spatial dimensions.
        """
        if document.get("enable_deformation"):
            document.fail(f"{document.name('enable_deformation')}: deformation networks are not supported")
        mode = document.get("temporal_mode")
        if mode not in (None, "hash3d"):
            document.fail(f'{document.name("temporal_mode")} {shown(mode)} is not supported, expected "hash3d"')
        values: dict[str, Any] = {}
        disabled = document.boolean("disable_temporal", False)
        for field in fields(cls):
            key, default = field.name, field.default
            if not document.has(key):
                continue
            # A model without a temporal grid says nothing by its t_* keys; zeros are common there.
            idle = disabled and key.startswith("t_")
            if key == "block_size":
                values[key] = document.integers(key, low=1)
                if len(values[key]) != 2:
                    document.wrong(key, "two integers: rows and columns")
            elif isinstance(default, bool):
                values[key] = document.boolean(key)
            elif isinstance(default, int):
                values[key] = document.integer(key, low=0 if idle else 1)
            else:
                values[key] = document.number(key)
                least = 0.0 if idle or key == "spatial_scale" else None
                if values[key] < 0.0 or (least is None and values[key] == 0.0):
                    document.wrong(key, "a positive number")
        if "spatial_dims" not in values and spatial_dims is not None:
            values["spatial_dims"] = spatial_dims
        config = cls(**values)
        if config.spatial_dims != 2:
            document.fail(f"spatial_dims {shown(config.spatial_dims)} is not supported, expected 2")
        return config

    def to_json(self) -> dict[str, Any]:
        """Return the ``model_config`` object: every size, and switches that are not at rest."""
        members = asdict(self)
        at_rest = {field.name: field.default for field in fields(self)}
        for switch in ("disable_temporal", "block_size"):
            if members[switch] == at_rest[switch]:
                del members[switch]
        return members
