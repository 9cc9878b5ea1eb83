from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdal_gndc.encode.goal import Goal, Search
from gdal_gndc.encode.trial import Outlook
from gdal_gndc.errors import EncodeError


def test_goals_are_read() -> None:
    assert Goal.of() is None
    goal = Goal.of(psnr=35)
    assert goal is not None and goal.reached(35.0) and not goal.reached(34.99)
    size = Goal.of(size=1000)
    assert size is not None and size.reached(1000) and not size.reached(1001)
    assert size.text() == "1,000 bytes or less"
    outlook = Outlook(0.5, 31.0, 1.0)
    assert [g.figure(outlook, 800) for g in (goal, size) if g] == [31.0, 50]
    with pytest.raises(EncodeError, match="2 goals"):
        Goal.of(psnr=35, bps=0.1)
    for value in (0, -3.0, math.inf, math.nan):
        with pytest.raises(EncodeError, match="above 0"):
            Goal.of(psnr=value)


@settings(max_examples=100, deadline=None)
@given(
    base=st.floats(28, 36),
    slope=st.floats(1.5, 5),
    wanted=st.floats(0.0, 3.0),
    bias=st.floats(-1.5, 1.5),
    bend=st.floats(-0.3, 0.3),
)
def test_the_search_reaches_what_can_be_reached(
    base: float, slope: float, wanted: float, bias: float, bend: float
) -> None:
    """Whole files differ from trials by a constant that the search does not know."""

    def figure(level: float) -> float:
        return base + slope * level + bend * math.sin(3 * level)

    goal = Goal("psnr", figure(wanted))
    search = Search(goal)
    search.try_out(figure)
    for _ in range(4):
        reached = figure(search.level) + bias
        if goal.near(reached):
            break
        before = search.level
        if search.learn(reached) == before:
            break
    assert goal.near(reached) or search.level in (-1.0, 5.0)


def test_sizes_are_searched_by_their_logarithm() -> None:
    goal = Goal("size", 50_000.0)
    search = Search(goal)
    search.try_out(lambda level: 12_000 * 2.3**level)
    assert goal.near(12_000 * 2.3**search.level)
