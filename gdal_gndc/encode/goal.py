"""What a user wants of a file, and the plan that gives it."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass

from gdal_gndc.encode.trial import Outlook
from gdal_gndc.errors import EncodeError

_log = logging.getLogger(__name__)

# Levels between and beyond presets.
_LEAST, _MOST = -1.0, 5.0
_FIRST = 1.0
_TRIALS = 5
_MARGIN = 0.25  # dB beyond the goal that is aimed at
_SLOPE = 3.0  # decibels a level, of quality and of size alike


@dataclass(frozen=True)
class Goal:
    """A size or a quality that the whole file must reach; what is closest to it is aimed at.

    Attributes
    ----------
    kind
        ``psnr`` in dB, at least; ``bps`` in bits a valid sample, at most; ``size`` in bytes, at most.
    value
        The figure.
    """

    kind: str
    value: float

    @classmethod
    def of(cls, *, psnr: float | None = None, bps: float | None = None, size: int | None = None) -> Goal | None:
        """Read what a user asks for, at most one of them.

        Raises
        ------
        EncodeError
            If there are several, or one is not positive.
        """
        given = {k: v for k, v in {"psnr": psnr, "bps": bps, "size": size}.items() if v is not None}
        if not given:
            return None
        if len(given) > 1:
            raise EncodeError(f"{len(given)} goals ({', '.join(given)}), expected one")
        ((kind, value),) = given.items()
        if not 0 < value < math.inf:
            raise EncodeError(f"a goal of {value} {kind}, expected a finite number above 0")
        return cls(kind, float(value))

    def reached(self, figure: float) -> bool:
        """Whether a file's figure is as good as the goal."""
        return figure >= self.value if self.kind == "psnr" else figure <= self.value

    def near(self, figure: float) -> bool:
        """Whether nothing much can be gained by another attempt."""
        if self.kind == "psnr":
            return self.value <= figure <= self.value + 0.7
        return 0.92 * self.value <= figure <= self.value

    def figure(self, outlook: Outlook, n_samples: int) -> float:
        """Return what of an outlook the goal is about."""
        return self.pick(outlook.psnr, outlook.bits_per_sample, outlook.bytes(n_samples))

    def pick(self, psnr: float | None, bits_per_sample: float, n_bytes: int) -> float:
        """Return the one that the goal is about; a PSNR of None stands for a file without errors."""
        if self.kind == "psnr":
            return math.inf if psnr is None else psnr
        return bits_per_sample if self.kind == "bps" else n_bytes

    def text(self) -> str:
        """Say it."""
        return {
            "psnr": f"a PSNR of {self.value:g} dB or more",
            "bps": f"{self.value:g} bits a sample or less",
            "size": f"{self.value:,.0f} bytes or less",
        }[self.kind]


class Search:
    """Finds the level between presets for a goal, from figures of trials and of whole files.

    Decibels and the logarithm of sizes rise with the level, about in a straight line.

    Parameters
    ----------
    goal
        A little more than it is aimed at.
    """

    def __init__(self, goal: Goal) -> None:
        self.goal = goal
        self.level = _FIRST
        self._seen: list[tuple[float, float]] = []  # (level, figure on a scale that is nearly linear)
        self._whole: list[tuple[float, float]] = []  # the same of whole files

    def try_out(self, figure_at: Callable[[float], float]) -> float:
        """Look for the level by trials, and return it.

        Parameters
        ----------
        figure_at
            The figure that the goal is about, at a level.
        """
        for _ in range(_TRIALS):
            figure = figure_at(self.level)
            _log.info("trial at level %.2f: %.4g", self.level, figure)
            self._seen.append((self.level, self._scaled(figure)))
            before, self.level = self.level, self._solve()
            if abs(self.level - before) < 0.1:
                break
        return self.level

    def learn(self, figure: float) -> float:
        """Take in what a whole file gave, and return a better level, the same if there is none."""
        self._whole.append((self.level, self._scaled(figure)))
        wanted = self._wanted()
        worse = max((seen for seen in self._whole if seen[1] < wanted), default=None)
        better = min((seen for seen in self._whole if seen[1] >= wanted), default=None)
        if worse and better and worse[0] < better[0]:
            (x0, y0), (x1, y1) = worse, better
            self.level = x0 + (x1 - x0) * (wanted - y0) / max(y1 - y0, 1e-9)
        else:
            # trials know the slope too badly; a step too long is cut by the next
            level, reached = self._whole[-1]
            self.level = min(_MOST, max(_LEAST, level + (wanted - reached) / (0.6 * _SLOPE)))
        return self.level

    def _wanted(self) -> float:
        return self._scaled(self.goal.value) + (_MARGIN if self.goal.kind == "psnr" else -_MARGIN)

    def _scaled(self, figure: float) -> float:
        return figure if self.goal.kind == "psnr" else 10 * math.log10(max(figure, 1e-12))

    def _solve(self) -> float:
        wanted = self._wanted()
        nearest = min(self._seen, key=lambda seen: abs(seen[1] - wanted))[0]
        level, slope = self._line(nearest)
        return min(_MOST, max(_LEAST, (wanted - level) / slope))

    def _line(self, at: float) -> tuple[float, float]:
        """Return level and slope through the figures around a place, or through one with the usual slope."""
        seen = sorted(self._seen, key=lambda s: abs(s[0] - at))
        (x0, y0), slope = seen[0], _SLOPE
        for x1, y1 in seen[1:]:
            if abs(x1 - x0) > 0.05:
                slope = min(2 * _SLOPE, max(_SLOPE / 3, (y1 - y0) / (x1 - x0)))
                break
        return y0 - slope * x0, slope
