"""Board `deployment`: one deployment, from its baseline to what is to be done."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import timeseries

from dashboards import looks
from dashboards.frame import Board, choose_one, fragment, mark, services
from dashboards.frame import sql as text
from dashboards.panels import lines, number, rows


def sql(name: str, **parts: str) -> str:
    """Return a query about the chosen deployment."""
    return text(f"deployment.{name}", this=fragment("deployment.this"), **parts)


STYLES: Final = {
    "measured": looks.line("solid", "blue"),
    "baseline median": looks.line("dash", "text"),
    "usual from": looks.line("dot", "text"),
    "usual up to": looks.line("dot", "text", fill_to="usual from"),
    "threshold": looks.line("dash", "red"),
}


def chart(title: str, metric: str, unit: str) -> timeseries.Panel:
    """A metric around the deployment."""
    return lines(
        title,
        "What was measured; the median of the 30 minutes before the trigger, with three (scaled) "
        "median "
        "absolute deviations on both sides; and the level that slots must not cross (dashes, "
        "red). Over "
        "six hours there are means of five minutes or of hours, and no band.",
        sql("chart", metric=metric),
        unit=unit,
        styles=STYLES,
        empty="no samples in this time",
    )


def share(title: str, description: str, name: str, enough: float) -> object:
    """A share of one, green from `enough` on."""
    return number(
        title,
        description,
        sql(name),
        unit="percentunit",
        limits=((None, "orange"), (enough, "green")),
        empty="not yet",
    )


_EVIDENCE: Final = rows(
    "Evidence",
    "What each metric contributed, the largest part first. Levels are in the unit of the metric; "
    "an effect "
    "is a share of what was expected, of errors a difference; positive is worse.",
    sql("evidence"),
    columns={
        "judged": looks.coloured(),
        "beyond": looks.unit("percentunit", 0),
        "tolerated": looks.unit("percentunit", 0),
        "contribution": looks.unit("percentunit", 0),
        **{
            name: looks.unit("short", 4)
            for name in (
                "expected",
                "observed",
                "threshold",
                "effect",
                "effect_low",
                "effect_high",
                "p_value",
            )
        },
    },
    empty="no verdict yet",
)

_HINTS: Final = rows(
    "What to do",
    "Diagnoses over several metrics, the most important first, with what to do.",
    sql("hints"),
    columns={"severity": looks.coloured()},
    empty="no diagnosis",
)

_HEAD: Final = rows(
    "The deployment",
    "Which one this is, and why it was judged so.",
    sql("head"),
    columns={
        "triggered": looks.unit("dateTimeAsIso"),
        "finished": looks.unit("dateTimeAsIso"),
    },
    links={
        "branch": ("Report", looks.REPORT),
        "project": ("Overview of this service", looks.PROJECT),
    },
    empty="choose a deployment above",
)

_MISSED: Final = rows(
    "Missed slots",
    "Planned reads of this deployment that gave no sample, and why.",
    sql("missed"),
    columns={"planned": looks.unit("dateTimeAsIso")},
    empty="none",
)

_JOBS: Final = rows(
    "Jobs",
    "What was done for this deployment and is finished, in the time shown: how late each began "
    "and how "
    "long it took.",
    sql("jobs"),
    columns={
        "planned": looks.unit("dateTimeAsIso"),
        "late": looks.unit("s", 2),
        "took": looks.unit("s", 2),
    },
)

BOARD: Final = Board(
    name="deployment",
    title="SeqPulse: deployment",
    description="One deployment: what was measured around it, what is said of it and why.",
    variables=[
        *services(),
        choose_one("deployment", "Deployment", sql("deployments")),
    ],
    marks=[
        mark("Deploys", text("shared.deploys"), "blue"),
        mark("Windows", sql("windows"), "purple"),
        mark("Missed", sql("gaps"), "orange"),
    ],
    since="now-6h",
    rows=[
        (
            4,
            [
                (
                    number(
                        "Verdict",
                        "What is said of it; inconclusive where the data could not carry a "
                        "verdict.",
                        sql("verdict"),
                        empty="not yet",
                        unit="string",
                    ),
                    6,
                ),
                (share("Confidence", "How sure; the policy defines it.", "confidence", 0.8), 4),
                (share("Coverage", "Post slots with a sample.", "coverage", 0.8), 4),
                (share("Data quality", "What the penalties leave of it.", "quality", 0.8), 4),
                (
                    number(
                        "Roll-out",
                        "From trigger to finish.",
                        sql("rollout"),
                        unit="s",
                        empty="not finished",
                    ),
                    6,
                ),
            ],
        ),
        (4, [(_HEAD, 24)]),
        (
            8,
            [
                (chart("Latency p95", "latency_p95", "ms"), 8),
                (chart("Error rate", "error_rate", "percentunit"), 8),
                (chart("Requests per second", "requests_per_sec", "reqps"), 8),
            ],
        ),
        (
            8,
            [
                (chart("CPU", "cpu_usage", "percentunit"), 8),
                (chart("Memory", "memory_usage", "percentunit"), 8),
                (_MISSED, 8),
            ],
        ),
        (7, [(_EVIDENCE, 24)]),
        (7, [(_HINTS, 24)]),
        (8, [(_JOBS, 24)]),
    ],
)
