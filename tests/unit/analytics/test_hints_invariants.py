"""Hints and verdict agree on any data whatsoever, under every policy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from math import inf, nan
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics import judge, policy, windows
from analytics.catalogue import FAILURES
from analytics.hints import diagnose
from analytics.outcome import AllOf, AnyOf, Leaf, Outcome
from core.types import METRICS, Metric, Severity, Verdict

Frames = Callable[..., tuple[pl.DataFrame, pl.DataFrame]]

AS_OF = datetime(2026, 3, 1, 13, tzinfo=UTC)
EXPLAINING = {rule.id for rule in FAILURES}

ODD = st.sampled_from([None, nan, inf, -1.0, 0.0, 1e308])
FACTORS = st.sampled_from([0.0, 0.2, 0.5, 0.9, 1.0, 1.02, 1.2, 1.6, 3.0, 20.0])
HEALTHY = {
    "requests_per_sec": 10.0,
    "latency_p95": 50.0,
    "error_rate": 0.001,
    "cpu_usage": 0.3,
    "memory_usage": 0.4,
}


@st.composite
def slots(draw: st.DrawFn, size: int) -> list[dict[str, object]]:
    """A window whose metrics are shifted together, with noise and some odd values."""
    shift = {name: draw(FACTORS) for name in METRICS}
    noise = draw(st.lists(st.floats(0.95, 1.05), min_size=size, max_size=size))
    rows: list[dict[str, object]] = [
        {name: HEALTHY[name] * shift[name] * each for name in METRICS} for each in noise
    ]
    for place in draw(st.lists(st.integers(0, size - 1), max_size=3)):
        rows[place] = rows[place] | draw(st.dictionaries(st.sampled_from(METRICS), ODD, max_size=3))
    return rows


CASES = st.one_of(
    *(
        st.fixed_dictionaries(
            {
                "before": st.one_of(st.just([]), slots(3), slots(30)),
                "after": st.one_of(slots(n), slots(max(1, n // 2)), st.just([])),
                "post_slots": st.just(n),
            }
        )
        for n in (5, 15)
    )
)


OUTCOME = Outcome(
    warning=AnyOf((Leaf(Metric.ERROR_RATE, severe=True), Leaf(Metric.LATENCY_P95))),
    rollback=AllOf((Leaf(Metric.LATENCY_P95), Leaf(Metric.CPU_USAGE))),
)
POLICIES = {
    **policy.POLICIES,
    **{f"own {name}": replace(each, outcome=OUTCOME) for name, each in policy.POLICIES.items()},
}


@pytest.mark.parametrize("name", POLICIES)
@settings(deadline=None, max_examples=50)
@given(case=CASES)
def test_hints_never_contradict_the_verdict(
    frames: Frames, name: str, case: dict[str, Any]
) -> None:
    (judgement,) = judge.judge(windows.split(*frames(**case)), POLICIES[name], AS_OF)
    hints = diagnose(judgement)
    severities = {hint.severity for hint in hints}
    explained = [metric for hint in hints if hint.rule in EXPLAINING for metric in hint.metrics]
    rollback = judgement.verdict is Verdict.ROLLBACK_RECOMMENDED

    assert (Severity.CRITICAL in severities) == rollback
    assert judgement.verdict is not Verdict.OK or severities <= {Severity.INFO}
    assert judgement.verdict is not Verdict.WARNING or Severity.WARNING in severities
    assert {each.metric for each in judgement.evidence if each.failed} <= set(explained)
    assert len(explained) == len(set(explained))
    assert not any("{" in hint.diagnosis for hint in hints)
