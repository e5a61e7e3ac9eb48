"""The timeline of a metric, as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import htpy as h

from analytics.phrases import NAMES, amount, describe
from api.page.content import Report
from api.page.scale import Axis, choose_ticks, lay_out_time, quantile
from core.judgement import Evidence
from core.types import Metric, Phase
from sql.reports import Moment

WIDTH: Final = 380
HEIGHT: Final = 160
LEFT: Final = 40.0
RIGHT: Final = 372.0
TOP: Final = 22.0
BOTTOM: Final = 140.0
MISSED: Final = BOTTOM - 7

MIDDLE: Final = 0.8
"""Share of the baseline that the band shows."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Where things of one metric are.

    Attributes:
        ticks: Levels with a line, in the metric's unit; the last one is the top.
    """

    metric: Metric
    axis: Axis
    ticks: Sequence[float]

    def x(self, moment: Moment) -> float:
        """Return where a slot is."""
        return self.axis.place(moment.slot_at)

    def y(self, level: float) -> float:
        """Return where a level is; the top for one beyond."""
        return BOTTOM - (BOTTOM - TOP) * min(max(level / self.ticks[-1], 0.0), 1.0)


def draw(metric: Metric, report: Report) -> h.Element:
    """Return the timeline: baseline band, roll-out, post samples, threshold and misses."""
    evidence = report.find_evidence(metric)
    before = report.before.get(metric, ())
    axis = lay_out_time(report.deployment, report.moments, LEFT, RIGHT)
    frame = Frame(metric, axis, choose_ticks(_find_highest(metric, report, evidence, before)))
    name = f"chart-{metric.value}"
    return h.svg(
        ".chart",
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_labelledby=f"{name}-title {name}-text",
    )[
        h.title(id=f"{name}-title")[f"{NAMES[metric][0]} over time"],
        h.desc(id=f"{name}-text")[tell(metric, report)],
        _grid(frame),
        _rollout(frame, over=report.deployment.finished_at is not None),
        _band(frame, before),
        _limits(frame, evidence),
        _curve(frame, report.moments),
        _marks(frame, report, evidence),
    ]


def tell(metric: Metric, report: Report) -> str:
    """Return in words what the timeline shows."""
    parts = []
    if values := report.before.get(metric, ()):
        low, middle, high = _spread(values)
        parts.append(
            f"Before the deploy mostly between {amount(metric, low)} and {amount(metric, high)}, "
            f"median {amount(metric, middle)}."
        )
    evidence = report.find_evidence(metric)
    if evidence is not None and evidence.observed is not None:
        parts.append(f"Found: {describe(evidence)}.")
    after = [each for each in report.moments if each.phase is Phase.POST]
    read = sum(metric in each.values for each in after)
    parts.append(f"{read} of {report.deployment.post_slots or 0} slots after it have a value.")
    return " ".join(parts)


def is_beyond(metric: Metric, level: float, threshold: float | None) -> bool:
    """Say whether a level is on the harmful side of a threshold."""
    if threshold is None or not math.isfinite(threshold):
        return False
    return level < threshold if metric is Metric.REQUESTS_PER_SEC else level > threshold


def _find_highest(
    metric: Metric, report: Report, evidence: Evidence | None, before: Sequence[float]
) -> float:
    seen = [each.values[metric] for each in report.moments if metric in each.values]
    levels = () if evidence is None else (evidence.threshold, evidence.expected)
    known = [each for each in levels if each is not None and math.isfinite(each)]
    return max([*seen, *before, *known], default=0.0)


def _spread(values: Sequence[float]) -> tuple[float, float, float]:
    low, high = (1 - MIDDLE) / 2, (1 + MIDDLE) / 2
    return quantile(values, low), quantile(values, 0.5), quantile(values, high)


def _line(kind: str, x1: float, y1: float, x2: float, y2: float) -> h.Element:
    ends = {"x1": _n(x1), "y1": _n(y1), "x2": _n(x2), "y2": _n(y2)}
    return h.line(ends, class_=kind)


def _text(x: float, y: float, anchor: str, words: str) -> h.Element:
    return h.text({"x": _n(x), "y": _n(y), "text-anchor": anchor})[words]


def _n(place: float) -> str:
    return f"{place:.2f}".rstrip("0").rstrip(".")


def _grid(frame: Frame) -> Iterator[h.Element]:
    factor = NAMES[frame.metric][2]
    for level in frame.ticks:
        y = frame.y(level)
        yield _line("grid", LEFT, y, RIGHT, y)
        yield _text(LEFT - 5, y + 3.5, "end", f"{round(level * factor, 12):.4g}")
    moments, places = frame.axis.moments, frame.axis.places
    before, after = moments[1] - moments[0], moments[3] - moments[2]
    yield _text(places[0], BOTTOM + 14, "start", f"\N{MINUS SIGN}{_length(before.total_seconds())}")
    yield _text(places[3], BOTTOM + 14, "end", f"+{_length(after.total_seconds())}")


def _length(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _rollout(frame: Frame, *, over: bool) -> Iterator[h.Element]:
    _, begun, done, _ = frame.axis.places
    span = {"x": _n(begun), "y": _n(TOP), "width": _n(done - begun), "height": _n(BOTTOM - TOP)}
    yield h.rect(span, class_="rollout")
    yield _line("marker", begun, TOP - 4, begun, BOTTOM + 4)
    if over:
        yield _line("marker", done, TOP - 4, done, BOTTOM + 4)
    yield _text((begun + done) / 2, TOP - 8, "middle", "deploy")


def _band(frame: Frame, values: Sequence[float]) -> Iterator[h.Element]:
    if not values:
        return
    low, middle, high = _spread(values)
    top = frame.y(high)
    height = max(frame.y(low) - top, 1.0)
    span = {"x": _n(LEFT), "y": _n(top), "width": _n(RIGHT - LEFT), "height": _n(height)}
    yield h.rect(span, class_="band")
    yield _line("median", LEFT, frame.y(middle), RIGHT, frame.y(middle))


def _limits(frame: Frame, evidence: Evidence | None) -> Iterator[h.Element]:
    threshold = None if evidence is None else evidence.threshold
    if threshold is not None and math.isfinite(threshold):
        y = frame.y(threshold)
        yield _line("threshold", frame.axis.places[2], y, RIGHT, y)


def _curve(frame: Frame, moments: Sequence[Moment]) -> Iterator[h.Element]:
    """A line through neighbouring samples; it breaks where one was missed."""
    for run in _runs(frame.metric, moments):
        if len(run) > 1:
            points = " ".join(
                f"{_n(frame.x(each))},{_n(frame.y(each.values[frame.metric]))}" for each in run
            )
            yield h.polyline(points=points, class_="curve")


def _runs(metric: Metric, moments: Iterable[Moment]) -> Iterator[list[Moment]]:
    run: list[Moment] = []
    for each in moments:
        begins = run and (run[-1].phase is Phase.POST) != (each.phase is Phase.POST)
        if metric not in each.values or begins:
            yield run
            run = []
        if metric in each.values:
            run.append(each)
    yield run


def _marks(frame: Frame, report: Report, evidence: Evidence | None) -> Iterator[h.Element]:
    threshold = None if evidence is None else evidence.threshold
    for each in report.moments:
        x = frame.x(each)
        level = each.values.get(frame.metric)
        if level is None:
            yield _cross(x, each)
            continue
        y = frame.y(level)
        if each.phase is not Phase.POST:
            yield h.circle({"cx": _n(x), "cy": _n(y), "r": "1.7"}, class_="seen")
        elif is_beyond(frame.metric, level, threshold):
            shape = f"M{_n(x)} {_n(y - 4.6)}L{_n(x + 4.4)} {_n(y + 3.2)}H{_n(x - 4.4)}Z"
            yield h.path(d=shape, class_="beyond")[h.title[amount(frame.metric, level)]]
        else:
            mark = h.circle({"cx": _n(x), "cy": _n(y), "r": "3.4"}, class_="post")
            yield mark[h.title[amount(frame.metric, level)]]


def _cross(x: float, moment: Moment) -> h.Element:
    size = 3.0 if moment.phase is Phase.POST else 2.2
    shape = (
        f"M{_n(x - size)} {_n(MISSED - size)}L{_n(x + size)} {_n(MISSED + size)}"
        f"M{_n(x - size)} {_n(MISSED + size)}L{_n(x + size)} {_n(MISSED - size)}"
    )
    why = "no value" if moment.code is None else f"missed: {moment.code}"
    return h.path(d=shape, class_="missed")[h.title[why]]
