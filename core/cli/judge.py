"""`seqpulse judge`: why a deployment was judged as it was, on the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Final
from uuid import UUID

import typer
from rich.markup import escape
from rich.table import Table

from analytics import hints
from analytics.phrases import NAMES, amount
from analytics.policy import Policy, choose
from analytics.surroundings import Surroundings
from core import logs
from core.cli import wiring
from core.database import Connection
from core.errors import NotFoundError
from core.judgement import Evidence, Judgement
from core.settings import Settings
from core.types import Hint, Metric
from scheduler.judging import prepare
from scheduler.surroundings import look_around
from sql import verdicts, windows
from sql.windows import Find

COLOURS: Final = {"ok": "green", "warning": "yellow", "rollback_recommended": "red"}
SEVERITIES: Final = {"info": "blue", "warning": "yellow", "critical": "red"}


def run(
    deployment: Annotated[UUID, typer.Argument(help="Id of a finished deployment.")],
    policy: Annotated[
        str | None, typer.Option(help="Name or file; SEQPULSE_POLICY by default.")
    ] = None,
    archive: wiring.UseArchive = False,
    url: wiring.ArchiveUrl = None,
) -> None:
    """Judge one deployment again and explain the verdict. Nothing is changed."""
    logs.configure("warning")

    seeker = wiring.open_seeker(url, wanted=archive)

    async def work(
        conn: Connection, settings: Settings
    ) -> tuple[Judgement, Surroundings, Judgement | None]:
        judging = choose(policy or settings.policy)
        judgement, around = await _judge(conn, settings, judging, deployment, seeker)
        return judgement, around, await verdicts.find(conn, deployment)

    judgement, around, recorded = wiring.with_connection(work)
    console = wiring.open_console()
    for line in _headline(judgement, recorded):
        console.print(line)
    console.print(_table(judgement.evidence))
    for line in _flips(judgement.evidence):
        console.print(line)
    for hint in hints.diagnose(judgement, around):
        for line in _explain(hint):
            console.print(line)


async def _judge(
    conn: Connection,
    settings: Settings,
    policy: Policy[Any],
    deployment_id: UUID,
    find: Find | None,
) -> tuple[Judgement, Surroundings]:
    material = await windows.load(conn, [deployment_id], settings.baseline_window_seconds, find)
    if material.deployments.is_empty():
        raise NotFoundError(f"no finished deployment {deployment_id}")
    if not material.deployments["settled"].all():
        raise NotFoundError(f"deployment {deployment_id} is still being watched: no verdict yet")
    [judgement] = prepare(material).judge(policy)
    around = await look_around(conn, material.deployments, [judgement])
    return judgement, around[deployment_id]


def _headline(judgement: Judgement, recorded: Judgement | None) -> Iterable[str]:
    colour = COLOURS[judgement.verdict]
    sure = "" if judgement.conclusive else ", not conclusive"
    yield (
        f"[bold {colour}]{judgement.verdict}[/]{sure}: {judgement.reason_code.replace('_', ' ')} "
        f"(policy {judgement.policy}, confidence {judgement.confidence:.2f})"
    )
    if recorded is None:
        yield "on record: nothing yet"
    elif (recorded.policy, recorded.verdict) != (judgement.policy, judgement.verdict):
        yield f"on record: {recorded.verdict} (policy {recorded.policy})"
    yield (
        f"{judgement.coverage_ratio:.0%} of the post slots collected, data quality "
        f"{judgement.quality_ratio:.2f}"
        + (f": {', '.join(judgement.penalties).replace('_', ' ')}" if judgement.penalties else "")
    )
    if judgement.decided_at is not None:
        yield f"final since slot {judgement.decided_at}"
    if judgement.profile_until is not None:
        yield f"with the service's history up to {judgement.profile_until:%Y-%m-%d %H:%M} UTC"
    if judgement.confounders:
        yield f"overlaps deployment {', '.join(map(str, judgement.confounders))}"


def _table(evidence: Sequence[Evidence]) -> Table:
    table = Table(
        "metric", "before", "after", "change (95 %)", "matters from", "p", "finding", "n", "from"
    )
    for each in evidence:
        table.add_row(
            NAMES[each.metric][0],
            amount(each.metric, each.expected),
            amount(each.metric, each.observed),
            _change(each),
            _effect(each.metric, each.minimum_effect),
            "" if each.p_value is None else f"{each.p_value:.2g}",
            _finding(each),
            f"{each.baseline_n} / {each.post_n}",
            each.baseline_source,
        )
    return table


def _finding(evidence: Evidence) -> str:
    words = [evidence.attribution, evidence.direction, evidence.pattern]
    said = ", ".join(word.replace("_", " ") for word in words if word)
    if not evidence.failed:
        return said
    return f"[red]{'severe' if evidence.severe else 'failed'}[/] {said}"


def _flips(evidence: Sequence[Evidence]) -> Iterable[str]:
    """Say what would have to change for the verdict to be another one, nearest first."""
    known = [each for each in evidence if each.distance_to_flip is not None]
    for each in sorted(known, key=lambda item: abs(item.distance_to_flip or 0)):
        distance = each.distance_to_flip or 0.0
        name, size = NAMES[each.metric][0], _effect(each.metric, abs(distance)).lstrip("+")
        if each.failed:
            yield f"{name} would pass if its change were {size} smaller"
        elif distance >= 0:
            yield f"{name} would fail if it got another {size} worse"


def _explain(hint: Hint) -> Iterable[str]:
    yield f"[{SEVERITIES[hint.severity]}]{hint.severity}[/]: [bold]{escape(hint.title)}[/]"
    yield f"  {escape(hint.diagnosis)}"
    for number, action in enumerate(hint.actions, 1):
        yield f"  {number}. {escape(action)}"


def _change(evidence: Evidence) -> str:
    metric = evidence.metric
    if evidence.effect is None:
        return ""
    low, high = _effect(metric, evidence.effect_low), _effect(metric, evidence.effect_high)
    interval = f" ({low} to {high})" if low and high else ""
    return _effect(metric, evidence.effect) + interval


def _effect(metric: Metric, effect: float | None) -> str:
    """Positive is worse: percentage points of the error rate, else per cent of what was before."""
    if effect is None:
        return ""
    return f"{100 * effect:+.3g} {'points' if metric is Metric.ERROR_RATE else '%'}"
