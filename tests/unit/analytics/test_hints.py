from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import chain, combinations
from pathlib import Path

import pytest

from analytics.catalogue import CATALOGUE
from analytics.hints import diagnose
from analytics.phrases import NAMES
from core.judgement import Judgement
from core.types import Hint, Metric, Severity, Verdict

Verify = Callable[..., Judgement]

BAD = {
    Metric.REQUESTS_PER_SEC: 3.1,
    Metric.LATENCY_P95: 412.0,
    Metric.ERROR_RATE: 0.032,
    Metric.CPU_USAGE: 0.91,
    Metric.MEMORY_USAGE: 0.88,
}
TRAFFIC, LATENCY, ERRORS, CPU, MEMORY = Metric
FIVE: list[dict[str, object]] = [{}] * 5


def _hints(verify: Verify, *failing: Metric, **case: object) -> tuple[Hint, ...]:
    bad = {metric: BAD[metric] for metric in failing}
    return diagnose(verify(**{"after": [bad] * 5, **case}))


def _rules(hints: tuple[Hint, ...]) -> list[str]:
    return [hint.rule for hint in hints]


@pytest.mark.parametrize(
    ("failing", "rules"),
    [
        ((), []),
        ((TRAFFIC,), ["routing_failure"]),
        ((ERRORS,), ["error_regression"]),
        ((LATENCY,), ["latency_regression"]),
        ((CPU,), ["cpu_regression"]),
        ((MEMORY,), ["memory_pressure"]),
        ((ERRORS, LATENCY), ["service_degradation"]),
        ((ERRORS, TRAFFIC), ["partial_outage"]),
        ((LATENCY, CPU), ["compute_saturation"]),
        ((ERRORS, CPU), ["error_regression", "cpu_regression"]),
        ((TRAFFIC, LATENCY), ["routing_failure", "latency_regression"]),
        ((TRAFFIC, CPU), ["routing_failure", "cpu_saturation"]),
        ((LATENCY, MEMORY), ["latency_regression", "memory_pressure"]),
        ((CPU, MEMORY), ["cpu_regression", "memory_pressure"]),
        ((ERRORS, LATENCY, CPU), ["service_degradation", "cpu_regression"]),
        ((ERRORS, TRAFFIC, LATENCY), ["partial_outage", "latency_regression"]),
        ((ERRORS, TRAFFIC, LATENCY, CPU), ["partial_outage", "compute_saturation"]),
        ((TRAFFIC, LATENCY, CPU), ["routing_failure", "compute_saturation"]),
        (tuple(Metric), ["partial_outage", "compute_saturation", "memory_pressure"]),
    ],
)
def test_composites_win_over_their_parts(
    verify: Verify, failing: tuple[Metric, ...], rules: list[str]
) -> None:
    assert _rules(_hints(verify, *failing)) == rules


def test_every_combination_of_failures_is_explained_exactly_once(verify: Verify) -> None:
    subsets = chain.from_iterable(combinations(Metric, n) for n in range(6))
    for failing in subsets:
        hints = _hints(verify, *failing)
        explained = [metric for hint in hints for metric in hint.metrics]
        assert sorted(explained) == sorted(failing)
        verdict = verify(after=[{metric: BAD[metric] for metric in failing}] * 5).verdict
        critical = any(hint.severity is Severity.CRITICAL for hint in hints)
        assert critical == (verdict is Verdict.ROLLBACK_RECOMMENDED)


def test_what_was_there_before_is_said(verify: Verify) -> None:
    memory = {"memory_usage": 0.88}
    breach = {"latency_p95": 400.0} | memory
    hints = diagnose(verify(before=[breach] * 3, after=[{"latency_p95": 600.0} | memory] * 5))
    assert _rules(hints) == ["latency_regression", "memory_pressure", "pre_existing_breach"]
    assert hints[-1].severity is Severity.INFO
    assert hints[-1].metrics == (Metric.MEMORY_USAGE,)
    assert hints[-1].diagnosis == (
        "Bad, or on its way there, before this deploy already: "
        "memory 88 % against 88 % before the deploy; 5 of 5 slots above 72 %."
    )


@pytest.mark.parametrize(
    ("case", "rule"),
    [
        ({"after": []}, "endpoint_died"),
        ({"after": [{}] * 2}, "endpoint_died"),
        ({"pre": [{}], "after": [{"error_rate": 1.0}]}, "endpoint_died"),
        ({"before": [], "after": []}, "data_too_thin"),
        ({"before": [], "after": [{}] * 2}, "data_too_thin"),
        ({"before": [], "after": FIVE}, "data_too_thin"),
        ({"after": [{"cpu_usage": None}] * 5}, "data_too_thin"),
    ],
)
def test_missing_evidence_is_a_hint(verify: Verify, case: dict[str, object], rule: str) -> None:
    (hint,) = diagnose(verify(**case))
    assert (hint.rule, hint.severity, hint.metrics) == (rule, Severity.WARNING, ())


@pytest.mark.parametrize(
    "case", [{"after": [{}] * 3}, {"pre": [{}], "after": FIVE}, {"after": FIVE}]
)
def test_enough_evidence_of_no_harm_needs_no_hint(verify: Verify, case: dict[str, object]) -> None:
    assert diagnose(verify(**case)) == ()


def test_the_docs_show_the_catalogue() -> None:
    docs = Path(__file__).parents[3] / "docs" / "hints.md"
    rows = [line.split("|")[1:3] for line in docs.read_text().splitlines() if line[:3] == "| `"]
    table = [(rule.strip(" `"), severity.strip()) for rule, severity in rows]
    assert table[: len(CATALOGUE)] == [(rule.id, rule.severity or "depends") for rule in CATALOGUE]


@pytest.mark.parametrize(
    ("failing", "diagnosis"),
    [
        (
            (LATENCY,),
            "Requests take too long: latency p95 412 ms against 50 ms before the "
            "deploy; 5 of 5 slots above 270 ms.",
        ),
        (
            (ERRORS, TRAFFIC),
            "Requests fail and fewer arrive: error rate 3.2 % against 0.1 % before the "
            "deploy; 5 of 5 slots above 0.9 %. And traffic 3.1 req/s against 10 req/s "
            "before the deploy; 5 of 5 slots below 8 req/s.",
        ),
        (
            (CPU,),
            "Every request costs more than before: CPU 91 % against 30 % before the deploy; "
            "5 of 5 slots above 72 %. And traffic 10 req/s against 10 req/s before the deploy.",
        ),
    ],
)
def test_a_diagnosis_carries_numbers_with_units(
    verify: Verify, failing: tuple[Metric, ...], diagnosis: str
) -> None:
    assert _hints(verify, *failing)[0].diagnosis == diagnosis


def test_every_diagnosis_is_filled(verify: Verify) -> None:
    for failing in combinations(Metric, 2):
        for hint in _hints(verify, *failing):
            for metric in hint.metrics:
                assert NAMES[metric][0] in hint.diagnosis
            assert "{" not in hint.diagnosis


@pytest.mark.parametrize(
    ("level", "text"),
    [
        (271.26, "271 ms"),
        (999.4, "999 ms"),
        (999.5, "1000 ms"),
        (999.6, "1000 ms"),
        (123456.7, "123457 ms"),
        (1e6, "1e+06 ms"),
        (1e308, "1e+308 ms"),
    ],
)
def test_numbers_stay_readable(verify: Verify, level: float, text: str) -> None:
    (hint,) = diagnose(verify(after=[{"latency_p95": level}] * 5))
    assert f"latency p95 {text} against" in hint.diagnosis


def test_an_unknown_baseline_is_called_unknown(verify: Verify) -> None:
    (hint,) = _hints(verify, LATENCY, before=[])
    assert "against an unknown level before the deploy" in hint.diagnosis


def test_thin_data_is_told_in_numbers(verify: Verify) -> None:
    (hint,) = diagnose(verify(pre=[{}], after=[{"cpu_usage": None}] * 4))
    assert hint.diagnosis == (
        "A metric is missing: samples for 80 % of the planned slots after the deploy; values per "
        "metric traffic 4 after and 1 before, latency p95 4 after and 1 before, "
        "error rate 4 after and 1 before, CPU 0 after and 1 before, memory 4 after and 1 before."
    )


def test_a_reason_from_another_policy_is_passed_on(verify: Verify) -> None:
    foreign = replace(verify(before=[], after=FIVE), reason_code="phase_of_the_moon")
    (hint,) = diagnose(foreign)
    assert hint.diagnosis.startswith("phase_of_the_moon: samples for 100 %")


def test_a_verdict_read_back_without_numbers_is_still_explained(verify: Verify) -> None:
    """Evidence columns are nullable: a failed metric may come without its share."""
    judgement = verify(after=[{"latency_p95": 400.0}] * 5)
    bare = tuple(replace(each, exceedance_ratio=None) for each in judgement.evidence)
    (hint,) = diagnose(replace(judgement, evidence=bare))
    assert hint.diagnosis.endswith("latency p95 400 ms against 50 ms before the deploy.")
