from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import polars as pl
import pytest

from analytics import fixed, judge, kayenta, policy, relative, slo, windows
from analytics.gauges import Minimum
from analytics.outcome import AS_THE_METHOD, AllOf, AnyOf, Leaf, Outcome
from analytics.policy import load
from core.errors import InvalidInputError
from core.judgement import Judgement
from core.types import Metric, Verdict

Frames = Callable[..., tuple[pl.DataFrame, pl.DataFrame]]

AS_OF = datetime(2026, 3, 1, 13, tzinfo=UTC)
FOLDER = Path(policy.__file__).parent / "policies"
REQUESTS, LATENCY, ERRORS, CPU, MEMORY = Metric

STRICTER = """
name = "shop"
extends = "slo"

[rules.objectives.latency_p95]
limit = 120

[verdict]
warning = { any = ["error_rate", { all = ["latency_p95", "cpu_usage"] }] }
rollback = { all = ["error_rate", "latency_p95"] }
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a policy file and say where."""

    def run(text: str, name: str = "mine.toml") -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return run


Write = Callable[..., Path]


def test_finds_a_policy_by_its_name() -> None:
    assert policy.find("reference-v2") is policy.REFERENCE_V2
    assert policy.find("seqpulse-v1") is policy.SEQPULSE_V1
    assert all(policy.find(name).name == name for name in policy.POLICIES)


def test_names_the_known_policies_but_does_not_echo_the_wrong_one() -> None:
    names = "kayenta-compatible, reference-v2, seqpulse-v1, slo"
    with pytest.raises(InvalidInputError, match=f"^policy: not one of {names}$"):
        policy.find("<script>")


@pytest.mark.parametrize(
    ("metric", "level"),
    [
        (Metric.LATENCY_P95, 270.0),
        (Metric.ERROR_RATE, 0.009),
        (Metric.CPU_USAGE, 0.72),
        (Metric.MEMORY_USAGE, 0.72),
    ],
)
def test_secured_thresholds_are_the_decimals_of_the_docs(metric: Metric, level: float) -> None:
    assert policy.REFERENCE_V2.rules.secured_threshold(metric) == level


def test_traffic_has_no_fixed_threshold() -> None:
    with pytest.raises(KeyError):
        policy.REFERENCE_V2.rules.secured_threshold(Metric.REQUESTS_PER_SEC)


def test_a_published_policy_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        cast("Any", policy.REFERENCE_V2.rules.tolerances)[Metric.CPU_USAGE] = 1.0
    with pytest.raises(TypeError):
        cast("Any", policy.POLICIES)["mine"] = policy.REFERENCE_V2


def test_every_shipped_file_is_a_policy_of_its_own_name() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(policy.POLICIES)
    assert all(each.name == name for name, each in policy.POLICIES.items())
    assert all(each.outcome == AS_THE_METHOD for each in policy.POLICIES.values())
    assert len({each.digest for each in policy.POLICIES.values()}) == len(policy.POLICIES)


def test_the_defaults_of_the_kayenta_method_are_those_of_the_shipped_file() -> None:
    assert policy.find("kayenta-compatible").rules == kayenta.Rules()


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("seqpulse-v1", "336c4b15e1053aa5"),
        ("reference-v2", "faa4cc4639bb9649"),
        ("kayenta-compatible", "f64afe44e6d2d303"),
        ("slo", "a4db8a587ae2a253"),
    ],
)
def test_a_published_policy_never_changes(name: str, digest: str) -> None:
    """If this turns red, give the new numbers a new name."""
    assert policy.find(name).digest == digest


def test_the_changelog_names_the_digest_of_the_default() -> None:
    """Verdicts of one name and two digests are not alike: whoever runs it must read of it."""
    changelog = (Path(__file__).parents[3] / "CHANGELOG.md").read_text()
    assert f"`seqpulse-v1` (digest `{policy.SEQPULSE_V1.digest}`" in changelog


def test_a_file_extends_a_policy(write: Write) -> None:
    shop = load(write(STRICTER))
    assert (shop.name, shop.method) == ("shop", policy.SLO)
    objectives = policy.find("slo").rules.objectives
    assert dict(shop.rules.objectives) == {**objectives, LATENCY: slo.Objective(120.0, 3, 5)}
    assert shop.rules.severe == {ERRORS}
    assert shop.outcome == Outcome(
        warning=AnyOf((Leaf(ERRORS), AllOf((Leaf(LATENCY), Leaf(CPU))))),
        rollback=AllOf((Leaf(ERRORS), Leaf(LATENCY))),
    )


def test_a_policy_of_a_team_can_be_extended_by_a_project(write: Write) -> None:
    team = load(write(STRICTER))
    text = 'name = "cart"\nextends = "shop"\n[verdict]\nrollback = "error_rate.severe"\n'
    cart = load(write(text), {"shop": team})
    assert cart.rules == team.rules
    assert cart.outcome == replace(team.outcome, rollback=Leaf(ERRORS, severe=True))


def test_the_example_in_the_docs_is_a_policy(write: Write) -> None:
    docs = (Path(__file__).parents[3] / "docs" / "policies.md").read_text()
    (example,) = re.findall(r"```toml\n(.*?)```", docs, re.DOTALL)
    assert load(write(example)) == load(write(STRICTER))


@pytest.mark.parametrize("name", ["slo", "kayenta-compatible"])
def test_the_docs_name_every_number(name: str) -> None:
    docs = (Path(__file__).parents[3] / "docs" / "policies.md").read_text()
    assert not [
        each.name for each in fields(policy.find(name).rules) if f"`{each.name}" not in docs
    ]


def test_json_says_the_same(write: Write) -> None:
    table = {
        "name": "shop",
        "extends": "slo",
        "rules": {"objectives": {"latency_p95": {"limit": 120}}},
        "verdict": {
            "warning": {"any": ["error_rate", {"all": ["latency_p95", "cpu_usage"]}]},
            "rollback": {"all": ["error_rate", "latency_p95"]},
        },
    }
    as_json = load(write(json.dumps(table), "mine.json"))
    assert as_json == load(write(STRICTER))
    assert as_json.digest == load(write(STRICTER)).digest


def test_the_digest_is_of_the_content(write: Write) -> None:
    shop = load(write(STRICTER))
    assert len(shop.digest) == 16
    assert load(write("# a remark\n" + STRICTER)).digest == shop.digest
    assert load(write(STRICTER.replace("shop", "other"))).digest == shop.digest
    for old, new in (("120", "121"), ("all =", "any ="), ("rollback", "#"), ("any", "all")):
        assert load(write(STRICTER.replace(old, new, 1))).digest != shop.digest


@pytest.mark.parametrize("name", policy.POLICIES)
def test_every_policy_takes_an_outcome(write: Write, name: str) -> None:
    mine = load(write(f'name = "mine"\nextends = "{name}"\n[verdict]\nrollback = "cpu_usage"\n'))
    assert mine.outcome == Outcome(rollback=Leaf(CPU))
    assert mine.digest != policy.find(name).digest


def test_only_what_has_a_weight_can_fail_kayenta(write: Write) -> None:
    base = replace(policy.find("kayenta-compatible"), name="base")
    known = {"base": replace(base, rules=replace(base.rules, weights={CPU: 1.0}))}
    text = 'name = "mine"\nextends = "base"\n[verdict]\nwarning = "memory_usage"\n'
    with pytest.raises(InvalidInputError, match=r"memory_usage can never fail under these rules$"):
        load(write(text), known)


def _judge(frames: Frames, chosen: policy.Policy[Any], *bad: dict[str, float]) -> Judgement:
    slot = {name: value for each in bad for name, value in each.items()}
    made = frames(before=[{}] * 10, after=[slot] * 5)
    return judge.judge(windows.split(*made), chosen, AS_OF)[0]


def test_the_outcome_makes_the_verdict(frames: Frames, write: Write) -> None:
    shop = load(write(STRICTER))
    slow, failing, busy = {"latency_p95": 150.0}, {"error_rate": 0.5}, {"cpu_usage": 0.9}
    assert _judge(frames, shop, slow).verdict is Verdict.OK
    assert _judge(frames, shop, busy).verdict is Verdict.OK
    assert _judge(frames, shop, slow, busy).verdict is Verdict.WARNING
    assert _judge(frames, shop, failing).verdict is Verdict.WARNING
    both = _judge(frames, shop, slow, failing)
    assert both.verdict is Verdict.ROLLBACK_RECOMMENDED
    assert [each.metric for each in both.evidence if each.severe] == [LATENCY, ERRORS]
    assert not any(each.failed for each in _judge(frames, shop, slow).evidence)


@pytest.mark.parametrize("name", policy.POLICIES)
def test_every_method_follows_an_outcome(frames: Frames, name: str) -> None:
    """Whatever the method finds: without its consent nothing fails, with it all is severe."""
    worst = {"latency_p95": 900.0, "error_rate": 0.6, "cpu_usage": 0.99}
    find = policy.find(name)
    method = _judge(frames, find, worst)
    failed = {each.metric for each in method.evidence if each.failed}
    never = replace(find, outcome=Outcome(warning=Leaf(REQUESTS), rollback=Leaf(REQUESTS)))
    assert _judge(frames, never, worst).verdict is Verdict.OK
    for metric in failed:
        harsh = replace(find, outcome=Outcome(rollback=Leaf(metric)))
        assert _judge(frames, harsh, worst).verdict is Verdict.ROLLBACK_RECOMMENDED
        soft = replace(find, outcome=Outcome(warning=Leaf(metric), rollback=Leaf(REQUESTS)))
        judgement = _judge(frames, soft, worst)
        assert judgement.verdict is Verdict.WARNING
        assert [each.metric for each in judgement.evidence if each.failed] == [metric]


def test_when_a_verdict_was_final_is_unknown_under_an_outcome(frames: Frames) -> None:
    reference = policy.REFERENCE_V2
    assert _judge(frames, reference, {"error_rate": 0.5}).decided_at is not None
    mine = replace(reference, outcome=Outcome(rollback=Leaf(CPU)))
    assert _judge(frames, mine, {"error_rate": 0.5}).decided_at is None


HEAD = 'name = "mine"\n'
OF_SLO = HEAD + 'extends = "slo"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "name: must be a text"),
        ("name = 3", "name: must be a text"),
        ('name = ""', "name: must be 1 to 63 of a-z"),
        ('name = "UPPER"', "name: must be 1 to 63 of a-z"),
        (f'name = "{"x" * 64}"', "name: must be 1 to 63 of a-z"),
        ('name = "slo"\nextends = "slo"', "name: slo is published and never changes"),
        (HEAD, "method: must be a text"),
        (HEAD + 'method = "magic"', "method: not one of fixed, kayenta, relative, slo"),
        (HEAD + 'extends = "nobody"', "extends: not one of kayenta-compatible, reference-v2"),
        (OF_SLO + 'method = "slo"', "method: comes from the policy that is extended"),
        (OF_SLO + "colour = 1", "colour: unknown; one of name, extends, method, rules, verdict"),
        (OF_SLO + "rules = 1", "rules: must be a table"),
        (OF_SLO + "verdict = []", "verdict: must be a table"),
        (OF_SLO + "[rules]\nmagic = 1", "rules.magic: unknown; one of objectives, severe, min_"),
        (
            OF_SLO + "[rules.objectives.queue_depth]\nlimit = 1",
            "rules.objectives: queue_depth is",
        ),
        (
            OF_SLO + '[rules]\nsevere = ["requests_per_sec"]',
            "rules.severe: requests_per_sec has",
        ),
        (
            OF_SLO + '[verdict]\nwarning = "requests_per_sec"',
            "verdict.warning: requests_per_sec",
        ),
        (HEAD + 'method = "slo"', "rules.objectives: missing"),
        (
            HEAD + 'extends = "reference-v2"\n[rules.thresholds]\nrequests_per_sec = 1',
            "rules.thresh",
        ),
        (
            HEAD + 'extends = "kayenta-compatible"\n[rules]\ntolerance_ratio = 2',
            "rules.tolerance_ratio: must be in 0..1",
        ),
    ],
)
def test_a_wrong_file_is_refused_by_file_and_key(write: Write, text: str, message: str) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        load(write(text))
    assert str(refusal.value).startswith(f"mine.toml: {message}")


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"thresholds": {}}, "thresholds: must name every metric but traffic"),
        ({"thresholds": dict.fromkeys(Metric, 0.5)}, "thresholds: must name every metric but"),
        (
            {"thresholds": dict.fromkeys([*Metric][1:], 1.5)},
            "thresholds.cpu_usage: must be",
        ),
        ({"tolerances": {CPU: 0.1}}, "tolerances: must name every metric"),
        (
            {"tolerances": dict.fromkeys(Metric, 1.1)},
            "tolerances.requests_per_sec: must be",
        ),
        ({"secured_ratio": 1.1}, "secured_ratio: must be at most 1"),
        ({"traffic_drop_ratio": 1.1}, "traffic_drop_ratio: must be at most 1"),
        ({"min_coverage_ratio": 1.1}, "min_coverage_ratio: must be at most 1"),
    ],
)
def test_fixed_thresholds_must_make_sense(numbers: dict[str, Any], message: str) -> None:
    rules: fixed.Rules = policy.REFERENCE_V2.rules
    with pytest.raises(InvalidInputError, match=f"^{message}"):
        replace(rules, **numbers)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"minima": {}}, "minima: must name every metric"),
        (
            {"minima": dict.fromkeys(Metric, Minimum(0.0, 1.0))},
            "minima.requests_per_sec: share",
        ),
        (
            {"minima": dict.fromkeys(Metric, Minimum(1.0, 0.0))},
            "minima.requests_per_sec: share",
        ),
        ({"breaches": {REQUESTS: 1.0}}, "breaches: traffic has no level"),
        ({"breaches": {CPU: 1.1}}, "breaches.cpu_usage: must be at most 1"),
        ({"bad_share": 1.1}, "bad_share: must be at most 1"),
        ({"min_coverage_ratio": 1.1}, "min_coverage_ratio: must be at most 1"),
    ],
)
def test_relative_numbers_must_make_sense(numbers: dict[str, Any], message: str) -> None:
    rules: relative.Rules = policy.SEQPULSE_V1.rules
    with pytest.raises(InvalidInputError, match=f"^{message}"):
        replace(rules, **numbers)


def test_a_share_may_be_all_of_it() -> None:
    rules: relative.Rules = policy.SEQPULSE_V1.rules
    assert replace(rules, min_coverage_ratio=1.0).min_coverage_ratio == 1
