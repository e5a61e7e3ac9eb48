"""From samples to hints under the default policy: each rule and its near misses."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import polars as pl
import pytest

from analytics import judge, policy, windows
from analytics.hints import diagnose
from core.judgement import Judgement
from core.types import Hint, Severity

Frames = Callable[..., tuple[pl.DataFrame, pl.DataFrame]]
Shape: TypeAlias = float | Callable[[int], float]

FINISHED_AT = datetime(2026, 3, 1, 12, 2, tzinfo=UTC)
WAVE = (0.97, 1.0, 1.03, 0.99, 1.02, 0.98, 1.01)
USUAL = {
    "requests_per_sec": 40.0,
    "latency_p95": 50.0,
    "error_rate": 0.001,
    "cpu_usage": 0.3,
    "memory_usage": 0.4,
}


def _window(n: int, **shapes: Shape) -> list[dict[str, float]]:
    """Slots with a little noise; a metric is multiplied by its shape, a factor or one per slot."""

    def factor(name: str, slot: int) -> float:
        shape = shapes.get(name, 1.0)
        return shape(slot) if callable(shape) else shape

    return [
        {
            name: level * factor(name, slot) * WAVE[(slot + place) % 7]
            for place, (name, level) in enumerate(USUAL.items())
        }
        for slot in range(n)
    ]


def _judge(
    frames: Frames,
    after: list[dict[str, float]],
    source_at: datetime | None = None,
    post_slots: int = 15,
    before: list[dict[str, float]] | None = None,
) -> Judgement:
    usual = _window(30) if before is None else before
    deployments, samples = frames(before=usual, after=after, post_slots=post_slots)
    if source_at is not None:
        samples = samples.with_columns(source_at=pl.lit(source_at))
    split = windows.split(deployments, samples)
    return judge.judge(split, policy.SEQPULSE_V1, FINISHED_AT)[0]


def _hints(frames: Frames, after: list[dict[str, float]], **more: Any) -> tuple[Hint, ...]:  # noqa: ANN401
    return diagnose(_judge(frames, after, **more))


def _leak(slot: int) -> float:
    return 1 + 0.05 * slot


def _flap(slot: int) -> float:
    return 3.0 if slot % 3 else 1.0


def _start(slot: int) -> float:
    return 5.0 if slot < 2 else 1.0


def _middle(slot: int) -> float:
    return 5.0 if slot == 8 else 1.0


FIRING: Mapping[str, dict[str, Shape]] = {
    "traffic_overload": {"requests_per_sec": 2.0, "latency_p95": 2.0},
    "partial_outage": {"error_rate": 60.0, "requests_per_sec": 0.5},
    "service_degradation": {"error_rate": 40.0, "latency_p95": 2.0},
    "compute_saturation": {"cpu_usage": 1.8, "latency_p95": 2.0},
    "memory_leak": {"memory_usage": _leak},
    "flapping": {"latency_p95": _flap},
    "routing_failure": {"requests_per_sec": 0.4},
    "traffic_drop": {"requests_per_sec": 0.0},
    "error_regression": {"error_rate": 40.0},
    "latency_regression": {"latency_p95": 2.0},
    "cpu_regression": {"cpu_usage": 1.8},
    "cpu_saturation": {"cpu_usage": 2.4, "requests_per_sec": 1.3},
    "memory_step": {"memory_usage": 1.5},
    "cold_start": {"latency_p95": _start},
    "improvement": {"latency_p95": 0.5},
}

NEAR_MISSES: list[tuple[str, dict[str, Shape]]] = [
    ("traffic_overload", {"requests_per_sec": 1.3, "latency_p95": 2.0}),
    ("traffic_overload", {"requests_per_sec": 2.0}),
    ("traffic_overload", {"requests_per_sec": 2.0, "error_rate": 60.0}),
    ("partial_outage", {"error_rate": 60.0}),
    ("partial_outage", {"requests_per_sec": 0.5}),
    ("service_degradation", {"error_rate": 40.0}),
    ("service_degradation", {"latency_p95": 2.0}),
    ("compute_saturation", {"cpu_usage": 1.8}),
    ("compute_saturation", {"latency_p95": 2.0}),
    ("memory_leak", {"memory_usage": 1.5}),
    ("memory_step", {"memory_usage": _leak}),
    ("memory_step", {}),
    ("flapping", {"latency_p95": 3.0}),
    ("routing_failure", {"requests_per_sec": 0.4, "error_rate": 60.0}),
    ("routing_failure", {"requests_per_sec": 0.0}),
    ("routing_failure", {"requests_per_sec": 0.97}),
    ("traffic_drop", {"requests_per_sec": 0.4}),
    ("error_regression", {"error_rate": 1.5}),
    ("latency_regression", {"latency_p95": 1.02}),
    ("cpu_regression", {"cpu_usage": 2.4, "requests_per_sec": 1.3}),
    ("cpu_regression", {"cpu_usage": 2.0, "requests_per_sec": 2.0}),
    ("cpu_saturation", {"cpu_usage": 2.0, "requests_per_sec": 2.0}),
    ("cold_start", {"latency_p95": _middle}),
    ("cold_start", {"latency_p95": 5.0}),
    ("improvement", {"latency_p95": 0.5, "error_rate": 40.0}),
    ("improvement", {"requests_per_sec": 2.0, "cpu_usage": 1.8}),
]


@pytest.mark.parametrize(("rule", "shapes"), FIRING.items())
def test_a_rule_fires_alone(frames: Frames, rule: str, shapes: dict[str, Shape]) -> None:
    (hint,) = _hints(frames, _window(15, **shapes))
    assert hint.rule == rule


@pytest.mark.parametrize(("rule", "shapes"), NEAR_MISSES)
def test_a_near_miss_does_not(frames: Frames, rule: str, shapes: dict[str, Shape]) -> None:
    assert rule not in [hint.rule for hint in _hints(frames, _window(15, **shapes))]


def test_requests_that_fail_before_none_comes_are_not_called_fine(frames: Frames) -> None:
    """All fail for eight minutes, then nobody asks any more."""
    after = _window(8, error_rate=900.0) + _window(7, requests_per_sec=0.0)
    hints = _hints(frames, after)
    assert [hint.rule for hint in hints] == ["traffic_drop"]


def test_cpu_is_not_said_to_have_been_what_the_traffic_made_expect(frames: Frames) -> None:
    judgement = _judge(frames, _window(15, requests_per_sec=3.5))
    (hint,) = diagnose(judgement)
    assert hint.rule == "improvement"
    assert "expected at this traffic" in hint.diagnosis
    assert "before the deploy (" not in hint.diagnosis
    # At so much traffic a breach was expected; but there was none to recover from.
    assert all(each.attribution is None for each in judgement.evidence)


def test_no_change_needs_no_word(frames: Frames) -> None:
    assert _hints(frames, _window(15)) == ()
    assert _hints(frames, _window(5), post_slots=5) == ()


@pytest.mark.parametrize(
    ("rule", "case"),
    [
        ("endpoint_died", {"after": []}),
        ("endpoint_died", {"after": _window(2)}),
        ("stale_source", {"after": _window(15), "source_at": FINISHED_AT - timedelta(minutes=9)}),
        ("data_too_thin", {"after": _window(15), "before": []}),
        (
            "data_too_thin",
            {"after": [slot | {"cpu_usage": float("nan")} for slot in _window(15)]},
        ),
    ],
)
def test_what_is_missing_is_said(frames: Frames, rule: str, case: dict[str, Any]) -> None:
    (hint,) = _hints(frames, **case)
    assert (hint.rule, hint.severity) == (rule, Severity.WARNING)


def test_an_ok_that_could_not_have_seen_harm_says_so(frames: Frames) -> None:
    quiet: dict[str, Shape] = {"requests_per_sec": 0.0005}
    before, after = _window(30, **quiet), _window(15, **quiet)
    (hint,) = _hints(frames, after, before=before)
    assert (hint.rule, hint.severity) == ("low_power", Severity.INFO)
    assert "latency p95 +" in hint.diagnosis


def test_what_was_there_before_is_said(frames: Frames) -> None:
    slow: dict[str, Shape] = {"latency_p95": 18.0}
    (hint,) = _hints(frames, _window(15, **slow), before=_window(30, **slow))
    assert (hint.rule, hint.severity) == ("pre_existing_breach", Severity.INFO)
    (better,) = _hints(frames, _window(15), before=_window(30, **slow))
    assert better.rule == "improvement"


def test_a_leak_tells_how_long_the_memory_lasts(frames: Frames) -> None:
    (hint,) = _hints(frames, _window(15, memory_usage=_leak))
    # Two points a minute, and some 45 points left in the middle of the window.
    found = re.search(r"would be full in about (\d+) min: memory", hint.diagnosis)
    assert found is not None
    assert 18 <= int(found[1]) <= 26


def test_a_diagnosis_tells_size_and_certainty(frames: Frames) -> None:
    (hint,) = _hints(frames, _window(15, latency_p95=2.0))
    sentence = (
        r"Requests take too long: latency p95 (9\d|10\d)(\.\d)? ms against (49|50)(\.\d)? ms "
        r"before the deploy \(\+(9\d|10\d)(\.\d)? %, 95 % interval \+[\d.]+ % to \+[\d.]+ %\)\."
    )
    assert re.fullmatch(sentence, hint.diagnosis)
