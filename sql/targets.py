"""Targets: where a project is read in each of its environments, and how that goes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from core.codes import SourceKind
from core.database import Connection
from core.errors import InvalidInputError, NotFoundError
from core.secrets import Vault
from core.types import ENV_PATTERN, PLANS, CollectCode, Target
from sql.texts import query


@dataclass(frozen=True, slots=True)
class Configured:
    """What may be shown of a target.

    Attributes:
        has_header: Whether reads carry a header that proves who we are.
        failures: Slots missed in a row.
        last_code: Why the last of them was missed.
        rests_seconds: Time until its continuous baseline is read again; None or 0: it is read.
    """

    env: str
    endpoint: str
    source: SourceKind
    has_header: bool
    failures: int
    last_code: CollectCode | None
    rests_seconds: float | None


async def put(conn: Connection, project_id: UUID, env: str, endpoint: str) -> None:
    """Make `endpoint` the target of a project in an environment.

    It is ignored where the operator has configured another source, or a credential that must not
    be sent elsewhere.

    Raises:
        InvalidInputError: That is no name of an environment.
    """
    _check_env(env)
    await conn.execute(query("targets.put"), project_id, env, endpoint)


async def configure(
    conn: Connection,
    vault: Vault,
    project_id: UUID,
    env: str,
    endpoint: str,
    *,
    queries: Mapping[str, str] | None = None,
    header: tuple[str, str] | None = None,
) -> None:
    """Set a target anew, with everything that belongs to it.

    Args:
        conn: Connection.
        vault: Encrypts the header.
        project_id: An existing project.
        env: Environment.
        endpoint: Of an SDK, or the base URL of a Prometheus.
        queries: One PromQL expression per metric makes it a Prometheus; None: an SDK.
        header: Name and value of a header to send.

    Raises:
        InvalidInputError: That is no name of an environment.
    """
    _check_env(env)
    source = SourceKind.SEQPULSE if queries is None else SourceKind.PROMETHEUS
    stored = None if header is None else vault.encrypt(": ".join(header))
    await conn.execute(
        query("targets.configure"), project_id, env, endpoint, source, queries, stored
    )


async def find_source(conn: Connection, project_id: UUID, env: str) -> SourceKind | None:
    """Return how a target is read, or None if there is none yet."""
    found = await conn.fetchval(query("targets.source"), project_id, env)
    return None if found is None else SourceKind(found)


async def list_of(conn: Connection, project_id: UUID) -> list[Configured]:
    """Return the targets of a project by environment."""
    rows = await conn.fetch(query("targets.list"), project_id)
    return [
        Configured(
            env=row["env"],
            endpoint=row["endpoint"],
            source=SourceKind(row["source"]),
            has_header=row["has_header"],
            failures=row["failures"],
            last_code=CollectCode(row["last_code"]) if row["last_code"] else None,
            rests_seconds=row["rests_seconds"],
        )
        for row in rows
    ]


async def load(conn: Connection, vault: Vault, project_id: UUID, env: str) -> Target:
    """Return what it takes to read a target, its secrets included.

    Raises:
        NotFoundError: The project or the target is gone.
        SecretError: A stored secret was encrypted with another key.
    """
    row = await conn.fetchrow(query("targets.load"), project_id, env)
    if row is None:
        raise NotFoundError(f"no target of project {project_id} in {env}")
    secret, header = row["hmac_secret_encrypted"], row["header_encrypted"]
    return Target(
        project_id=project_id,
        env=env,
        endpoint=row["endpoint"],
        plan=PLANS[row["plan"]],
        hmac_secret=None if secret is None else vault.decrypt(secret),
        source=SourceKind(row["source"]),
        queries=row["queries"] or {},
        header=None if header is None else _split(vault.decrypt(header)),
        failures=row["failures"],
        rests=row["rests"],
    )


async def note_success(conn: Connection, project_id: UUID, env: str) -> None:
    """Forget the failures of a target that was read."""
    await conn.execute(query("targets.note_success"), project_id, env)


async def note_failure(
    conn: Connection, project_id: UUID, env: str, code: CollectCode, rest_seconds: float
) -> None:
    """Count a slot that a target made us miss, and let its baseline rest so long."""
    await conn.execute(query("targets.note_failure"), project_id, env, code, rest_seconds)


def _split(header: str) -> tuple[str, str]:
    name, _, value = header.partition(": ")
    return name, value


def _check_env(env: str) -> None:
    if not re.fullmatch(ENV_PATTERN, env):
        raise InvalidInputError("env: must be letters, digits and . _ / - and at most 64 of them")
