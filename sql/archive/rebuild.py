"""A manifest that was lost or damaged, made anew from the files themselves.

What the manifest still says stays as it is: a file that is not what it was is still found damaged.
Files without a line get one if they are sound in themselves; more nobody knows of them.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg
import polars as pl
from pydantic import ValidationError

from core.database import Connection
from core.errors import ArchiveError
from sql.archive import manifest
from sql.archive.layout import FOLDERS, KEY, TABLES, VERSION
from sql.archive.manifest import MANIFEST, PATH, Part
from sql.archive.store import Store
from sql.archive.turn import alone
from sql.archive.verify import read_part
from sql.archive.write import decode
from sql.texts import query

_HYPERTABLE: Final = re.compile(r"_hyper_(\d+)_")


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What became of a manifest.

    Attributes:
        kept: Lines it had, and has.
        added: Files that belong to the archive now.
        faults: What could not be used or is missing, and why.
    """

    kept: int
    added: Sequence[Part]
    faults: Sequence[str]


async def rebuild(conn: Connection, store: Store, now: datetime) -> Rebuilt:
    """Write a manifest of all sound files; nothing is removed.

    A manifest with lines that cannot be used is kept beside it under another name.

    Args:
        conn: Connection to the database the archive belongs to, not in a transaction.
        store: Where the archive lies.
        now: The moment it is.

    Raises:
        ConflictError: Another process changes the archive.
        ArchiveError: It is the archive of another database, or cannot be read or written.
    """
    async with alone(conn):
        database: UUID = await conn.fetchval(query("archive.identity"))
        done = await asyncio.to_thread(_rebuild, store, database, now)
        parts = await asyncio.to_thread(manifest.load, store)
        gaps = _find_gaps(parts, await conn.fetch(query("archive.dropped")))
        return Rebuilt(done.kept, done.added, [*done.faults, *gaps])


def _rebuild(store: Store, database: UUID, now: datetime) -> Rebuilt:
    content = store.read(MANIFEST) or b""
    kept, broken = manifest.salvage(content)
    if any(part.database != database for part in kept):
        raise ArchiveError("this is the archive of another database")
    known = {part.path for part in kept}
    found = (path for table in TABLES for path in store.find(table.folder))
    added: list[Part] = []
    faults = [*broken]
    for path in found:
        if path not in known and re.match(PATH, path):
            try:
                part, rows = _inspect(store, path, database, now)
                _check_slots(store, part, rows, [*kept, *added])
            except ArchiveError as error:
                faults.append(str(error))
            else:
                added.append(part)
    if broken:
        store.write(f"_manifest.{now:%Y%m%dT%H%M%S}.jsonl", content)
    manifest.replace(store, [*kept, *added])
    return Rebuilt(len(kept), added, faults)


def _inspect(store: Store, path: str, database: UUID, now: datetime) -> tuple[Part, pl.DataFrame]:
    """Return the line of a file and its rows."""
    content = store.read(path)
    table = FOLDERS[path.partition("/")[0]]
    if content is None:
        raise ArchiveError(f"{path} is missing")
    told, rows = _decode(path, content)
    if told.get("seqpulse.database", str(database)) != str(database):
        raise ArchiveError(f"{path} is of another database")
    if told.get("seqpulse.table") != table.folder or rows.schema != table.schema:
        raise ArchiveError(f"{path} has other columns than it should")
    if rows.select(KEY).is_duplicated().any():
        raise ArchiveError(f"{path} has a slot twice")
    try:
        part = Part(
            version=int(told.get("seqpulse.version", VERSION)),
            path=path,
            rows=len(rows),
            min_slot_at=rows["slot_at"].min(),
            max_slot_at=rows["slot_at"].max(),
            bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            chunk=path.rpartition("/")[2].removeprefix("part-").rpartition("-")[0],
            database=database,
            archived_at=told.get("seqpulse.archived_at", now),
        )
    except ValidationError as error:
        raise ArchiveError(f"{path} cannot be used: {manifest.describe(error)}") from None
    return part, rows


def _decode(path: str, content: bytes) -> tuple[dict[str, str], pl.DataFrame]:
    try:
        return pl.read_parquet_metadata(io.BytesIO(content)), decode(content)
    except (pl.exceptions.PolarsError, OSError):
        raise ArchiveError(f"{path} is damaged: it cannot be read") from None


def _check_slots(store: Store, part: Part, rows: pl.DataFrame, others: Iterable[Part]) -> None:
    """Make sure that no slot of a file is in another one: none may be there twice."""
    for other in others:
        if other.table is part.table and other.touches(part.min_slot_at, part.max_slot_at):
            try:
                theirs = read_part(store, other)
            except ArchiveError:  # that one is told of by `verify`
                continue
            if common := len(rows.join(theirs, on=KEY, how="semi")):
                raise ArchiveError(f"{part.path} has {common} slots that {other.path} has, too")


def _find_gaps(parts: Sequence[Part], dropped: Iterable[asyncpg.Record]) -> list[str]:
    """Return which chunks had more rows when they were dropped than the archive has of their time.

    That a name of a chunk belongs to a table is told by the files of others; what no file is left
    of cannot be told.
    """
    tables = {match[1]: part.table for part in parts if (match := _HYPERTABLE.search(part.chunk))}
    faults = []
    for chunk, since, until, rows in dropped:
        match = _HYPERTABLE.search(chunk)
        table = tables.get(match[1]) if match else None
        found = sum(
            part.rows for part in parts if part.table is table and part.touches(since, until)
        )
        if table and found < rows:
            faults.append(
                f"{table.folder} of {since:%Y-%m-%d} .. {until:%Y-%m-%d}: {rows} rows were "
                f"archived, {found} are there"
            )
    return faults
