from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.compare import ATTRIBUTIONS, NONE, Comparison
from analytics.outcome import (
    AS_THE_METHOD,
    AllOf,
    AnyOf,
    Expression,
    Leaf,
    Outcome,
    apply,
    list_metrics,
    parse_outcome,
    write,
)
from analytics.simple import Means, describe
from core.errors import InvalidInputError
from core.types import Attribution, Metric

TRAFFIC, LATENCY, ERRORS, CPU, MEMORY = Metric
BOTH = AllOf((Leaf(LATENCY), Leaf(CPU)))
EITHER = AllOf((AnyOf((Leaf(CPU), Leaf(ERRORS))), Leaf(MEMORY)))


def _comparison(*rows: str, attribution: Attribution = Attribution.INTRODUCED) -> Comparison:
    """One deployment per text: five letters, `f` failed, `s` failed severely, `.` fine."""
    failed = np.array([[letter in "fs" for letter in row] for row in rows])
    severe = np.array([[letter == "s" for letter in row] for row in rows])
    n, level = np.full(failed.shape, 5), np.ones(failed.shape)
    whose = np.where(failed, ATTRIBUTIONS.index(attribution), NONE)
    return describe(Means(n, n, level, level), failed, severe, attribution=whose)


def _letters(comparison: Comparison) -> list[str]:
    return [
        "".join("s" if hard else "f" if soft else "." for soft, hard in zip(*row, strict=True))
        for row in zip(comparison.failed, comparison.severe, strict=True)
    ]


@pytest.mark.parametrize(
    ("outcome", "row", "expected"),
    [
        (Outcome(), ".f.s.", ".f.s."),
        (Outcome(warning=Leaf(LATENCY)), ".f...", ".f..."),
        (Outcome(warning=Leaf(LATENCY)), ".f.f.", ".f..."),
        (Outcome(warning=Leaf(LATENCY)), "...s.", "....."),
        (Outcome(warning=Leaf(LATENCY, severe=True)), ".f...", "....."),
        (Outcome(warning=Leaf(LATENCY, severe=True)), ".s...", ".s..."),
        (Outcome(warning=BOTH), ".f...", "....."),
        (Outcome(warning=BOTH), ".f.f.", ".f.f."),
        (Outcome(warning=BOTH), ".f.ff", ".f.f."),
        (Outcome(warning=AnyOf((BOTH, Leaf(MEMORY)))), ".f..f", "....f"),
        (Outcome(warning=AnyOf((BOTH, Leaf(MEMORY)))), ".f.ff", ".f.ff"),
        (
            Outcome(warning=AllOf((AnyOf((Leaf(CPU), Leaf(ERRORS))), Leaf(MEMORY)))),
            "..f.f",
            "..f.f",
        ),
        (
            Outcome(warning=AllOf((AnyOf((Leaf(CPU), Leaf(ERRORS))), Leaf(MEMORY)))),
            "..ff.",
            ".....",
        ),
        (Outcome(rollback=BOTH), ".f.f.", ".s.s."),
        (Outcome(rollback=BOTH), ".ff..", ".ff.."),
        (Outcome(rollback=BOTH), "..s..", "..f.."),
        (Outcome(rollback=Leaf(ERRORS, severe=True)), "..f..", "..f.."),
        (Outcome(rollback=Leaf(ERRORS, severe=True)), "s.s..", "f.s.."),
        (Outcome(warning=Leaf(MEMORY), rollback=BOTH), ".f.f.", ".s.s."),
        (Outcome(warning=Leaf(MEMORY), rollback=BOTH), ".f..f", "....f"),
    ],
)
def test_an_outcome_says_which_failures_count(outcome: Outcome, row: str, expected: str) -> None:
    alone = apply(outcome, _comparison(row))
    assert _letters(alone) == [expected]
    assert _letters(apply(outcome, _comparison(".....", row, "sssss")))[1] == expected
    assert alone.contribution.sum() == pytest.approx(0.0 if expected == "....." else 1.0)
    assert not alone.contribution[~alone.failed].any()


def test_what_the_deploy_did_not_do_is_no_reason_to_roll_back() -> None:
    before = _comparison(".f.f.", attribution=Attribution.PRE_EXISTING)
    assert _letters(apply(Outcome(rollback=BOTH), before)) == [".f.f."]
    worsened = _comparison(".f.f.", attribution=Attribution.WORSENED)
    assert _letters(apply(Outcome(rollback=BOTH), worsened)) == [".s.s."]


def test_what_is_left_to_the_method_is_not_touched() -> None:
    comparison = _comparison(".f.s.")
    assert apply(AS_THE_METHOD, comparison) is comparison


LEAVES = st.builds(Leaf, st.sampled_from(Metric), st.booleans())
EXPRESSIONS = st.recursive(
    LEAVES,
    lambda inner: st.builds(
        lambda kind, parts: kind(tuple(parts)),
        st.sampled_from([AnyOf, AllOf]),
        st.lists(inner, min_size=1, max_size=3, unique=True),
    ),
    max_leaves=6,
)


@settings(deadline=None)
@given(EXPRESSIONS)
def test_an_expression_survives_the_way_to_a_file_and_back(expression: Expression) -> None:
    assert parse_outcome({"warning": write(expression)}, "v") == {"warning": expression}


@settings(deadline=None)
@given(EXPRESSIONS, st.lists(st.sampled_from(".fs"), min_size=5, max_size=5))
def test_only_failures_named_in_the_expression_count(
    expression: Expression, letters: list[str]
) -> None:
    comparison = _comparison("".join(letters))
    for outcome in (Outcome(warning=expression), Outcome(expression, expression)):
        counted = apply(outcome, comparison)
        named = np.array([metric in list_metrics(expression) for metric in Metric])
        assert not (counted.failed & ~(comparison.failed & named)).any()
        assert not (counted.severe & ~counted.failed).any()


def test_nothing_names_nothing() -> None:
    assert list_metrics(None) == frozenset()
    assert write(None) is None


def _nested(levels: int) -> object:
    inner: object = "cpu_usage"
    for _ in range(levels):
        inner = {"all": [inner]}
    return inner


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"ok": "cpu_usage"}, "v.ok: unknown; one of warning, rollback"),
        ({"warning": "disk_usage"}, "v.warning: disk_usage is no metric that can be judged"),
        ({"warning": "cpu_usage.bad"}, "v.warning: cpu_usage.bad is no metric"),
        ({"warning": {"any": ["cpu_usage", "queue"]}}, "v.warning.any: queue is no metric"),
        ({"warning": {"any": ["cpu_usage"], "all": ["cpu_usage"]}}, "v.warning: must be a metric"),
        ({"warning": {"none": ["cpu_usage"]}}, "v.warning: must be a metric, or a table"),
        ({"warning": {}}, "v.warning: must be a metric, or a table"),
        ({"warning": 3}, "v.warning: must be a table"),
        ({"warning": {"any": []}}, "v.warning.any: must not be empty"),
        ({"warning": {"any": "cpu_usage"}}, "v.warning.any: must be a list"),
        ({"warning": {"any": ["cpu_usage", "cpu_usage"]}}, "v.warning.any: must not be empty, nor"),
        ({"rollback": _nested(9)}, "v.rollback.all.all.all.all.all.all.all.all: nested too deeply"),
    ],
)
def test_anything_else_is_refused(table: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        parse_outcome(table, "v")
    assert str(refusal.value).startswith(message)
