"""What a report shows beside the verdict: every slot around a deployment, and who judged it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import isfinite
from typing import Final

from core.database import Connection
from core.types import METRICS, Deployment, Metric, Phase
from sql.texts import query

LONGEST_ROLLOUT: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Moment:
    """A slot: what was read, or why nothing was.

    Attributes:
        values: Metrics that have a value, in their units. Without traffic there is neither a
            latency nor an error rate.
        code: Why it was missed; None if it was collected.
    """

    slot_at: datetime
    phase: Phase | None
    values: Mapping[Metric, float]
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """Who said it: the revision of a verdict, and the content of the policy behind it."""

    revision: int
    policy_digest: str | None


async def load_moments(
    conn: Connection, deployment: Deployment, baseline_seconds: float
) -> tuple[Moment, ...]:
    """Return the slots from the start of the baseline window to the end of the post window.

    Slots of the continuous baseline count until the roll-out is over, for a day at most.
    """
    longest = deployment.triggered_at + LONGEST_ROLLOUT
    ended = deployment.finished_at or longest
    watched = (deployment.post_slots or 0) * (deployment.slot_seconds or 0.0)
    rows = await conn.fetch(
        query("reports.slots"),
        deployment.id,
        deployment.project_id,
        deployment.env,
        deployment.triggered_at - timedelta(seconds=baseline_seconds),
        ended + timedelta(seconds=watched),
        min(ended, longest),
    )
    return tuple(
        Moment(
            row["slot_at"],
            None if row["phase"] is None else Phase(row["phase"]),
            _clean({Metric(name): row[name] for name in METRICS}),
            row["code"],
        )
        for row in rows
    )


def _clean(values: Mapping[Metric, float | None]) -> dict[Metric, float]:
    known = {metric: value for metric, value in values.items() if value is not None}
    idle = known.get(Metric.REQUESTS_PER_SEC) == 0
    hidden = (Metric.LATENCY_P95, Metric.ERROR_RATE) if idle else ()
    return {
        metric: value
        for metric, value in known.items()
        if isfinite(value) and value >= 0 and metric not in hidden
    }


async def find_origin(conn: Connection, deployment: Deployment) -> Origin | None:
    """Return who judged a deployment, or None."""
    row = await conn.fetchrow(query("reports.origin"), deployment.id)
    return None if row is None else Origin(row["revision"], row["policy_digest"])
