"""Board `projects`: whether every service can be judged, and what watching it costs."""

from __future__ import annotations

from typing import Final

from dashboards import looks
from dashboards.frame import Board, fragment, mark, services
from dashboards.frame import sql as text
from dashboards.panels import bars, lines, number, rows

ONLY: Final = ("Only this service", looks.PROJECT)


def sql(name: str) -> str:
    """Return a query about the chosen services."""
    return text(f"projects.{name}", slots=fragment("projects.slots"))


_FIGURES: Final = (
    number("Services", "Projects by environment with a target or a deployment.", sql("services")),
    number(
        "Targets failing",
        "Their last read failed, now.",
        sql("failing"),
        limits=((None, "green"), (1, "orange")),
    ),
    number(
        "Targets resting",
        "They failed for so long that their baseline pauses, now.",
        sql("resting"),
        limits=((None, "green"), (1, "red")),
    ),
    number(
        "Never conclusive",
        "Services with verdicts in this time of which not one was conclusive.",
        sql("undecided"),
        limits=((None, "green"), (1, "orange")),
    ),
    number(
        "Reads per minute",
        "Planned reads, collected or missed, on average over the time shown.",
        sql("reads_per_minute"),
        decimals=1,
        empty="none",
    ),
)

_LIST: Final = rows(
    "Every service",
    "Target, plan and limits of each service, now; failing ones first.",
    sql("list"),
    columns={
        "target": looks.coloured(),
        "rests_until": looks.unit("dateTimeAsIso"),
        "target_changed": looks.unit("dateTimeAsIso"),
    },
    links={"project": ONLY},
    empty="no service yet",
)

_COVERAGE: Final = rows(
    "Coverage",
    "Share of the planned slots with a sample, the worst hundred services first.",
    sql("coverage"),
    columns={"coverage": looks.unit("percentunit", 1), "last": looks.unit("dateTimeFromNow")},
    links={"project": ONLY},
    empty="no slots in this time",
)

_BASELINES: Final = rows(
    "Can it be judged?",
    "Share of conclusive verdicts, and the most frequent reason of the others; the worst hundred "
    "services "
    "first. A service that knows its past has a profile that the judge can fall back on.",
    sql("baselines"),
    columns={name: looks.unit("percentunit", 0) for name in ("conclusive", "coverage", "quality")},
    links={"project": ONLY},
    empty="no verdicts in this time",
)

_DRIFT: Final = rows(
    "Configuration drift",
    "By which policy the last verdict of each service was made, and whether its target has been "
    "changed "
    "since: what differs comes first.",
    sql("drift"),
    columns={
        "last_verdict": looks.unit("dateTimeAsIso"),
        "target_changed": looks.unit("dateTimeAsIso"),
    },
    links={"project": ONLY, "last_verdict": ("Open the deployment", looks.OPEN)},
    empty="no verdicts in this time",
)

BOARD: Final = Board(
    name="projects",
    title="SeqPulse: projects",
    description="Every service: its target, coverage, limits, cost, and whether it can be judged.",
    variables=services(),
    marks=[mark("Deploys", text("shared.deploys"), "blue")],
    rows=[
        (4, [(panel, 5) for panel in _FIGURES[:4]] + [(_FIGURES[4], 4)]),
        (9, [(_LIST, 24)]),
        (
            9,
            [
                (_COVERAGE, 12),
                (
                    lines(
                        "Coverage over time",
                        "The eight services with the worst coverage; by the hour where more than "
                        "two "
                        "days are shown.",
                        sql("coverage_over_time"),
                        unit="percentunit",
                        every="5m",
                        limits=((None, "red"), (0.8, "green")),
                        top=1,
                        empty="no slots in this time",
                    ),
                    12,
                ),
            ],
        ),
        (9, [(_BASELINES, 24)]),
        (
            9,
            [
                (
                    bars(
                        "What sampling costs",
                        "Rows by service, samples and missed slots: the twelve with the most. A "
                        "sample is "
                        "one read of the target and one row.",
                        sql("cost"),
                        by="service",
                        empty="no slots in this time",
                    ),
                    10,
                ),
                (_DRIFT, 14),
            ],
        ),
    ],
)
