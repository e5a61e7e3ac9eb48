"""A database as one file and back, with the programs of PostgreSQL.

A restore is all or nothing, into a database that is empty: it replaces nothing. TimescaleDB must be
told before and after, and the sessions between must be fresh ones, so each step connects anew.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from core.database import connect
from core.errors import ConflictError, DatabaseError, EmbeddedError, InvalidInputError
from sql import edition, migrate
from sql.embedded.install import find_installation, program
from sql.embedded.keeper import ENVIRONMENT
from sql.embedded.process import run
from sql.embedded.psql import connect_with
from sql.texts import query


@dataclass(frozen=True, slots=True)
class Programs:
    """Where pg_dump and pg_restore are: those of the private database, or those of the machine."""

    root: Path | None

    def run(self, name: str, url: str, *arguments: str) -> str:
        """Run one of them on a database; the password goes by the environment.

        Raises:
            DatabaseError: It is not there, or failed; the text quotes its complaint.
        """
        found = str(program(self.root, name)) if self.root else shutil.which(name)
        if found is None:
            raise DatabaseError(f"no {name} on this machine: install a PostgreSQL client")
        database, password = connect_with(url)
        environment = {**(ENVIRONMENT if self.root else os.environ), **password}
        try:
            return run(found, database, *arguments, environment=environment)
        except EmbeddedError as error:
            raise DatabaseError(str(error)) from None


def find_programs(cache_dir: Path) -> Programs:
    """Return the programs of the private installation, or else those of the machine."""
    return Programs(find_installation(cache_dir))


def dump(url: str, programs: Programs, file: Path) -> int:
    """Write a database into a file that only we can read; return its size in bytes.

    It holds what was committed when it began; whoever works with the database goes on.

    Raises:
        ConflictError: There is such a file.
        DatabaseError: It cannot be done.
    """
    if file.exists():
        raise ConflictError(f"{file} exists already: a dump replaces nothing")
    draft = file.with_name(f".{file.name}.part")
    try:
        options = ("--format=custom", "--no-unlogged-table-data", f"--file={draft.absolute()}")
        programs.run("pg_dump", url, *options)
        with draft.open("rb") as written:
            os.fsync(written.fileno())
        draft.rename(file)
    except OSError as error:
        raise DatabaseError(f"cannot write {file}: {error.strerror}") from None
    finally:
        draft.unlink(missing_ok=True)
    return file.stat().st_size


async def restore(url: str, programs: Programs, file: Path) -> None:
    """Fill an empty database with what a file of `dump` holds, or leave it empty.

    Who owns what and who may do what is not taken over: everything is ours then, and
    what nobody else may call stays so.

    Raises:
        InvalidInputError: There is no such file.
        ConflictError: The database is not empty.
        DatabaseError: It cannot be done, or this server cannot work with what came.
    """
    source = await asyncio.to_thread(_locate, file)
    conn = await connect(url)
    try:
        if not await conn.fetchval(query("backup.is_empty")):
            raise ConflictError("the database is not empty: a restore replaces nothing")
        await migrate.ensure_extension(conn)
    finally:
        await conn.close()
    await _run_alone(url, "backup.begin")
    try:
        options = ("--single-transaction", "--no-owner", "--no-privileges", "--format=custom")
        await asyncio.to_thread(programs.run, "pg_restore", url, *options, source)
    finally:
        await _run_alone(url, "backup.end")
    await _run_alone(url, "backup.close")
    await _run_alone(url, "backup.analyze")
    conn = await connect(url)
    try:
        await edition.find(conn)
    finally:
        await conn.close()


def _locate(file: Path) -> str:
    if not file.is_file():
        raise InvalidInputError(f"there is no file {file}")
    return str(file.absolute())


async def _run_alone(url: str, name: str) -> None:
    """Run a statement in a session of its own, however long it takes."""
    conn = await connect(url, command_timeout=None)
    try:
        await conn.execute(query(name))
    except asyncpg.PostgresError as error:
        raise DatabaseError(f"the server refused ({name}): {error}") from None
    finally:
        await conn.close()
