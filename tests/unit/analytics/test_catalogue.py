"""Every rule of the catalogue has a case that fires it, and near misses that do not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.catalogue import CATALOGUE, FAILURES
from analytics.hints import diagnose
from analytics.notices import NOTICES
from analytics.phrases import describe
from analytics.reasons import ReasonCode
from analytics.surroundings import NOTHING_KNOWN, Drift, Surroundings
from core.judgement import Direction, Evidence, Judgement, Pattern
from core.types import Attribution, CollectCode, Hint, Metric, Severity, Verdict

TRAFFIC, LATENCY, ERRORS, CPU, MEMORY = Metric
LEVELS = {TRAFFIC: 10.0, LATENCY: 50.0, ERRORS: 0.001, CPU: 0.3, MEMORY: 0.4}
BAD = {TRAFFIC: 3.1, LATENCY: 412.0, ERRORS: 0.032, CPU: 0.91, MEMORY: 0.88}
OTHER = UUID(int=7)


def evidence(metric: Metric, known: Mapping[str, Any]) -> Evidence:
    """As before the deployment, but for what is `known`; a failed metric is bad and introduced."""
    failed = known.get("failed", False)
    fields: dict[str, Any] = {
        "baseline_source": "baseline",
        "baseline_n": 30,
        "post_n": 5,
        "expected": LEVELS[metric],
        "observed": BAD[metric] if failed else LEVELS[metric],
        "threshold": None,
        "exceedance_ratio": None,
        "tolerance_ratio": 0.0,
        "failed": False,
        "attribution": Attribution.INTRODUCED if failed else None,
        "direction": Direction.WORSE if failed else None,
    }
    return Evidence(metric, **fields | dict(known))


@dataclass(frozen=True)
class Case:
    """What is special about a deployment."""

    metrics: Mapping[Metric, Mapping[str, Any]] = field(default_factory=dict)
    reason: ReasonCode | None = None
    verdict: Verdict = Verdict.WARNING
    confounders: tuple[UUID, ...] = ()
    surroundings: Surroundings = NOTHING_KNOWN

    def judge(self) -> Judgement:
        """Decide as every policy does: severe failures, failures, gaps, else ok."""
        five = tuple(evidence(metric, self.metrics.get(metric, {})) for metric in Metric)
        verdict, conclusive, reason = Verdict.OK, True, ReasonCode.NO_REGRESSION
        if self.reason is not None:
            verdict, conclusive, reason = self.verdict, False, self.reason
        elif any(each.severe for each in five):
            verdict, reason = Verdict.ROLLBACK_RECOMMENDED, ReasonCode.SEVERE_REGRESSION
        elif any(each.failed for each in five):
            verdict, reason = Verdict.WARNING, ReasonCode.REGRESSION
        return Judgement(
            deployment_id=UUID(int=1),
            policy="any",
            verdict=verdict,
            conclusive=conclusive,
            reason_code=reason,
            confidence=0.9,
            coverage_ratio=0.2 if self.reason else 1.0,
            evidence=five,
            as_of=datetime(2026, 3, 1, tzinfo=UTC),
            confounders=self.confounders,
        )

    def diagnose(self) -> tuple[Hint, ...]:
        return diagnose(self.judge(), self.surroundings)


FAILED: Mapping[str, Any] = {"failed": True}
SEVERE: Mapping[str, Any] = {"failed": True, "severe": True}
BURST: Mapping[str, Any] = {"failed": True, "pattern": Pattern.TRANSIENT}
SURGE: Mapping[str, Any] = {"observed": 18.0}
NO_BASELINE: Mapping[Metric, Mapping[str, Any]] = {
    metric: {"baseline_n": 0, "expected": None} for metric in Metric
}
SILENT = ReasonCode.INSUFFICIENT_POST_SAMPLES
OURS = Surroundings(missed={CollectCode.DEADLINE: 2, CollectCode.TIMEOUT: 2})
THEIRS = Surroundings(missed={CollectCode.DEADLINE: 1, CollectCode.TIMEOUT: 2})
DARK = Surroundings(missed={CollectCode.DNS: 4}, elsewhere_silent_ratio=0.5)
DRIFTS = Surroundings(drifts=(Drift(LATENCY, 8, 80.0, 121.0),))

CASES: Mapping[str, tuple[list[Case], list[Case]]] = {
    "traffic_overload": (
        [
            Case({TRAFFIC: SURGE, LATENCY: FAILED}),
            Case({TRAFFIC: {"observed": 15.0}, CPU: FAILED}),
            Case({TRAFFIC: {"observed": 1.0, "expected": 0.1}, CPU: FAILED}),
            Case({TRAFFIC: SURGE, LATENCY: FAILED, ERRORS: FAILED, CPU: FAILED}),
        ],
        [
            Case({TRAFFIC: {"observed": 14.9}, LATENCY: FAILED}),
            Case({TRAFFIC: {"observed": 0.9, "expected": 0.1}, LATENCY: FAILED}),
            Case({TRAFFIC: {"observed": 18.0, "expected": None}, LATENCY: FAILED}),
            Case({TRAFFIC: SURGE, MEMORY: FAILED}),
            Case({TRAFFIC: SURGE, LATENCY: SEVERE}),
            Case({TRAFFIC: SURGE, LATENCY: FAILED, MEMORY: SEVERE}),
        ],
    ),
    "partial_outage": (
        [Case({ERRORS: SEVERE, TRAFFIC: FAILED}), Case(dict.fromkeys(Metric, FAILED))],
        [Case({ERRORS: SEVERE}), Case({TRAFFIC: SEVERE})],
    ),
    "service_degradation": (
        [Case({ERRORS: FAILED, LATENCY: SEVERE}), Case({ERRORS: FAILED, LATENCY: FAILED})],
        [
            Case({ERRORS: FAILED}),
            Case({LATENCY: FAILED}),
            Case({ERRORS: FAILED, LATENCY: FAILED, TRAFFIC: FAILED}),
        ],
    ),
    "compute_saturation": (
        [Case({LATENCY: FAILED, CPU: FAILED})],
        [Case({LATENCY: FAILED}), Case({CPU: FAILED}), Case({ERRORS: FAILED, CPU: FAILED})],
    ),
    "memory_leak": (
        [Case({MEMORY: {"failed": True, "pattern": Pattern.RAMP, "trend_per_hour": 0.02}})],
        [
            Case({MEMORY: {"pattern": Pattern.RAMP}}),
            Case({MEMORY: FAILED}),
            Case({MEMORY: {"failed": True, "pattern": Pattern.STEP}}),
        ],
    ),
    "flapping": (
        [
            Case({LATENCY: {"failed": True, "pattern": Pattern.FLAPPING}}),
            Case({CPU: {"pattern": Pattern.FLAPPING}}),
        ],
        [
            Case({LATENCY: FAILED}),
            Case({LATENCY: {"failed": True, "pattern": Pattern.FLAPPING}, CPU: FAILED}),
            Case({ERRORS: {"failed": True, "severe": True, "pattern": Pattern.FLAPPING}}),
        ],
    ),
    "routing_failure": (
        [
            Case({TRAFFIC: SEVERE}),
            Case({TRAFFIC: FAILED, ERRORS: {"observed": 0.0}}),
            Case({TRAFFIC: FAILED, ERRORS: {"direction": Direction.BETTER}}),
        ],
        [
            Case({TRAFFIC: SEVERE, ERRORS: FAILED}),
            Case({TRAFFIC: SEVERE, ERRORS: {"observed": None, "post_n": 0}}),
            Case({TRAFFIC: SEVERE, ERRORS: {"direction": Direction.WORSE}}),
            Case({}),
        ],
    ),
    "traffic_drop": (
        [Case({TRAFFIC: SEVERE, ERRORS: {"observed": None, "post_n": 0}})],
        [Case({TRAFFIC: SEVERE}), Case({ERRORS: {"observed": None, "post_n": 0}})],
    ),
    "error_burst": (
        [Case({ERRORS: BURST}), Case({ERRORS: BURST, MEMORY: FAILED})],
        [
            Case({ERRORS: FAILED}),
            Case({ERRORS: {"pattern": Pattern.TRANSIENT}}),
            Case({ERRORS: {**BURST, "severe": True}}),
            Case({ERRORS: BURST, LATENCY: FAILED}),
        ],
    ),
    "error_regression": (
        [Case({ERRORS: SEVERE}), Case({ERRORS: FAILED})],
        [Case({ERRORS: FAILED, LATENCY: FAILED}), Case({ERRORS: {"direction": Direction.WORSE}})],
    ),
    "latency_regression": (
        [Case({LATENCY: FAILED}), Case({LATENCY: SEVERE})],
        [Case({LATENCY: FAILED, CPU: FAILED}), Case({LATENCY: {"direction": Direction.WORSE}})],
    ),
    "cpu_regression": (
        [
            Case({CPU: FAILED}),
            Case({CPU: FAILED, TRAFFIC: {"observed": 12.0}}),
            Case({CPU: {"failed": True, "attribution": Attribution.WORSENED}}),
        ],
        [
            Case({CPU: FAILED, TRAFFIC: {"observed": 12.1}}),
            Case({CPU: FAILED, TRAFFIC: {"expected": None}}),
            Case({CPU: FAILED, TRAFFIC: FAILED}),
            Case({CPU: {"failed": True, "attribution": Attribution.PRE_EXISTING}}),
            Case({CPU: {"direction": Direction.WORSE}}),
        ],
    ),
    "cpu_saturation": (
        [
            Case({CPU: FAILED, TRAFFIC: {"observed": 13.0}}),
            Case({CPU: {"failed": True, "attribution": Attribution.UNKNOWN}}),
        ],
        [Case({CPU: FAILED}), Case({TRAFFIC: {"observed": 13.0}})],
    ),
    "memory_step": (
        [Case({MEMORY: {"failed": True, "pattern": Pattern.STEP}})],
        [Case({MEMORY: {"pattern": Pattern.STEP}}), Case({MEMORY: FAILED})],
    ),
    "memory_pressure": (
        [Case({MEMORY: FAILED}), Case({MEMORY: {"failed": True, "pattern": Pattern.TRANSIENT}})],
        [Case({MEMORY: {"failed": True, "pattern": Pattern.STEP}}), Case({})],
    ),
    "collector_fault": (
        [
            Case(reason=SILENT, surroundings=OURS),
            Case(reason=ReasonCode.NO_POST_SAMPLES, surroundings=DARK),
            Case(NO_BASELINE, reason=SILENT, surroundings=OURS),
        ],
        [
            Case(reason=SILENT, surroundings=THEIRS),
            Case(reason=SILENT, surroundings=replace(DARK, elsewhere_silent_ratio=0.49)),
            Case(reason=SILENT, surroundings=Surroundings(elsewhere_silent_ratio=1.0)),
            Case(reason=ReasonCode.NO_BASELINE, surroundings=OURS),
            Case(surroundings=OURS),
        ],
    ),
    "endpoint_died": (
        [
            Case(reason=SILENT),
            Case(reason=ReasonCode.NO_POST_SAMPLES),
            Case({CPU: {"baseline_n": 0, "expected": None}}, reason=SILENT),
            Case(reason=SILENT, surroundings=THEIRS),
        ],
        [
            Case(NO_BASELINE, reason=SILENT),
            Case(reason=ReasonCode.METRIC_MISSING),
            Case(reason=SILENT, surroundings=OURS),
        ],
    ),
    "stale_source": (
        [Case(reason=ReasonCode.STALE_SOURCE)],
        [Case(reason=ReasonCode.METRIC_MISSING)],
    ),
    "data_too_thin": (
        [
            Case(reason=ReasonCode.METRIC_MISSING),
            Case(NO_BASELINE, reason=ReasonCode.NO_BASELINE),
            Case(NO_BASELINE, reason=ReasonCode.NO_POST_SAMPLES),
        ],
        [
            Case(reason=SILENT),
            Case(reason=ReasonCode.STALE_SOURCE),
            Case(reason=ReasonCode.LOW_POWER, verdict=Verdict.OK),
        ],
    ),
    "low_power": (
        [Case(reason=ReasonCode.LOW_POWER, verdict=Verdict.OK)],
        [
            Case({}),
            Case(reason=ReasonCode.METRIC_MISSING),
            Case(reason=ReasonCode.BAD_END, verdict=Verdict.OK),
        ],
    ),
    "bad_end": (
        [Case(reason=ReasonCode.BAD_END, verdict=Verdict.OK)],
        [Case({}), Case(reason=ReasonCode.LOW_POWER, verdict=Verdict.OK)],
    ),
    "cold_start": (
        [
            Case({LATENCY: {"pattern": Pattern.TRANSIENT}}),
            Case({LATENCY: {"pattern": Pattern.TRANSIENT}, MEMORY: FAILED}),
        ],
        [
            Case({LATENCY: {"pattern": Pattern.TRANSIENT, "failed": True}}),
            Case({LATENCY: {"pattern": Pattern.RAMP}}),
        ],
    ),
    "improvement": (
        [
            Case({LATENCY: {"direction": Direction.BETTER, "observed": 30.0}}),
            Case({MEMORY: {"attribution": Attribution.RECOVERED}}),
        ],
        [
            Case({TRAFFIC: {"direction": Direction.BETTER}}),
            Case({LATENCY: {"direction": Direction.BETTER}, ERRORS: FAILED}),
            Case(
                {LATENCY: {"direction": Direction.BETTER}},
                reason=ReasonCode.LOW_POWER,
                verdict=Verdict.OK,
            ),
            Case({LATENCY: {"direction": Direction.WORSE}}),
        ],
    ),
    "pre_existing_breach": (
        [
            Case({CPU: {"attribution": Attribution.PRE_EXISTING}}),
            Case({CPU: {"attribution": Attribution.PRE_EXISTING, "failed": True}}),
        ],
        [Case({CPU: {"attribution": Attribution.UNKNOWN}}), Case({CPU: FAILED})],
    ),
    "cumulative_drift": (
        [Case(surroundings=DRIFTS), Case({LATENCY: FAILED}, surroundings=DRIFTS)],
        [Case({LATENCY: FAILED})],
    ),
    "overlapping_deploys": (
        [Case({LATENCY: FAILED}, confounders=(OTHER,))],
        [Case({LATENCY: FAILED}), Case(confounders=(OTHER,))],
    ),
}

FIRING = [(rule, case) for rule, (firing, _) in CASES.items() for case in firing]
MISSING = [(rule, case) for rule, (_, missing) in CASES.items() for case in missing]


FAILURE_IDS = {rule.id for rule in FAILURES}
ALSO_TOLD = {
    "traffic_overload": {TRAFFIC},
    "routing_failure": {ERRORS},
    "cpu_regression": {TRAFFIC},
}
"""What else the diagnosis tells in numbers: it is what tells the rule from a plainer one."""


def test_every_rule_has_cases() -> None:
    assert set(CASES) == {rule.id for rule in CATALOGUE}
    assert all(firing and missing for firing, missing in CASES.values())


@pytest.mark.parametrize(("rule", "case"), FIRING)
def test_a_rule_fires(rule: str, case: Case) -> None:
    fired = [hint for hint in case.diagnose() if hint.rule == rule]
    assert len(fired) == 1
    assert "{" not in fired[0].diagnosis
    assert "unknown level" not in fired[0].diagnosis or rule == "traffic_drop"
    five = case.judge().evidence
    told = {each.metric for each in five if describe(each) in fired[0].diagnosis}
    if rule in FAILURE_IDS:
        assert told == {*fired[0].metrics, *ALSO_TOLD.get(rule, ())}


@pytest.mark.parametrize(("rule", "case"), MISSING)
def test_a_near_miss_does_not(rule: str, case: Case) -> None:
    assert rule not in [hint.rule for hint in case.diagnose()]


def test_the_catalogue_is_in_order() -> None:
    assert len({rule.id for rule in CATALOGUE}) == len(CATALOGUE)
    for position, rule in enumerate(CATALOGUE):
        assert len(rule.actions) >= 2
        assert rule.signals or rule.some
        assert not any(
            rule.signals >= earlier.signals and not (earlier.some or earlier.given)
            for earlier in CATALOGUE[:position]
            if earlier.signals
        )


def test_a_rule_is_as_grave_as_the_worst_it_explains() -> None:
    flapping: dict[str, Any] = {"pattern": Pattern.FLAPPING}
    (hint,) = Case({LATENCY: {**FAILED, **flapping}, CPU: flapping}).diagnose()
    assert (hint.metrics, hint.severity) == ((LATENCY, CPU), Severity.WARNING)
    (alone,) = Case({CPU: flapping}).diagnose()
    assert alone.severity is Severity.INFO
    (outage,) = Case({ERRORS: FAILED, TRAFFIC: SEVERE}).diagnose()
    assert outage.severity is Severity.CRITICAL


def test_only_failures_can_be_critical() -> None:
    assert all(rule.severity is None for rule in FAILURES)
    assert {rule.severity for rule in NOTICES} == {Severity.WARNING, Severity.INFO}


def test_a_critical_hint_begins_with_the_rollback_and_a_warning_does_not() -> None:
    (critical,) = Case({ERRORS: SEVERE}).diagnose()
    (warning,) = Case({ERRORS: FAILED}).diagnose()
    assert critical.actions[0] == "Roll back unless the errors are known and harmless."
    assert critical.actions[1:] == warning.actions
    assert not [
        action
        for rule in CATALOGUE
        for action in rule.actions
        if action.startswith("Roll back") and " if " not in action
    ]


def test_lost_traffic_is_rolled_back_unless_something_outside_explains_it() -> None:
    unknown: dict[str, Any] = {"observed": None, "post_n": 0}
    for case in (Case({TRAFFIC: SEVERE}), Case({TRAFFIC: SEVERE, ERRORS: unknown})):
        (hint,) = case.diagnose()
        assert hint.severity is Severity.CRITICAL
        assert "outside" in hint.actions[0]


def test_hints_come_most_important_first() -> None:
    case = Case(
        {MEMORY: FAILED, ERRORS: SEVERE, CPU: {"attribution": Attribution.PRE_EXISTING}},
        confounders=(OTHER,),
    )
    assert [(hint.rule, hint.severity) for hint in case.diagnose()] == [
        ("error_regression", Severity.CRITICAL),
        ("memory_pressure", Severity.WARNING),
        ("pre_existing_breach", Severity.INFO),
        ("overlapping_deploys", Severity.INFO),
    ]


LEVEL = st.one_of(st.none(), st.floats(0, 1e9), st.sampled_from([0.0, 1e308]))


@st.composite
def evidences(draw: st.DrawFn, metric: Metric) -> dict[str, Any]:
    failed = draw(st.booleans())
    return {
        "failed": failed,
        "severe": failed and draw(st.booleans()),
        "attribution": draw(st.sampled_from([None, *Attribution])),
        "direction": draw(st.sampled_from([None, *Direction])),
        "pattern": draw(st.sampled_from([None, *Pattern])),
        "baseline_n": draw(st.sampled_from([0, 30])),
        "expected": draw(LEVEL),
        "observed": draw(LEVEL),
        "threshold": draw(LEVEL),
        "exceedance_ratio": draw(st.one_of(st.none(), st.floats(0, 1))),
        "effect": draw(st.one_of(st.none(), st.floats(-1, 1e6))),
        "effect_low": draw(st.one_of(st.none(), st.floats(-1, 1e6))),
        "effect_high": draw(st.one_of(st.none(), st.floats(-1, 1e6))),
        "trend_per_hour": draw(st.one_of(st.none(), st.floats(0, 10))),
    }


GAPS = st.sampled_from(
    [
        (ReasonCode.NO_POST_SAMPLES, Verdict.WARNING),
        (ReasonCode.STALE_SOURCE, Verdict.WARNING),
        (ReasonCode.METRIC_MISSING, Verdict.WARNING),
        (ReasonCode.LOW_POWER, Verdict.OK),
        (ReasonCode.BAD_END, Verdict.OK),
    ]
)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    metrics = {metric: draw(evidences(metric)) for metric in Metric}
    reason, verdict = draw(st.one_of(st.just((None, Verdict.OK)), GAPS))
    if reason is not None:
        quiet = {"failed": False, "severe": False}
        metrics = {metric: fields | quiet for metric, fields in metrics.items()}
    return Case(
        metrics,
        reason,
        verdict,
        draw(st.sampled_from([(), (OTHER,)])),
        draw(st.sampled_from([NOTHING_KNOWN, OURS, THEIRS, DARK, DRIFTS])),
    )


@settings(deadline=None, max_examples=200)
@given(cases())
def test_hints_never_contradict_the_verdict(case: Case) -> None:
    judgement, hints = case.judge(), case.diagnose()
    severities = {hint.severity for hint in hints}
    rules = [hint.rule for hint in hints]
    explained = [
        metric
        for hint in hints
        if hint.rule in {rule.id for rule in FAILURES}
        for metric in hint.metrics
    ]
    failed = {each.metric for each in judgement.evidence if each.failed}
    rollback = judgement.verdict is Verdict.ROLLBACK_RECOMMENDED

    assert (Severity.CRITICAL in severities) == rollback
    assert judgement.verdict is not Verdict.OK or severities <= {Severity.INFO}
    assert judgement.verdict is not Verdict.WARNING or Severity.WARNING in severities
    assert len(explained) == len(set(explained))
    assert failed <= set(explained)
    assert len(rules) == len(set(rules))
    assert list(severities) == [] or hints[0].severity is max(severities, key=[*Severity].index)
