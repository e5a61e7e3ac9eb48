"""What must hold of `seqpulse-v1` for any data whatsoever."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from math import inf, isfinite, nan
from types import MappingProxyType
from typing import Any

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics import judge, policy, windows
from analytics.gauges import Minimum
from analytics.policy import SEQPULSE_V1, Policy
from analytics.profile import ServiceProfile, build_profile
from analytics.reasons import CONCLUSIVE, ReasonCode
from core.judgement import Judgement
from core.types import METRICS, Attribution, Metric, Verdict

Frames = Callable[..., tuple[pl.DataFrame, pl.DataFrame]]
CompareAll = Callable[..., list[Judgement]]

RANKS = {verdict: rank for rank, verdict in enumerate(Verdict)}
ODD = (None, nan, inf, -inf, -1.0, -0.0, 0.0, 5e-324, 1e-9, 1.0, 1e300, 1.7976931348623157e308)
VALUES = st.one_of(st.sampled_from(ODD), st.floats())
ODD_SAMPLES = st.dictionaries(st.sampled_from(METRICS), VALUES)
ODD_POST = st.builds(
    lambda sample, index: sample | {"sequence_index": index},
    ODD_SAMPLES,
    st.sampled_from([None, -1, *range(15)]),
)
ODD_CASES = st.fixed_dictionaries(
    {
        "before": st.lists(ODD_SAMPLES, max_size=40),
        "pre": st.lists(ODD_SAMPLES, max_size=2),
        "after": st.lists(ODD_POST, max_size=20),
        "post_slots": st.sampled_from([1, 2, 3, 5, 15]),
    }
)

patient = settings(deadline=None, max_examples=25)


def _series(seed: int, n: int, **levels: float) -> list[dict[str, float]]:
    """Minutes of a service that lives: traffic, latency and CPU scatter."""
    source = np.random.default_rng(seed)
    usual = {
        "requests_per_sec": (20.0, 0.1),
        "latency_p95": (80.0, 0.15),
        "error_rate": (0.002, 0.5),
        "cpu_usage": (0.3, 0.1),
        "memory_usage": (0.4, 0.005),
    }
    return [
        {
            name: levels.get(name, level) * float(source.lognormal(0, scatter))
            for name, (level, scatter) in usual.items()
        }
        for _ in range(n)
    ]


@cache
def _profile(seed: int, n: int = 400) -> ServiceProfile:
    until = datetime(2026, 3, 1, 11, tzinfo=UTC)
    moments = pl.Series([until - timedelta(minutes=n - i) for i in range(n)], dtype=windows.MOMENT)
    history = pl.DataFrame(_series(seed, n)).with_columns(slot_at=moments)
    profile = build_profile(history, until)
    assert profile is not None
    return profile


@patient
@given(ODD_CASES, st.booleans())
def test_no_data_breaks_the_judge_or_makes_it_lie(
    frames: Frames, compare_all: CompareAll, case: dict[str, Any], known: bool
) -> None:
    part = frames(**case)
    profiles = {part[0]["deployment_id"].item(): _profile(1)} if known else {}
    (judgement,) = compare_all([part], SEQPULSE_V1, profiles)
    failed = [each for each in judgement.evidence if each.failed]
    severe = [each for each in failed if each.severe]

    assert tuple(each.metric.value for each in judgement.evidence) == METRICS
    assert bool(severe) == (judgement.verdict is Verdict.ROLLBACK_RECOMMENDED)
    assert not failed or judgement.verdict is not Verdict.OK
    assert not failed or judgement.conclusive
    assert judgement.conclusive == (ReasonCode(judgement.reason_code) in CONCLUSIVE)
    assert 0 <= judgement.confidence <= 1
    assert 0 <= judgement.quality_ratio <= 1
    for each in judgement.evidence:
        assert not each.severe or each.failed
        assert not each.failed or each.attribution in (Attribution.INTRODUCED, Attribution.WORSENED)
        assert (each.pattern is not None) or not each.failed
        assert each.p_value is None or 0 <= each.p_value <= 1
        assert 0 <= each.contribution <= 1
        assert (each.baseline_source == "none") == (each.baseline_n == 0)
        for level in (each.expected, each.observed):
            assert level is None or (isfinite(level) and level >= 0)


@patient
@given(st.lists(ODD_CASES, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_neither_neighbours_nor_row_order_matter(
    frames: Frames, compare_all: CompareAll, cases: list[dict[str, Any]], shuffle: random.Random
) -> None:
    parts = [frames(number=number, **case) for number, case in enumerate(cases)]
    profiles = {
        part[0]["deployment_id"].item(): _profile(number)
        for number, part in enumerate(parts)
        if number % 2
    }
    alone = [repr(each) for part in parts for each in compare_all([part], SEQPULSE_V1, profiles)]
    deployments = pl.concat([part[0] for part in parts])
    samples = pl.concat([part[1] for part in parts])
    order = list(range(samples.height))
    shuffle.shuffle(order)
    together = compare_all([(deployments, samples[order])], SEQPULSE_V1, profiles)
    assert [repr(each) for each in together] == alone


def test_live_batch_and_replay_agree_bit_for_bit(frames: Frames, compare_all: CompareAll) -> None:
    """Thousands of deployments: in one batch, alone, and as columns."""
    changes: tuple[dict[str, float], ...] = (
        {},
        {"latency_p95": 140.0},
        {"error_rate": 0.02},
        {"requests_per_sec": 9.0},
    )
    parts, profiles = [], {}
    known = [_profile(seed) for seed in range(8)]
    for number in range(2400):
        slots = (5, 15)[number % 2]
        part = frames(
            number=number,
            before=_series(number, 20 + number % 30),
            after=_series(-number - 1 & 0xFFFF, slots, **changes[number % 4]),
            post_slots=slots,
        )
        parts.append(part)
        if number % 3:
            profiles[part[0]["deployment_id"].item()] = known[number % 8]
    batch = compare_all(parts, SEQPULSE_V1, profiles)
    assert len({each.verdict for each in batch}) == 3
    for number in range(0, 2400, 40):
        alone = compare_all([parts[number]], SEQPULSE_V1, profiles)
        assert repr(alone) == repr([batch[number]])
    deployments, samples = (pl.concat(part) for part in zip(*parts, strict=True))
    columns = judge.assess(windows.split(deployments, samples), SEQPULSE_V1, profiles)
    for name in ("verdict", "reason_code", "confidence", "quality_ratio", "conclusive"):
        assert columns.verdicts[name].to_list() == [getattr(each, name) for each in batch]
    flat = [evidence for each in batch for evidence in each.evidence]
    for name in ("p_value", "effect", "failed", "attribution", "pattern", "baseline_source"):
        assert columns.evidence[name].to_list() == [getattr(each, name) for each in flat]


GROWTH = st.dictionaries(
    st.sampled_from([name for name in METRICS if name != "requests_per_sec"]), st.floats(1, 20)
)


@settings(deadline=None, max_examples=80)
@given(
    st.integers(0, 1000),
    st.lists(GROWTH, min_size=15, max_size=15),
    st.lists(GROWTH, min_size=15, max_size=15),
    st.sampled_from([5, 15]),
    st.booleans(),
)
def test_worse_post_slots_are_never_judged_milder(
    frames: Frames,
    compare_all: CompareAll,
    seed: int,
    first: list[dict[str, float]],
    more: list[dict[str, float]],
    post_slots: int,
    known: bool,
) -> None:
    """At the same traffic: fewer requests are less evidence of what becomes of them."""

    def worsen(sample: dict[str, float], growth: dict[str, float]) -> dict[str, float]:
        return {name: value * growth.get(name, 1.0) for name, value in sample.items()}

    before, post = _series(seed, 30), _series(seed + 1, post_slots)
    bad = [worsen(sample, growth) for sample, growth in zip(post, first, strict=False)]
    worse = [worsen(sample, growth) for sample, growth in zip(bad, more, strict=False)]
    parts = [
        frames(number=number, before=before, after=after, post_slots=post_slots)
        for number, after in ((1, bad), (2, worse))
    ]
    profile = _profile(seed)
    profiles = {part[0]["deployment_id"].item(): profile for part in parts} if known else {}
    milder, harder = compare_all(parts, SEQPULSE_V1, profiles)
    assert RANKS[harder.verdict] >= RANKS[milder.verdict]


@settings(deadline=None, max_examples=80)
@given(
    st.integers(0, 1000),
    st.lists(st.booleans(), min_size=15, max_size=15),
    st.lists(st.booleans(), min_size=15, max_size=15),
    st.sampled_from([{"latency_p95": 10.0}, {"error_rate": 100.0}, {"cpu_usage": 2.5}]),
    st.sampled_from([5, 15]),
    st.booleans(),
)
def test_more_bad_minutes_are_never_judged_milder(
    frames: Frames,
    compare_all: CompareAll,
    seed: int,
    first: list[bool],
    more: list[bool],
    growth: dict[str, float],
    post_slots: int,
    idle: bool,
) -> None:
    """Whatever their order: those that come and go, those that stop, those of a quiet service."""
    before, post = _series(seed, 30), _series(seed + 1, post_slots)
    if idle:
        before = [sample | {"requests_per_sec": 0.0} for sample in before]
        post = [sample | {"requests_per_sec": 0.05} for sample in post]

    def spoil(bad: list[bool]) -> list[dict[str, float]]:
        return [
            {
                name: value * (growth.get(name, 1.0) if spoilt else 1.0)
                for name, value in slot.items()
            }
            for slot, spoilt in zip(post, bad, strict=False)
        ]

    both = [one or other for one, other in zip(first, more, strict=True)]
    parts = [
        frames(number=number, before=before, after=spoil(bad), post_slots=post_slots)
        for number, bad in ((1, first), (2, both))
    ]
    milder, harder = compare_all(parts, SEQPULSE_V1)
    assert RANKS[harder.verdict] >= RANKS[milder.verdict]


@patient
@given(
    st.integers(0, 1000),
    st.lists(st.floats(0.05, 1), min_size=15, max_size=15),
    st.lists(st.floats(0.05, 1), min_size=15, max_size=15),
    st.sampled_from([5, 15]),
)
def test_less_traffic_is_never_judged_milder(
    frames: Frames,
    compare_all: CompareAll,
    seed: int,
    first: list[float],
    more: list[float],
    post_slots: int,
) -> None:
    before = _series(seed, 30, error_rate=0.0)
    post = _series(seed + 1, post_slots, error_rate=0.0)

    def lose(samples: list[dict[str, float]], shares: list[float]) -> list[dict[str, float]]:
        return [
            sample | {"requests_per_sec": sample["requests_per_sec"] * share}
            for sample, share in zip(samples, shares, strict=False)
        ]

    fewer = lose(post, first)
    least = lose(fewer, more)
    milder, harder = compare_all(
        [
            frames(number=1, before=before, after=fewer, post_slots=post_slots),
            frames(number=2, before=before, after=least, post_slots=post_slots),
        ],
        SEQPULSE_V1,
    )
    assert RANKS[harder.verdict] >= RANKS[milder.verdict]


def _scaled_rules(factor: float) -> Policy[Any]:
    rules = SEQPULSE_V1.rules
    floor = rules.minima[Metric.LATENCY_P95]
    minima = {
        **rules.minima,
        Metric.LATENCY_P95: Minimum(share=floor.share, amount=floor.amount * factor),
    }
    breaches = {
        **rules.breaches,
        Metric.LATENCY_P95: rules.breaches[Metric.LATENCY_P95] * factor,
    }
    return replace(
        SEQPULSE_V1,
        rules=replace(rules, minima=MappingProxyType(minima), breaches=MappingProxyType(breaches)),
    )


@patient
@given(st.integers(0, 1000), st.floats(0.5, 4), st.sampled_from([0.1, 3.0, 250.0]))
def test_the_unit_of_latency_does_not_matter(
    frames: Frames, compare_all: CompareAll, seed: int, growth: float, factor: float
) -> None:
    before, after = _series(seed, 30), _series(seed + 1, 15, latency_p95=80.0 * growth)

    def scale(samples: list[dict[str, float]]) -> list[dict[str, float]]:
        return [sample | {"latency_p95": sample["latency_p95"] * factor} for sample in samples]

    (plain,) = compare_all([frames(before=before, after=after, post_slots=15)], SEQPULSE_V1)
    (scaled,) = compare_all(
        [frames(before=scale(before), after=scale(after), post_slots=15)], _scaled_rules(factor)
    )
    assert (scaled.verdict, scaled.reason_code) == (plain.verdict, plain.reason_code)
    assert [each.failed for each in scaled.evidence] == [each.failed for each in plain.evidence]
    assert [each.attribution for each in scaled.evidence] == [
        each.attribution for each in plain.evidence
    ]


@patient
@given(st.integers(0, 1000), st.permutations(range(15)), st.integers(0, 27), st.booleans())
def test_more_evidence_never_turns_conclusive_into_inconclusive(
    frames: Frames,
    compare_all: CompareAll,
    seed: int,
    order: list[int],
    fewer_before: int,
    bad: bool,
) -> None:
    before = _series(seed, 30)
    after: list[dict[str, object]] = [
        {**sample, "sequence_index": index}
        for index, sample in enumerate(_series(seed + 1, 15, latency_p95=160.0 if bad else 80.0))
    ]
    parts = [
        frames(
            number=n,
            before=before[: 30 - fewer_before + (fewer_before * n) // 15],
            after=[after[index] for index in order[:n]],
            post_slots=15,
        )
        for n in range(16)
    ]
    conclusive = [each.conclusive for each in compare_all(parts, SEQPULSE_V1)]
    assert conclusive == sorted(conclusive)


def test_every_policy_takes_an_empty_batch(frames: Frames, compare_all: CompareAll) -> None:
    deployments, samples = frames()
    for rule in policy.POLICIES.values():
        assert compare_all([(deployments.clear(), samples)], rule) == []
        empty = judge.assess(windows.split(deployments.clear(), samples), rule)
        assert (empty.verdicts.height, empty.evidence.height) == (0, 0)
