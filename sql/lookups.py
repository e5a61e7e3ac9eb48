"""Verdicts as the API answers them: one round trip, and JSON that nobody has to put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final
from uuid import UUID

from core.database import Connection
from core.types import DeploymentState
from sql.texts import query

CHANNEL: Final = "seqpulse_verdicts"
"""Where each verdict is told as it is committed, by the id of its deployment."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A verdict with everything it rests on.

    Attributes:
        revision: Which one of its deployment.
        body: JSON, see `api.schemas.VerdictAnswer`.
    """

    revision: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Lookup:
    """What was found of a key and a deployment; nothing of it is for who cannot prove the key.

    Attributes:
        digest: Of the key's secret.
        project_id: Whose key it is.
        state: Of the deployment; None: the project has none with this id.
        slot_seconds: Distance of its post slots; None: it is not finished.
        answer: Its verdict; None: there is none yet.
    """

    digest: bytes
    project_id: UUID
    state: DeploymentState | None
    slot_seconds: float | None
    answer: Answer | None


async def find(conn: Connection, asked: Sequence[tuple[str, UUID]]) -> list[Lookup | None]:
    """Return what there is to say to each who has a key, None if there is no live key with this id.

    It is not said to anybody before the secret was compared with `Lookup.digest`.

    Args:
        conn: Connection.
        asked: Ids of a key and of a deployment.
    """
    key_ids, deployment_ids = zip(*asked, strict=True)
    rows = await conn.fetch(_text("asked"), key_ids, deployment_ids)
    return [None if row[0] is None else _lookup(*row) for row in rows]


async def find_answers(conn: Connection, ids: Sequence[UUID]) -> dict[UUID, Answer]:
    """Return the verdicts of those deployments that have one."""
    rows = await conn.fetch(_text("verdicts"), ids)
    return {row[0]: Answer(row[1], _encode(row[2])) for row in rows}


def _lookup(
    digest: bytes,
    project_id: UUID,
    state: str | None,
    slot_seconds: float | None,
    revision: int | None,
    answer: str,
) -> Lookup:
    return Lookup(
        digest,
        project_id,
        None if state is None else DeploymentState(state),
        slot_seconds,
        None if revision is None else Answer(revision, _encode(answer)),
    )


@cache
def _text(name: str) -> str:
    return query(f"lookups.{name}").format(answer=query("lookups.answer"))


def _encode(text: str) -> bytes:
    """Return JSON in which what is not finite is null; the server makes a text of it."""
    if 'Infinity"' in text or '"NaN"' in text:
        for odd in ('"Infinity"', '"-Infinity"', '"NaN"'):
            text = text.replace(odd, "null")
    return text.encode()
