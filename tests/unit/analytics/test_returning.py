"""Metrics that come and go: one bad instance of two, whose turn it is every second minute."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import cycle, islice
from math import exp, sqrt
from typing import TypeAlias

import numpy as np
import pytest

from analytics.hints import diagnose
from core.judgement import Evidence, Judgement, Pattern
from core.types import METRICS, Metric, Verdict

Compare = Callable[..., Judgement]
Sample: TypeAlias = dict[str, object]

GOOD: Sample = {}
SLOW: Sample = {"latency_p95": 500.0}


def _turns(pattern: Iterable[Sample], slots: int) -> list[Sample]:
    return list(islice(cycle(pattern), slots))


def _latency(judgement: Judgement) -> Evidence:
    return judgement.evidence[METRICS.index("latency_p95")]


@pytest.mark.parametrize("slots", [5, 9, 10, 15, 30])
@pytest.mark.parametrize("pattern", [(SLOW, GOOD), (GOOD, SLOW)])
def test_every_second_minute_bad_is_no_ok(
    compare: Compare, pattern: tuple[Sample, ...], slots: int
) -> None:
    judgement = compare(after=_turns(pattern, slots))
    assert judgement.verdict is Verdict.WARNING
    assert _latency(judgement).pattern is Pattern.FLAPPING
    (hint,) = diagnose(judgement)
    assert (hint.rule, hint.metrics) == ("flapping", (Metric.LATENCY_P95,))


@pytest.mark.parametrize(
    ("metric", "level"),
    [(Metric.REQUESTS_PER_SEC, 2.0), (Metric.CPU_USAGE, 0.9), (Metric.MEMORY_USAGE, 0.9)],
)
@pytest.mark.parametrize("slots", [5, 15])
def test_so_it_is_of_every_gauge(
    compare: Compare, metric: Metric, level: float, slots: int
) -> None:
    judgement = compare(after=_turns(({metric.value: level}, GOOD), slots))
    (failed,) = (each for each in judgement.evidence if each.failed)
    assert (failed.metric, failed.pattern) == (metric, Pattern.FLAPPING)


@pytest.mark.parametrize("slots", [15, 30])
def test_pairs_of_bad_minutes_come_back_as_well(compare: Compare, slots: int) -> None:
    judgement = compare(after=_turns((SLOW, SLOW, GOOD, GOOD), slots))
    assert _latency(judgement).pattern is Pattern.FLAPPING


@pytest.mark.parametrize(("settled", "failed"), [("S..S..S.S.S.S", True), ("S...SS.S.SS.S", False)])
def test_what_is_good_for_more_than_a_fifth_at_a_time_has_recovered(
    compare: Compare, settled: str, failed: bool
) -> None:
    """Of the 13 settled slots a fifth is two. Seven bad ones are no majority that lasts."""
    after = [GOOD] * 2 + [SLOW if slot == "S" else GOOD for slot in settled]
    assert _latency(compare(after=after)).failed is failed


def test_a_minute_without_a_value_is_not_known_to_be_bad(compare: Compare) -> None:
    after = _turns((GOOD, SLOW), 15)
    after[7] = {"latency_p95": None}
    assert not _latency(compare(after=after)).failed


@pytest.mark.parametrize(
    ("pattern", "far", "failed"),
    [
        ((GOOD, SLOW), 0, True),  # I(1/7; 2, 1) = 0.020
        ((GOOD, SLOW), 1, False),  # I(1/7; 2, 2) = 0.055
        ((SLOW, GOOD), 3, True),  # I(1/7; 3, 4) = 0.042
        ((SLOW, GOOD), 4, False),  # I(1/7; 3, 5) = 0.065
    ],
)
def test_it_must_come_oftener_than_it_did_before(
    compare: Compare, pattern: tuple[Sample, ...], far: int, failed: bool
) -> None:
    """Five minutes after thirty, of which so many were as bad."""
    before = [SLOW] * far + [GOOD] * (30 - far)
    judgement = compare(before=before[::-1], after=_turns(pattern, 5))
    assert _latency(judgement).failed is failed


@pytest.mark.parametrize(("sigmas", "failed"), [(2.9, False), (3.1, True)])
def test_a_minute_is_far_off_from_three_sigmas_on(
    compare: Compare, sigmas: float, failed: bool
) -> None:
    """The minutes of the baseline scatter by a fifth, evenly to both sides."""
    logs = np.log(50.0) + 0.2 * np.tile([1.0, -1.0], 15)
    before = [{"latency_p95": float(level)} for level in np.exp(logs)]
    far: Sample = {"latency_p95": 50.0 * exp(sigmas * sqrt(0.2**2))}
    assert _latency(compare(before=before, after=_turns((far, {}), 15))).failed is failed


def test_what_took_turns_before_is_not_the_deployments(compare: Compare) -> None:
    turns = _turns((SLOW, GOOD), 30)
    assert compare(before=turns, after=turns[:15]).verdict is Verdict.OK
