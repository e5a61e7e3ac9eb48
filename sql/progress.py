"""How far deployments are: their states, the slots that are settled, their verdicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from core.database import Connection
from core.types import DeploymentState, Verdict
from sql.texts import query


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a deployment is.

    Attributes:
        state: Its state.
        slots: The settled ones, 0 for `pre` and from 1 on the post window, with the code of why
            they were missed; None: they were collected.
        revision: Of the newest verdict, 0 without one; then the rest of it is None.
    """

    state: DeploymentState
    slots: Mapping[int, str | None]
    revision: int = 0
    verdict: Verdict | None = None
    conclusive: bool | None = None
    reason_code: str | None = None


async def look(conn: Connection, ids: Sequence[UUID]) -> dict[UUID, Progress]:
    """Return how far deployments are; those that are gone are left out."""
    return {
        row["id"]: Progress(
            state=DeploymentState(row["state"]),
            slots=dict(zip(row["slots"] or (), row["codes"] or (), strict=True)),
            revision=row["revision"] or 0,
            verdict=None if row["verdict"] is None else Verdict(row["verdict"]),
            conclusive=row["conclusive"],
            reason_code=row["reason_code"],
        )
        for row in await conn.fetch(query("progress.look"), ids)
    }
