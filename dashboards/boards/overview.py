"""Board `overview`: what was deployed, what it did, and what needs somebody now."""

from __future__ import annotations

from typing import Final

from dashboards import looks
from dashboards.frame import Board, mark, services, sql
from dashboards.panels import bars, lines, number, rows, stacks

OPEN: Final = ("Open the deployment", looks.OPEN)
COLLECTED: Final = ((None, "red"), (0.95, "green"))
"""The installation is to collect 95 % of all slots."""

_FIGURES: Final = (
    number(
        "Deploys today",
        "Deployments triggered since midnight UTC, of the last day of the time shown.",
        sql("overview.today"),
    ),
    number(
        "Rollbacks recommended",
        "Deployments finished in this time that surely did severe harm.",
        sql("overview.rollbacks"),
        limits=((None, "green"), (1, "red")),
    ),
    number(
        "Conclusive",
        "Share of verdicts that the data could carry. The others are not an ok: look at Projects.",
        sql("overview.conclusive"),
        unit="percentunit",
        limits=((None, "orange"), (0.8, "green")),
    ),
    number(
        "False alarms",
        "Share of the alarms with feedback that people call harmless. Without feedback: unknown.",
        sql("overview.false_alarms"),
        unit="percentunit",
        limits=((None, "green"), (0.2, "orange")),
        empty="no feedback",
    ),
    number(
        "Slots collected",
        "Share of the slots with a sample, all projects of the chosen environments. Target: 95 %.",
        sql("overview.collected"),
        unit="percentunit",
        decimals=1,
        limits=COLLECTED,
        empty="no slots",
    ),
    number(
        "Targets failing",
        "Targets whose last read failed, now.",
        sql("overview.failing"),
        limits=((None, "green"), (1, "orange")),
    ),
)

_ATTENTION: Final = rows(
    "Needs attention now",
    "Alarms of the last 24 hours without feedback, deployments that never finished or got no "
    "verdict, "
    "and targets that fail. Not bound to the time shown above.",
    sql("overview.attention"),
    columns={"since": looks.unit("dateTimeFromNow"), "what": looks.coloured()},
    links={"detail": OPEN, "project": ("Only this service", looks.PROJECT)},
    empty="nothing: all is well",
)

_STATES: Final = rows(
    "Every service now",
    "The last deployment of each service and how its target answers; whatever time is shown.",
    sql("overview.states"),
    columns={
        "verdict": looks.coloured(),
        "target": looks.coloured(),
        "confidence": looks.unit("percentunit", 0),
        "deployed": looks.unit("dateTimeFromNow"),
    },
    links={"branch": OPEN, "verdict": ("Report", looks.REPORT)},
    empty="no service yet",
)

BOARD: Final = Board(
    name="overview",
    title="SeqPulse: overview",
    description="What was deployed, what it did to the services, and what needs somebody now.",
    variables=services(),
    marks=[mark("Deploys", sql("shared.deploys"), "blue")],
    rows=[
        (4, [(panel, 4) for panel in _FIGURES]),
        (7, [(_ATTENTION, 24)]),
        (
            8,
            [
                (
                    stacks(
                        "Verdicts over time",
                        "Deployments by the time they finished and what was said of them.",
                        sql("overview.over_time"),
                        every="1h",
                    ),
                    12,
                ),
                (
                    bars(
                        "Verdicts by project",
                        "The twelve projects with the most alarms.",
                        sql("overview.by_project"),
                        by="project",
                    ),
                    12,
                ),
            ],
        ),
        (10, [(_STATES, 24)]),
        (
            7,
            [
                (
                    bars(
                        "Verdicts by environment",
                        "What was said of deployments, by environment.",
                        sql("overview.by_environment"),
                        by="env",
                    ),
                    12,
                ),
                (
                    lines(
                        "Slots collected over time",
                        "Share of the slots with a sample, all projects of each environment; by "
                        "the "
                        "hour where more than two days are shown. Target: 95 %.",
                        sql("overview.collection"),
                        unit="percentunit",
                        every="5m",
                        limits=COLLECTED,
                        top=1,
                    ),
                    12,
                ),
            ],
        ),
    ],
)
