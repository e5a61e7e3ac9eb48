"""The evidence as a table: a column for each metric, a row for each fact."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import htpy as h

from analytics.phrases import NAMES, amount, change
from api.page.words import SOURCES, percent, plain, tie
from core.judgement import Evidence
from core.types import Metric

Say: TypeAlias = Callable[[Evidence], str]

NOTHING: Final = "\N{EN DASH}"


def draw(evidence: Sequence[Evidence]) -> h.Element:
    """Return the table, in a frame of its own that scrolls where it is too wide."""
    heads = (
        h.th(scope="col", class_={"failed": each.failed})[
            NAMES[each.metric][0], h.span(".unit")[NAMES[each.metric][1]]
        ]
        for each in evidence
    )
    return h.div(".scroller", role="region", aria_labelledby="evidence", tabindex="0")[
        h.table[
            h.thead[h.tr[h.td, heads]],
            (_group(name, rows, evidence) for name, rows in GROUPS),
        ]
    ]


def _group(
    name: str, facts: Sequence[tuple[str, Say]], evidence: Sequence[Evidence]
) -> h.Element | None:
    """Return the rows that say anything; None if there are none."""
    said = [(fact, [say(each) for each in evidence]) for fact, say in facts]
    rows = [
        h.tr[h.th(scope="row")[fact], (h.td[tie(cell) or NOTHING] for cell in cells)]
        for fact, cells in said
        if any(cells)
    ]
    if not rows:
        return None
    title = h.th(scope="rowgroup", colspan=len(evidence) + 1)[name]
    return h.tbody[h.tr(".group")[title], rows]


def _level(evidence: Evidence, level: float | None) -> str:
    return "" if level is None or not math.isfinite(level) else amount(evidence.metric, level)


def _size(evidence: Evidence, effect: float | None) -> str:
    """Return an effect to a tenth of a per cent, or a hundredth of a point."""
    if effect is None or not math.isfinite(effect):
        return ""
    digits = 4 if evidence.metric is Metric.ERROR_RATE else 3
    size = change(evidence.metric, round(effect, digits))
    return size.removeprefix("+") if size.startswith("+0 ") else size


def _expected(evidence: Evidence) -> str:
    return _level(evidence, evidence.expected)


def _observed(evidence: Evidence) -> str:
    return _level(evidence, evidence.observed)


def _threshold(evidence: Evidence) -> str:
    return _level(evidence, evidence.threshold)


def _beyond(evidence: Evidence) -> str:
    if evidence.exceedance_ratio is None:
        return ""
    return f"{percent(evidence.exceedance_ratio)} of {evidence.post_n}"


def _tolerated(evidence: Evidence) -> str:
    return "" if evidence.threshold is None else percent(evidence.tolerance_ratio)


def _change(evidence: Evidence) -> str:
    return _size(evidence, evidence.effect)


def _interval(evidence: Evidence) -> str:
    low, high = evidence.effect_low, evidence.effect_high
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return ""
    ends = sorted((low, high), reverse=evidence.metric is Metric.REQUESTS_PER_SEC)
    return " to ".join(_size(evidence, each) for each in ends)


def _matters(evidence: Evidence) -> str:
    return _size(evidence, evidence.minimum_effect)


def _detectable(evidence: Evidence) -> str:
    return _size(evidence, evidence.smallest_detectable_effect)


def _flip(evidence: Evidence) -> str:
    distance = evidence.distance_to_flip
    if distance is None or not math.isfinite(distance):
        return ""
    size = _size(evidence, abs(distance)).lstrip("+-")
    if evidence.failed:
        return f"{size} less"
    return f"{size} more" if distance >= 0 else ""


def _test(evidence: Evidence) -> str:
    return "" if evidence.test is None else plain(evidence.test)


def _statistic(evidence: Evidence) -> str:
    statistic = evidence.statistic
    if evidence.test is None or statistic is None or not math.isfinite(statistic):
        return ""
    return f"{statistic:.0f}" if abs(statistic) >= 100 else f"{statistic:.2g}"


def _chance(evidence: Evidence) -> str:
    p = evidence.p_value
    if p is None or not math.isfinite(p):
        return ""
    return "below 0.001" if p < 0.001 else f"{p:.2g}"


def _finding(evidence: Evidence) -> str:
    if evidence.failed:
        failed = "failed badly" if evidence.severe else "failed"
    else:
        failed = "unknown" if evidence.observed is None else "passed"
    words = [evidence.direction, evidence.pattern]
    return ", ".join([failed, *(plain(each) for each in words if each)])


def _attribution(evidence: Evidence) -> str:
    return "" if evidence.attribution is None else plain(evidence.attribution)


def _share(evidence: Evidence) -> str:
    return percent(evidence.contribution) if evidence.failed else ""


def _trend(evidence: Evidence) -> str:
    rise = _level(evidence, evidence.trend_per_hour)
    return f"{rise} per hour" if rise else ""


def _source(evidence: Evidence) -> str:
    return SOURCES.get(evidence.baseline_source, plain(evidence.baseline_source))


def _before_n(evidence: Evidence) -> str:
    return f"{evidence.baseline_n}"


def _after_n(evidence: Evidence) -> str:
    return f"{evidence.post_n}"


GROUPS: Final[Sequence[tuple[str, Sequence[tuple[str, Say]]]]] = (
    (
        "Finding",
        (
            ("finding", _finding),
            ("attribution", _attribution),
            ("share in the alarm", _share),
            ("trend after the deploy", _trend),
        ),
    ),
    (
        "Levels",
        (
            ("expected", _expected),
            ("observed", _observed),
            ("threshold", _threshold),
            ("slots beyond it", _beyond),
            ("tolerated share", _tolerated),
        ),
    ),
    (
        "Change",
        (
            ("change", _change),
            ("95 % interval", _interval),
            ("matters from", _matters),
            ("would have been seen from", _detectable),
            ("flips if it were", _flip),
        ),
    ),
    ("Test", (("test", _test), ("value", _statistic), ("probability by chance", _chance))),
    (
        "Data",
        (
            ("baseline", _source),
            ("samples before", _before_n),
            ("samples after", _after_n),
        ),
    ),
)
