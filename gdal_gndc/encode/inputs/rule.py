"""Which codes of a quality layer hide a pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gdal_gndc.errors import EncodeError


@dataclass(frozen=True)
class MaskRule:
    """Codes that hide a pixel: any of ``values``, or any of ``bits`` set (0 is the least significant)."""

    values: tuple[int, ...] = ()
    bits: tuple[int, ...] = ()

    @classmethod
    def of(
        cls, values: Sequence[int] | str | None = None, bits: Sequence[int] | None = None, preset: str | None = None
    ) -> MaskRule:
        """Make a rule of a user's options; ``values`` may name a preset too.

        Raises
        ------
        EncodeError
            If nothing is hidden, a preset is not known, or a bit is none.
        """
        if isinstance(values, str):
            if preset is not None:
                raise EncodeError(f"mask values {values!r} and the mask preset {preset!r}: expected one of them")
            preset, values = values, None
        known = PRESETS.get(preset.lower()) if preset is not None else cls()
        if known is None:
            raise EncodeError(f"mask preset {preset!r}, expected one of {', '.join(PRESETS)}")
        rule = cls(known.values + tuple(values or ()), known.bits + tuple(bits or ()))
        if not rule.values and not rule.bits:
            raise EncodeError(f"a mask hides nothing: give mask values, bits or a preset ({', '.join(PRESETS)})")
        if any(not 0 <= bit <= 62 for bit in rule.bits):
            raise EncodeError(f"mask bits {list(rule.bits)}, expected numbers from 0 to 62")
        return rule

    def hides(self, codes: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return where codes hide a pixel."""
        flags = np.int64(sum(1 << bit for bit in set(self.bits)))
        hidden: NDArray[np.bool_] = np.isin(codes, self.values) | ((codes & flags) != 0)
        return hidden


PRESETS: dict[str, MaskRule] = {
    # Sen2Cor scene classification: no data, saturated, cloud shadow, clouds of medium and high probability, cirrus
    "scl": MaskRule(values=(0, 1, 3, 8, 9, 10)),
    # Sentinel-2 QA60: opaque clouds, cirrus
    "qa60": MaskRule(bits=(10, 11)),
    # Fmask 3 and 4: cloud shadow, cloud, no observation
    "fmask": MaskRule(values=(2, 4, 255)),
    # HLS 2.0 Fmask: cloud, next to cloud or shadow, cloud shadow; its fill 255 has all bits set
    "hls": MaskRule(bits=(1, 2, 3)),
    # Landsat Collection 2 QA_PIXEL: fill, dilated cloud, cirrus, cloud, cloud shadow
    "landsat": MaskRule(bits=(0, 1, 2, 3, 4)),
}
