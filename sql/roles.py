"""Roles of a database: processes that own nothing, and readers who see nothing but schema `report`.

A reader is bounded by what it is not granted, not by what its session is set to: a role can change
most settings of its own session, its time limit too. So transactions that last longer than that are
ended from outside (`end_overdue`), and `find_doors` says what a reader could do besides reading.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from core.database import Connection
from core.errors import ConflictError, InvalidInputError
from sql.texts import query

ITERATIONS: Final = 4096
"""Of a password's hash, as PostgreSQL does it by itself."""


@dataclass(frozen=True, slots=True)
class Reader:
    """A role that reads views.

    Attributes:
        name: Of the role.
        seconds: How long a statement, and a transaction, may last.
        connections: How many sessions it may have.
        temp_file_limit: Room on disk that one session may take for sorting and joining.
    """

    name: str
    seconds: float
    connections: int
    temp_file_limit: str

    @property
    def settings(self) -> dict[str, str]:
        """What its sessions start with; all but `temp_file_limit` it can change."""
        limit = f"{self.seconds:.0f}s"
        return {
            "default_transaction_read_only": "on",
            "statement_timeout": limit,
            "lock_timeout": "5s",
            "idle_in_transaction_session_timeout": limit,
            "idle_session_timeout": "1h",
            "temp_file_limit": self.temp_file_limit,
        }


APP: Final = "seqpulse_app"
"""Role of the processes: rows of all tables, and nothing else."""
APP_CONNECTIONS: Final = -1
"""Without a limit: it is for the pools to have one."""
READERS: Final = (
    Reader("seqpulse_grafana", seconds=30, connections=20, temp_file_limit="512MB"),
    Reader("seqpulse_analyst", seconds=300, connections=10, temp_file_limit="2GB"),
)
TEAM: Final = Reader("seqpulse_team_", seconds=60, connections=10, temp_file_limit="512MB")
"""Any role whose name begins so; see `sql.teams`."""
NAMES: Final = (APP, *(reader.name for reader in READERS))


async def write_script(conn: Connection, passwords: Mapping[str, str]) -> list[str]:
    """Return the statements that make the roles or bring them up to date; they can be repeated.

    Args:
        conn: Connection to the database they are for.
        passwords: By role; one without keeps what it has. In the text there is only a verifier.

    Raises:
        ConflictError: The database has no schema yet.
        InvalidInputError: A password has characters beyond printable ASCII, or none.
    """
    place = await _find_place(conn)
    script = _write_role(APP, APP_CONNECTIONS, {}, place, passwords.get(APP))
    if place["owner"] != APP:
        script.append(query("roles.work").format(role=APP, **place))
    for reader in READERS:
        given = passwords.get(reader.name)
        script += _write_role(reader.name, reader.connections, reader.settings, place, given)
        script.append(query("roles.read").format(role=reader.name, **place))
        script += _let_watch(reader.name, place)
    script.append(query("roles.close_public").format(**place))
    script.append(
        query("roles.close_functions").format(
            dangerous=query("roles.dangerous"), workers=f"{APP}, {place['owner']}"
        )
    )
    return script


async def write_team(conn: Connection, role: str, password: str | None) -> list[str]:
    """Return the statements that make the role of a team, for which `seqpulse_app` must be there.

    Raises:
        ConflictError: The database has no schema yet.
        InvalidInputError: The password has characters beyond printable ASCII, or none.
    """
    place = await _find_place(conn)
    script = _write_role(role, TEAM.connections, TEAM.settings, place, password)
    script.append(query("roles.read_as_team").format(role=role, **place))
    return script + _let_watch(role, place)


async def _find_place(conn: Connection) -> dict[str, str]:
    """Return the names of the database and of the owner of its schema, quoted."""
    row = await conn.fetchrow(query("roles.place"))
    if row is None:
        raise ConflictError("the database has no schema yet: run `seqpulse migrate` first")
    return dict(row)


def _write_role(
    role: str,
    connections: int,
    settings: Mapping[str, str],
    place: Mapping[str, str],
    password: str | None,
) -> list[str]:
    """Return the statements that make a role that can log in."""
    script = [
        query("roles.create").format(role=role),
        query("roles.log_in").format(role=role, connections=connections),
        query("roles.connect").format(role=role, **place),
    ]
    script += [
        query("roles.set").format(role=role, name=name, value=value)
        for name, value in settings.items()
    ]
    if password is not None:
        verifier = hide_password(password)
        script.append(query("roles.set_password").format(role=role, verifier=verifier))
    return script


def _let_watch(role: str, place: Mapping[str, str]) -> list[str]:
    """Return the statements that let processes end the sessions of a role."""
    watchers = dict.fromkeys((APP, place["owner"]))
    return [query("roles.watch").format(role=role, watcher=watcher) for watcher in watchers]


async def apply(conn: Connection, script: Sequence[str]) -> None:
    """Run a script of `write_script`, all or nothing.

    Raises:
        InsufficientPrivilegeError: We may not do all of it.
    """
    async with conn.transaction():
        for statement in script:
            await conn.execute(statement)


async def find_doors(conn: Connection) -> list[str]:
    """Return in a line each what readers can do besides reading schema `report`; [] if all is well.

    Readers that do not exist can do nothing.
    """
    text = query("roles.doors").replace("{dangerous}", query("roles.dangerous"))
    names = [reader.name for reader in READERS]
    return [row["door"] for row in await conn.fetch(text, names, f"{TEAM.name}%")]


async def close_job_api(conn: Connection) -> None:
    """Let nobody but its owner make jobs of TimescaleDB, as far as that is ours to say."""
    await conn.execute(query("roles.close_job_api"))


async def end_overdue(conn: Connection, readers: Sequence[Reader] = (*READERS, TEAM)) -> int:
    """End sessions of readers with a transaction that has lasted for too long; return how many.

    Args:
        conn: Of a member of these roles, or there is nothing to be seen.
        readers: Whose, and how long is too long.
    """
    names = [reader.name for reader in readers]
    seconds = [reader.seconds for reader in readers]
    ended: int = await conn.fetchval(query("roles.end_overdue"), names, seconds)
    return ended


def hide_password(password: str) -> str:
    """Return what a server keeps of a password (SCRAM-SHA-256, RFC 5803), and never the password.

    Raises:
        InvalidInputError: It has characters beyond printable ASCII, or none.
    """
    if not password or not all(" " <= character <= "~" for character in password):
        raise InvalidInputError("a password must consist of printable ASCII characters")
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    served = hmac.digest(salted, b"Server Key", "sha256")
    encoded = [base64.b64encode(part).decode() for part in (salt, stored, served)]
    return "SCRAM-SHA-256${}:{}${}:{}".format(ITERATIONS, *encoded)
