"""The page: what was found first, the pictures, the evidence, and how it was come by."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from importlib.resources import files
from typing import Final

import htpy as h
from markupsafe import Markup

from analytics.phrases import NAMES
from api.page import chart, table
from api.page.content import Report
from api.page.words import PENALTIES, moment, percent, plain, summarise, tie
from core.judgement import Judgement
from core.types import Hint, Metric

STYLE: Final = files("api.page").joinpath("style.css").read_text()
_HASH: Final = b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()

POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'"
)
"""Content security policy of the page: its one style sheet, and nothing else."""

SIGNS: Final = {
    "good": "M5 12.5l4.5 4.5L19 7.5",
    "caution": "M12 5v9M12 18v1",
    "bad": "M6.5 6.5l11 11M17.5 6.5l-11 11",
    "unknown": "M8.5 9a3.5 3.5 0 1 1 5 3.2c-1 .5-1.5 1.200-1.500 2.300M12 18v1",
    "waiting": "M12 6v6.500l4 2.500",
}


def render(report: Report) -> str:
    """Return the page as HTML; the same report gives the same text."""
    name = f"{report.project}, {report.deployment.env}"
    page = h.html(lang="en")[
        h.head[
            h.meta(charset="utf-8"),
            h.meta(http_equiv="Content-Security-Policy", content=POLICY),
            h.meta(name="viewport", content="width=device-width, initial-scale=1"),
            h.meta(name="referrer", content="no-referrer"),
            h.meta(name="color-scheme", content="light dark"),
            h.title[f"{summarise(report).headline}: {name}"],
            h.style[Markup(STYLE)],  # noqa: S704 - our own file
        ],
        h.body[
            _head(report),
            h.main[
                _verdict(report),
                _timelines(report),
                _hints(report),
                _evidence(report),
                _data(report),
                _origin(report),
            ],
            h.footer["SeqPulse. All times are UTC."],
        ],
    ]
    # Not str(): that were Markup, which escapes what it is joined with.
    return "".join(page.iter_chunks())


def _head(report: Report) -> h.Element:
    deployment = report.deployment
    return h.header[
        h.p(".project")[h.bdi[report.project], h.span(".env")[deployment.env]],
        h.p(".deployment")[
            "Deployment of ",
            h.strong[h.bdi[deployment.branch]],
            " on ",
            _time(report.deployment.triggered_at),
        ],
    ]


def _time(at: datetime | None) -> h.Node:
    return None if at is None else h.time(datetime=at.isoformat())[moment(at)]


def _verdict(report: Report) -> h.Element:
    said = summarise(report)
    sign = h.svg(".sign", viewBox="0 0 24 24", aria_hidden="true")[
        h.circle(cx="12", cy="12", r="12"), h.path(d=SIGNS[said.tone])
    ]
    return h.section(class_=["verdict", said.tone], aria_labelledby="verdict")[
        h.h1("#verdict")[sign, h.span[said.headline]],
        h.dl[
            h.div(".found")[
                h.dt["What was found"],
                h.dd[said.found, _list(said.changes)],
            ],
            h.div[h.dt["How sure that is"], h.dd[said.sure]],
            h.div[h.dt["What to do"], h.dd[said.advice]],
        ],
    ]


def _list(entries: Sequence[h.Node]) -> h.Node:
    return h.ul[(h.li[each] for each in entries)] if entries else None


def _hints(report: Report) -> h.Node:
    if not report.hints:
        return None
    return h.section(aria_labelledby="hints")[
        h.h2("#hints")["Diagnoses"], (_hint(each) for each in report.hints)
    ]


def _hint(hint: Hint) -> h.Element:
    return h.article(class_=["hint", hint.severity.value])[
        h.h3[h.span(".severity")[hint.severity.value], hint.title],
        h.p[tie(hint.diagnosis)],
        h.ol[(h.li[action] for action in hint.actions)] if hint.actions else None,
    ]


def _timelines(report: Report) -> h.Element:
    return h.section(aria_labelledby="timelines")[
        h.h2("#timelines")["Before and after"],
        h.div(".charts")[(_timeline(metric, report) for metric in Metric), _legend()],
    ]


def _timeline(metric: Metric, report: Report) -> h.Element:
    name, unit, _ = NAMES[metric]
    evidence = report.find_evidence(metric)
    failed = evidence is not None and evidence.failed
    return h.figure(class_={"failed": failed})[
        h.figcaption[
            h.span(".metric")[name],
            " ",
            h.span(".unit")[unit],
            h.strong["failed"] if failed else None,
        ],
        chart.draw(metric, report),
    ]


def _legend() -> h.Element:
    def key(words: str, *shapes: h.Element) -> h.Element:
        return h.li[h.svg(viewBox="0 0 24 12", aria_hidden="true")[shapes], words]

    def line(kind: str) -> h.Element:
        return h.line(x1="1", y1="6", x2="23", y2="6", class_=kind)

    return h.ul(".legend", aria_label="Legend")[
        key("the middle 80 % of the baseline", h.rect(width="24", height="12", class_="band")),
        key("its median", line("median")),
        key("the deploy, trigger to finish", h.rect(width="24", height="12", class_="rollout")),
        key("threshold", line("threshold")),
        key("sample before", h.circle(cx="12", cy="6", r="2", class_="seen")),
        key("sample after", h.circle(cx="12", cy="6", r="4", class_="post")),
        key("beyond the threshold", h.path(d="M12 1L17 10H7Z", class_="beyond")),
        key("missed", h.path(d="M8 2L16 10M8 10L16 2", class_="missed")),
    ]


def _evidence(report: Report) -> h.Node:
    if report.judgement is None or not report.judgement.evidence:
        return None
    return h.section(aria_labelledby="evidence")[
        h.h2("#evidence")["Evidence"], table.draw(report.judgement.evidence)
    ]


def _facts(name: str, title: str, facts: Iterator[tuple[str, h.Node]]) -> h.Element:
    rows = [h.div[h.dt[word], h.dd[said]] for word, said in facts]
    return h.section(aria_labelledby=name)[h.h2(id=name)[title], h.dl(".facts")[rows]]


def _data(report: Report) -> h.Element:
    return _facts("data", "The data", _list_data(report))


def _list_data(report: Report) -> Iterator[tuple[str, h.Node]]:
    judgement = report.judgement
    if judgement is not None:
        yield "confidence", percent(judgement.confidence)
        yield "coverage", f"{percent(judgement.coverage_ratio)} of the slots after the deploy"
        wrong = [PENALTIES.get(each, plain(each)) for each in judgement.penalties]
        quality = percent(judgement.quality_ratio)
        yield "quality", f"{quality}: {'; '.join(wrong)}" if wrong else quality
    codes = Counter(each.code for each in report.moments if each.code is not None)
    told = ", ".join(f"{plain(code)} {n}" for code, n in sorted(codes.items()))
    yield "missed slots", f"{codes.total()} ({told})" if codes else "none"
    if judgement is not None:
        others = _list([h.code[str(each)] for each in judgement.confounders])
        yield "overlapping deployments", others or "none"
    if report.deployment.extended_at is not None:
        yield "window extended", _time(report.deployment.extended_at)


def _origin(report: Report) -> h.Element:
    return _facts(
        "origin",
        "How it was judged" if report.judgement else "The deployment",
        _list_origin(report, report.judgement),
    )


def _list_origin(report: Report, judgement: Judgement | None) -> Iterator[tuple[str, h.Node]]:
    deployment, origin = report.deployment, report.origin
    yield "deployment", h.code[str(deployment.id)]
    yield "triggered", _time(deployment.triggered_at)
    if deployment.finished_at is not None:
        yield "finished", [_time(deployment.finished_at), f", pipeline: {deployment.result}"]
        yield "watched", f"{deployment.post_slots} slots of {deployment.slot_seconds:g} s"
    if judgement is None:
        return
    yield "judged", _time(judgement.as_of)
    yield "reason code", h.code[judgement.reason_code]
    if origin is not None:
        yield "revision", str(origin.revision)
    digest = None if origin is None or origin.policy_digest is None else origin.policy_digest
    yield "policy", [h.code[judgement.policy], [" digest ", h.code[digest]] if digest else None]
    if judgement.decided_at is not None:
        yield "final since", f"slot {judgement.decided_at}"
    if judgement.profile_until is not None:
        yield "history known until", _time(judgement.profile_until)
    for shadow in report.shadows:
        sure = "" if shadow.conclusive else ", not conclusive"
        yield f"policy {shadow.policy} would say", f"{plain(shadow.verdict)}{sure}"
