"""Answers to calls with an Idempotency-Key, kept in the transaction of what the call did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from pydantic_core import from_json, to_json

from core.database import Connection
from core.secrets import Vault
from sql import locks
from sql.texts import query


@dataclass(frozen=True, slots=True)
class Call:
    """A call that may be repeated.

    Attributes:
        project_id: Who calls; None: the operator.
        route: Method and template of the path.
        key: The Idempotency-Key.
        digest: Of everything else that decides what the call does.
    """

    project_id: UUID | None
    route: str
    key: str
    digest: bytes


class Answer(NamedTuple):
    """What was answered."""

    status: int
    headers: list[tuple[str, str]]
    body: str


class Kept(NamedTuple):
    """An answer that is kept, and whether it answers this very call, not another with its key."""

    answer: Answer
    is_of_call: bool


async def try_lock(conn: Connection, call: Call) -> bool:
    """Keep others with this key out until the transaction ends; False: somebody is at it.

    Two keys may share a lock: then the second is told to come back, too.
    """
    locked: bool = await conn.fetchval(
        query("kept_answers.lock"), locks.ANSWER, call.project_id, call.route, call.key
    )
    return locked


async def find(conn: Connection, vault: Vault, call: Call) -> Kept | None:
    """Return what is kept under the key of a call; what is older than a day is not."""
    place = call.project_id, call.route, call.key
    await conn.execute(query("kept_answers.forget_expired"), *place)
    row = await conn.fetchrow(query("kept_answers.find"), *place)
    if row is None:
        return None
    stored: dict[str, Any] = from_json(vault.decrypt(row["answer_encrypted"]))
    return Kept(Answer(**stored), row["request_digest"] == call.digest)


async def keep(conn: Connection, vault: Vault, call: Call, answer: Answer) -> None:
    """Keep the answer to a call; the unique key lets only one of two do it."""
    stored = vault.encrypt(to_json(answer._asdict()).decode())
    await conn.execute(
        query("kept_answers.insert"), call.project_id, call.route, call.key, call.digest, stored
    )


async def delete_expired(conn: Connection) -> None:
    """Forget what is older than a day."""
    await conn.execute(query("kept_answers.delete_expired"))
