"""Board `accuracy`: how often verdicts were right, where the truth is known."""

from __future__ import annotations

from typing import Final

from dashboards import looks
from dashboards.frame import Board, fragment, mark, services
from dashboards.frame import sql as text
from dashboards.panels import lines, number, rows

OPEN: Final = ("Open the deployment", looks.OPEN)
KNOWN: Final = "The truth is known from feedback, else from a rollback that was seen."


def sql(name: str) -> str:
    """Return a query about verdicts and what came true."""
    labelled = fragment("accuracy.labelled")
    return text(f"accuracy.{name}", labelled=labelled, said=fragment("accuracy.said"))


_FIGURES: Final = (
    number("Truth known", f"Deployments judged in this time. {KNOWN}", sql("count")),
    number(
        "Precision",
        f"Share of the alarms that were harmful, of the live policy. {KNOWN}",
        sql("precision"),
        unit="percentunit",
        limits=((None, "orange"), (0.8, "green")),
        empty="nothing known",
    ),
    number(
        "Recall",
        f"Share of the harmful deployments with an alarm, of the live policy. {KNOWN}",
        sql("recall"),
        unit="percentunit",
        limits=((None, "orange"), (0.8, "green")),
        empty="nothing known",
    ),
    number(
        "Alarms to be looked at",
        "Alarms in this time of which nobody has said whether they were right.",
        sql("unlabelled"),
    ),
)

_CONFUSION: Final = rows(
    "Right and wrong, by policy",
    f"{KNOWN} Shares with the ends of their 95 % interval (Wilson). Inconclusive verdicts are no "
    "alarms: "
    "harmful ones count against recall. A version is the digest of a policy's content.",
    sql("confusion"),
    columns={
        name: looks.unit("percentunit", 0)
        for share in ("precision", "recall")
        for name in (share, f"{share}_from", f"{share}_to")
    },
    empty="nothing known in this time",
)

_SHADOWS: Final = rows(
    "Shadow policies beside the live one",
    "How often each shadow policy said the same, and how often something harsher or milder.",
    sql("shadows"),
    columns={"agree": looks.unit("percentunit", 0)},
    empty="no shadow policy in this time",
)

_WRONG: Final = rows(
    "Where it was wrong",
    f"False alarms and harm without an alarm, of the live policy. {KNOWN}",
    sql("wrong"),
    columns={"verdict": looks.coloured(), "finished": looks.unit("dateTimeAsIso")},
    links={"branch": OPEN, "finished": ("Report", looks.REPORT)},
    empty="nowhere in this time",
)

_TO_LABEL: Final = rows(
    "Alarms without feedback",
    "Say whether they hurt (docs/ci.md): without it nobody knows how good the alarms are.",
    sql("to_label"),
    columns={
        "verdict": looks.coloured(),
        "confidence": looks.unit("percentunit", 0),
        "finished": looks.unit("dateTimeAsIso"),
    },
    links={"branch": OPEN, "finished": ("Report", looks.REPORT)},
    empty="none",
)

BOARD: Final = Board(
    name="accuracy",
    title="SeqPulse: accuracy",
    description="How right verdicts were, by policy; shadow policies beside the live one.",
    variables=services(),
    marks=[mark("Deploys", text("shared.deploys"), "blue")],
    since="now-30d",
    rows=[
        (4, [(panel, 6) for panel in _FIGURES]),
        (7, [(_CONFUSION, 24)]),
        (
            8,
            [
                (
                    lines(
                        "Precision by week",
                        f"Of the live policy, with its 95 % interval (dots). {KNOWN}",
                        sql("over_time"),
                        unit="percentunit",
                        every="7d",
                        top=1,
                        styles={
                            "precision": looks.line("solid", "blue"),
                            "surely from": looks.line("dot", "text"),
                            "surely up to": looks.line("dot", "text", fill_to="surely from"),
                        },
                        empty="nothing known in this time",
                    ),
                    12,
                ),
                (_SHADOWS, 12),
            ],
        ),
        (9, [(_WRONG, 12), (_TO_LABEL, 12)]),
    ],
)
