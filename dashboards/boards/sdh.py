"""Board `sdh`: what is diagnosed, how often, where, and what comes together."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import dashboard as model

from dashboards import looks
from dashboards.frame import Board, choose, fragment, mark, services
from dashboards.frame import sql as text
from dashboards.panels import bars, number, rows, stacks

OPEN: Final = ("Open the deployment", looks.OPEN)


def sql(name: str) -> str:
    """Return a query about the chosen diagnoses."""
    return text(f"sdh.{name}", wanted=fragment("sdh.wanted"))


def severities() -> build.CustomVariable:
    """The variable `severity`."""
    return (
        build.CustomVariable("severity")
        .label("Severity")
        .values("critical,warning,info")
        .multi(True)
        .include_all(True)
        .current(model.VariableOption(text="All", value="$__all", selected=True))
    )


_FIGURES: Final = (
    number(
        "Deployments with a critical one",
        "Deployments finished in this time with a critical diagnosis.",
        sql("critical"),
        limits=((None, "green"), (1, "red")),
    ),
    number(
        "Deployments diagnosed",
        "Deployments finished in this time with a diagnosis of the chosen kind.",
        sql("deployments"),
    ),
    number(
        "Share of deployments",
        "Of all deployments with a verdict, those with a diagnosis of the chosen kind.",
        sql("share"),
        unit="percentunit",
        decimals=1,
        empty="no verdicts",
    ),
    number("Rules", "How many different rules spoke.", sql("kinds")),
)

_TOGETHER: Final = rows(
    "What comes together",
    "Pairs of rules that spoke of the same deployment, and the share of the first one's "
    "deployments.",
    sql("together"),
    columns={"share": looks.unit("percentunit", 0)},
    empty="no two rules spoke of one deployment",
)

_SERVICES: Final = rows(
    "By service",
    "Diagnoses of each service, the most critical first.",
    sql("by_service"),
    columns={"last": looks.unit("dateTimeFromNow")},
    links={"project": ("Only this service", looks.PROJECT)},
)

_LIST: Final = rows(
    "Diagnoses",
    "The newest 500, with what to do.",
    sql("list"),
    columns={"severity": looks.coloured(), "finished": looks.unit("dateTimeAsIso")},
    links={"title": OPEN, "finished": ("Report", looks.REPORT)},
)

BOARD: Final = Board(
    name="sdh",
    title="SeqPulse: diagnoses",
    description="Composite diagnoses (SDH hints): which, how often, where, and which together.",
    variables=[
        *services(),
        severities(),
        choose("rule", "Rule", text("sdh.rules"), text("sdh.every_rule")),
    ],
    marks=[mark("Deploys", text("shared.deploys"), "blue")],
    rows=[
        (4, [(panel, 6) for panel in _FIGURES]),
        (
            8,
            [
                (
                    stacks(
                        "Diagnoses over time",
                        "By the time their deployment finished.",
                        sql("over_time"),
                        every="1h",
                    ),
                    12,
                ),
                (bars("Top rules", "The twelve that spoke most.", sql("top"), by="rule"), 12),
            ],
        ),
        (8, [(_TOGETHER, 10), (_SERVICES, 14)]),
        (12, [(_LIST, 24)]),
    ],
)
