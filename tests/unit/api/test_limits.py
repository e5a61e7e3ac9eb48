"""The moving window of calls, by a clock of the test's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.limits import MAX_CALLERS, CallLimits, Limit, Places
from api.problems import ProblemError


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def call(limits: CallLimits, caller: str = "a", per_minute: int = 3) -> int | None:
    """Return the pause a refused call is told, None for one that passes."""
    try:
        limits.count(Limit("calls", per_minute), caller)
    except ProblemError as error:
        return int(error.headers["Retry-After"])
    return None


def test_a_caller_has_so_many_calls_in_any_minute() -> None:
    clock = Clock()
    limits = CallLimits(clock)
    assert [call(limits) for _ in range(4)] == [None, None, None, 60]
    assert call(limits, "b") is None
    clock.now += 20.5
    assert call(limits) == 40
    clock.now += 39.5
    assert [call(limits) for _ in range(4)] == [None, None, None, 60]


EXACT = st.integers(0, 320).map(lambda eighths: eighths / 8)  # sums of these are not rounded


@given(st.lists(EXACT, max_size=60), st.integers(1, 5))
def test_no_minute_ever_has_more_and_who_waits_as_told_is_let_in(
    pauses: list[float], per_minute: int
) -> None:
    clock = Clock()
    limits = CallLimits(clock)
    passed: list[float] = []
    for pause in pauses:
        clock.now += pause
        wait = call(limits, per_minute=per_minute)
        if wait is None:
            passed.append(clock.now)
        else:
            clock.now += wait
            assert call(limits, per_minute=per_minute) is None
            passed.append(clock.now)
    for moment in passed:
        assert sum(moment - 60 < other <= moment for other in passed) <= per_minute


def test_callers_who_are_silent_are_forgotten() -> None:
    clock = Clock()
    limits = CallLimits(clock)
    for number in range(100):
        call(limits, str(number))
    clock.now += 60
    for _ in range(100):
        call(limits, "a", per_minute=1000)
    assert list(limits._calls) == [("calls", "a")]


def test_a_million_callers_are_not_remembered() -> None:
    clock = Clock()
    limits = CallLimits(clock)
    for number in range(MAX_CALLERS + 1000):
        clock.now += 0.0001
        call(limits, str(number))
    assert len(limits._calls) <= MAX_CALLERS + 1
    assert ("calls", "0") not in limits._calls
    assert call(limits, "5000") is None


def test_limits_do_not_share_their_calls() -> None:
    limits = CallLimits(Clock())
    few, many = Limit("few", 1), Limit("many", 3)
    first = limits.count(few, "a")
    assert (first.left, first.seconds) == (0, 60)
    assert limits.count(many, "a").headers == {
        "RateLimit-Policy": '"many";q=3;w=60',
        "RateLimit": '"many";r=2;t=60',
    }
    with pytest.raises(ProblemError, match="more than 1 calls") as error:
        limits.count(few, "a")
    assert error.value.headers["RateLimit"] == '"few";r=0;t=60'


def test_places_are_given_back_and_forgotten() -> None:
    places = Places(overall=3, each=2)
    with places.take("a"), places.take("a"):
        with pytest.raises(ProblemError, match="more than 2"), places.take("a"):
            pass
        with places.take("b"), pytest.raises(ProblemError, match="too many"), places.take("c"):
            pass
    assert not places._taken
