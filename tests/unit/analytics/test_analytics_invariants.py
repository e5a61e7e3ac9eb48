"""What must hold for any data whatsoever."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from math import inf, isfinite, nan, nextafter
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.hints import diagnose
from core.judgement import Judgement
from core.types import METRICS, Severity, Verdict

Frames = Callable[..., tuple[pl.DataFrame, pl.DataFrame]]
VerifyAll = Callable[[Iterable[tuple[pl.DataFrame, pl.DataFrame]]], list[Judgement]]

EDGES = (0.009, 0.5, 0.72, 8.0, 10.0, 270.0)
ODD = (None, nan, inf, -inf, -1.0, -0.0, 0.0, 5e-324, 1.0, 1e300, 1.7976931348623157e308)
NEAR = tuple(nextafter(edge, side) for edge in EDGES for side in (0, 1e9))
VALUES = st.one_of(st.sampled_from([*ODD, *EDGES, *NEAR]), st.floats())
HEALTHY_OR_ODD = st.dictionaries(st.sampled_from(METRICS), VALUES)
AFTER = st.builds(
    lambda sample, index: sample | {"sequence_index": index},
    HEALTHY_OR_ODD,
    st.sampled_from([None, -1, *range(6)]),
)
CASES = st.fixed_dictionaries(
    {
        "before": st.lists(HEALTHY_OR_ODD, max_size=5),
        "pre": st.lists(HEALTHY_OR_ODD, max_size=2),
        "after": st.lists(AFTER, max_size=9),
        "post_slots": st.sampled_from([1, 5, 15]),
    }
)
RANKS = {verdict: rank for rank, verdict in enumerate(Verdict)}

patient = settings(deadline=None, max_examples=60)


@patient
@given(st.lists(CASES, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_neither_neighbours_nor_row_order_matter(
    frames: Frames, verify_all: VerifyAll, cases: list[dict[str, Any]], shuffle: random.Random
) -> None:
    parts = [frames(number=number, **case) for number, case in enumerate(cases)]
    alone = [repr(judgement) for part in parts for judgement in verify_all([part])]
    deployments = pl.concat([part[0] for part in parts])
    samples = pl.concat([part[1] for part in parts])
    order = list(range(samples.height))
    shuffle.shuffle(order)
    together = verify_all([(deployments, samples[order])])
    assert [repr(judgement) for judgement in together] == alone


@patient
@given(CASES)
def test_no_data_breaks_the_judge_or_makes_it_lie(
    frames: Frames, verify_all: VerifyAll, case: dict[str, Any]
) -> None:
    (judgement,) = verify_all([frames(**case)])
    hints = diagnose(judgement)
    failed = any(each.failed for each in judgement.evidence)
    critical = any(hint.severity is Severity.CRITICAL for hint in hints)

    assert tuple(each.metric.value for each in judgement.evidence) == METRICS
    assert critical == (judgement.verdict is Verdict.ROLLBACK_RECOMMENDED)
    quiet = all(hint.severity is Severity.INFO for hint in hints)
    assert (judgement.verdict is Verdict.OK) == quiet
    if not judgement.conclusive:
        assert judgement.verdict is Verdict.WARNING
        assert not failed
        assert judgement.confidence <= 0.5
    if judgement.verdict is Verdict.OK:
        assert judgement.coverage_ratio >= 0.6
        assert any(each.baseline_n for each in judgement.evidence)
    assert 0 <= judgement.confidence <= judgement.coverage_ratio + 0.0005 <= 1.0005
    for each in judgement.evidence:
        assert (each.baseline_source == "none") == (each.baseline_n == 0)
        assert (each.expected is None) == (each.baseline_n == 0)
        assert (each.observed is None) == (each.post_n == 0)
        assert each.exceedance_ratio is None or 0 <= each.exceedance_ratio <= 1
        for level in (each.expected, each.observed, each.threshold):
            assert level is None or (isfinite(level) and level >= 0)


REAL = st.fixed_dictionaries(
    {
        "requests_per_sec": st.one_of(st.just(0.0), st.floats(0.01, 100)),
        "latency_p95": st.floats(0, 1000),
        "error_rate": st.floats(0, 0.1),
        "cpu_usage": st.floats(0, 1),
        "memory_usage": st.floats(0, 1),
    }
)
GROWTH = st.dictionaries(st.sampled_from(METRICS), st.floats(1, 20))


@patient
@given(
    st.lists(REAL, max_size=4),
    st.lists(st.tuples(REAL, GROWTH), max_size=6),
    st.sampled_from([5, 6]),
)
def test_worse_post_slots_are_never_judged_milder(
    frames: Frames,
    verify_all: VerifyAll,
    before: list[dict[str, float]],
    after: list[tuple[dict[str, float], dict[str, float]]],
    post_slots: int,
) -> None:
    """Traffic falls but not to zero: a slot without requests has no errors to show."""

    def worsen(sample: dict[str, float], growth: dict[str, float]) -> dict[str, float]:
        factors = {name: growth.get(name, 1.0) for name in METRICS}
        factors["requests_per_sec"] = 1 / factors["requests_per_sec"]
        return {name: value * factors[name] for name, value in sample.items()}

    post = [sample for sample, _ in after]
    worse = [worsen(sample, growth) for sample, growth in after]
    milder, harder = verify_all(
        [
            frames(number=1, before=before, after=post, post_slots=post_slots),
            frames(number=2, before=before, after=worse, post_slots=post_slots),
        ]
    )
    assert RANKS[harder.verdict] >= RANKS[milder.verdict]
