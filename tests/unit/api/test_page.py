"""The page of a report: texts from outside stay texts, numbers stay inside the picture."""

from __future__ import annotations

import math
import re
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.reasons import Penalty, ReasonCode
from analytics.windows import SOURCES as BASELINES
from api.page import chart, document, scale, words
from api.page.content import Report
from core.codes import CollectCode
from core.judgement import Direction, Evidence, Judgement, Pattern
from core.types import (
    Attribution,
    Deployment,
    DeploymentResult,
    DeploymentState,
    Hint,
    Metric,
    Phase,
    Severity,
    Verdict,
)
from sql.reports import Moment, Origin
from sql.verdicts import ShadowVerdict

AT = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
ID = UUID("01234567-89ab-7def-8123-456789abcdef")
MINUTE = timedelta(minutes=1)

DEPLOYMENT = Deployment(
    ID,
    ID,
    "prod",
    "main",
    None,
    DeploymentState.ANALYZED,
    AT,
    DeploymentResult.SUCCESS,
    AT + MINUTE,
    AT + 9 * MINUTE,
    5,
    60.0,
)
MOMENTS = (
    *(Moment(AT - n * MINUTE, None, dict.fromkeys(Metric, 0.5)) for n in range(10, 0, -1)),
    *(Moment(AT + n * MINUTE, Phase.POST, dict.fromkeys(Metric, 0.9)) for n in range(1, 5)),
    Moment(AT + 5 * MINUTE, Phase.POST, {}, CollectCode.TIMEOUT),
)


def evidence(metric: Metric, **changes: object) -> Evidence:
    known = Evidence(metric, "baseline", 10, 4, 0.5, 0.9, 0.6, 1.0, 0.6, True, None)
    changed: dict[str, Any] = {"attribution": Attribution.INTRODUCED, **changes}
    return replace(known, **changed)


JUDGEMENT = Judgement(
    ID,
    "seqpulse-v1",
    Verdict.WARNING,
    True,
    "regression",
    0.98,
    0.8,
    tuple(evidence(metric) for metric in Metric),
    AT + 7 * MINUTE,
    confounders=(ID,),
)
REPORT = Report("shop", DEPLOYMENT, MOMENTS, dict.fromkeys(Metric, (0.4, 0.5, 0.6)), JUDGEMENT)


def full(text: str, number: float = 1.0) -> Report:
    """A report in which every text is `text` and every number `number`."""
    numbers = {
        field.name: number
        for field in fields(Evidence)
        if "float" in str(field.type) and field.name != "effect_low"
    }
    rows = tuple(
        evidence(
            metric,
            **numbers,
            effect_low=-number,
            baseline_source=text,
            test=text,
            direction=Direction.WORSE,
            pattern=Pattern.STEP,
        )
        for metric in Metric
    )
    judgement = replace(
        JUDGEMENT,
        policy=text,
        reason_code=text,
        penalties=(text,),
        evidence=rows,
        decided_at=3,
        profile_until=AT,
    )
    hint = Hint(text, Severity.CRITICAL, text, text, (text, text), (Metric.CPU_USAGE,))
    level = abs(number) if math.isfinite(number) else 0.0  # others do not count as samples
    shadow = ShadowVerdict(text, Verdict.OK, False, text, 0.5, ())
    return Report(
        text,
        replace(DEPLOYMENT, branch=text, env=text, extended_at=AT),
        (*MOMENTS, Moment(AT + 5 * MINUTE, Phase.POST, dict.fromkeys(Metric, level), text)),
        dict.fromkeys(Metric, (level, 0.5, 0.6)),
        judgement,
        Origin(2, text),
        (hint,),
        (shadow,),
    )


class Skeleton(HTMLParser):
    """Elements with the names of their attributes, comments and the like, in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.parts: list[tuple[str, ...]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.parts.append((tag, *(name for name, _ in attrs)))

    def handle_endtag(self, tag: str) -> None:
        self.parts.append((f"/{tag}",))

    def handle_comment(self, data: str) -> None:
        self.parts.append(("comment", data))

    def handle_decl(self, decl: str) -> None:
        self.parts.append((decl,))

    def unknown_decl(self, data: str) -> None:
        self.parts.append(("unknown", data))


HOSTILE = (
    st.text(max_size=60)
    | st.text("<>&\"'/=!-[]{};:()\n\0 styleonloadscript", max_size=60)
    | st.sampled_from(
        [
            "<script>alert(1)</script>",
            '"><img src=x onerror=alert(1)>',
            "</style><style>*{display:none}",
            "</title></svg><a href=javascript:alert(1)>",
            "--><!--",
            "]]><![CDATA[",
            "' autofocus onfocus='alert(1)",
            "&lt;script&gt;",
            "\u202eevil\u0000",
        ]
    )
)


@given(HOSTILE)
def test_no_text_from_outside_becomes_an_element_or_an_attribute(text: str) -> None:
    text = text or "-"
    assert Skeleton(document.render(full(text))).parts == Skeleton(document.render(full("x"))).parts


@given(st.floats() | st.integers(-5, 5).map(float))
def test_whatever_the_numbers_are_the_page_is_drawn_and_stays_finite(number: float) -> None:
    report = full("x", number)
    assert document.render(report)
    for metric in Metric:
        drawn = str(chart.draw(metric, report))
        places = re.findall(r' (?:[cxyr]\w?|width|height|points|d)="([^"]*)"', drawn)
        numbers = [float(each) for each in re.findall(r"[^\sMLHZ,]+", " ".join(places))]
        assert all(-10 <= each <= chart.WIDTH for each in numbers)


def test_the_same_report_gives_the_same_bytes() -> None:
    assert document.render(full("x")) == document.render(full("x"))


def test_the_page_needs_nothing_but_itself() -> None:
    page = document.render(REPORT)
    assert "<script" not in page
    assert " style=" not in page
    assert "href=" not in page
    assert "src=" not in page
    assert "url(" not in document.STYLE
    assert "@import" not in document.STYLE


@pytest.mark.parametrize(
    ("verdict", "conclusive", "headline"),
    [
        (Verdict.ROLLBACK_RECOMMENDED, True, "Rollback recommended"),
        (Verdict.WARNING, True, "Warning: something got worse"),
        (Verdict.WARNING, False, "Inconclusive: the data cannot tell"),
        (Verdict.OK, True, "OK: no harm found"),
        (Verdict.OK, False, "OK as far as can be seen"),
    ],
)
def test_the_verdict_stands_first_in_words(
    verdict: Verdict, conclusive: bool, headline: str
) -> None:
    judgement = replace(JUDGEMENT, verdict=verdict, conclusive=conclusive)
    said = words.summarise(replace(REPORT, judgement=judgement))
    assert said.headline == headline
    assert "%" in said.sure
    assert headline in document.render(replace(REPORT, judgement=judgement))


def test_what_failed_is_told_in_order_of_its_share() -> None:
    rows = (
        evidence(Metric.LATENCY_P95, contribution=0.2, expected=100.0, observed=300.0),
        evidence(Metric.ERROR_RATE, contribution=0.8, expected=0.001, observed=0.2, effect=0.199),
        evidence(Metric.CPU_USAGE, failed=False),
    )
    said = words.summarise(replace(REPORT, judgement=replace(JUDGEMENT, evidence=rows)))
    assert [each.replace("\N{NO-BREAK SPACE}", " ") for each in said.changes] == [
        "Error rate 20 % against 0.1 % before the deploy (+19.9 points)",
        "Latency p95 300 ms against 100 ms before the deploy; 4 of 4 slots above 0.6 ms",
    ]


@pytest.mark.parametrize("state", DeploymentState)
def test_before_a_verdict_it_says_how_far_it_is(state: DeploymentState) -> None:
    deployment = replace(DEPLOYMENT, state=state)
    said = words.summarise(replace(REPORT, judgement=None, deployment=deployment))
    assert said.headline == "No verdict yet"
    assert said.sure == "4 of 5 slots after the deploy are collected, 1 missed."


def test_every_code_has_words() -> None:
    assert set(words.REASONS) == set(ReasonCode)
    assert set(words.PENALTIES) == set(Penalty)
    assert set(words.SOURCES) == {*BASELINES, "none"}


@given(st.floats(1e-290, 1e290))
def test_ticks_are_round_and_reach_the_highest(highest: float) -> None:
    ticks = scale.choose_ticks(highest)
    assert ticks[0] == 0
    assert ticks[-1] >= highest * (1 - 1e-8)
    assert 2 <= len(ticks) <= 6
    assert all(float(f"{each:.2g}") == pytest.approx(each) for each in ticks)


@pytest.mark.parametrize("highest", [0.0, -1.0, math.nan, math.inf, 5e-324, 1.7e308])
def test_without_a_height_there_are_ticks_all_the_same(highest: float) -> None:
    assert scale.choose_ticks(highest) == [0, 0.25, 0.5, 0.75, 1]


@given(
    rollout=st.floats(0, 1e6),
    watched=st.floats(0.1, 1e5),
    seen=st.lists(st.floats(-1e5, 1e6), max_size=5),
    at=st.lists(st.floats(-2e5, 2e6), min_size=2, max_size=5),
)
def test_time_runs_from_left_to_right_and_stays_inside(
    rollout: float, watched: float, seen: list[float], at: list[float]
) -> None:
    deployment = replace(
        DEPLOYMENT, finished_at=AT + timedelta(seconds=rollout), slot_seconds=watched / 5
    )
    moments = [Moment(AT + timedelta(seconds=each), None, {}) for each in seen]
    axis = scale.lay_out_time(deployment, moments, 10, 110)
    places = [axis.place(AT + timedelta(seconds=each)) for each in sorted(at)]
    assert places == sorted(places)
    assert all(10 <= each <= 110 + 1e-9 for each in places)
    assert list(axis.places) == sorted(axis.places)


@given(st.lists(st.floats(-1e9, 1e9), min_size=1), st.floats(0, 1))
def test_quantiles_are_those_of_numpy(values: list[float], share: float) -> None:
    expected = float(np.quantile(values, share))
    assert scale.quantile(values, share) == pytest.approx(expected, rel=1e-9, abs=1e-6)


def test_the_harmful_side_of_traffic_is_below() -> None:
    assert chart.is_beyond(Metric.REQUESTS_PER_SEC, 1, 2)
    assert not chart.is_beyond(Metric.REQUESTS_PER_SEC, 3, 2)
    assert chart.is_beyond(Metric.CPU_USAGE, 3, 2)
    assert not chart.is_beyond(Metric.CPU_USAGE, 3, None)
    assert not chart.is_beyond(Metric.REQUESTS_PER_SEC, 3, math.inf)


def test_samples_misses_and_those_beyond_are_told_apart() -> None:
    drawn = str(chart.draw(Metric.CPU_USAGE, REPORT))
    assert drawn.count('class="seen"') == 10
    assert drawn.count('class="beyond"') == 4
    assert drawn.count('class="missed"') == 1
    assert "missed: timeout" in drawn
    assert drawn.count("<polyline") == 2  # before, and after: not through the roll-out
    calm = replace(JUDGEMENT, evidence=(evidence(Metric.CPU_USAGE, threshold=0.95),))
    assert str(chart.draw(Metric.CPU_USAGE, replace(REPORT, judgement=calm))).count("post") == 4
