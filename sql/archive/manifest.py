"""The manifest: which files belong to the archive, one JSON object a line.

A file counts from the moment its line is in the manifest, which is replaced as a whole. What lies
in the folders without a line is a remnant of a run that was interrupted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Final, Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from core.errors import ArchiveError
from sql.archive.layout import FOLDERS, TABLES, VERSION, Table
from sql.archive.store import Store

MANIFEST: Final = "_manifest.jsonl"
CHUNK: Final = r"[A-Za-z0-9_]{1,63}"
PATH: Final = rf"^({'|'.join(FOLDERS)})/day=\d{{4}}-\d\d-\d\d/part-{CHUNK}-\d+\.parquet$"


class Part(BaseModel):
    """A file of the archive: a line of the manifest.

    Attributes:
        version: Of the schema of the file.
        path: Below the folder of the archive.
        rows: At least one, all of one day (UTC).
        min_slot_at, max_slot_at: The first and the last slot.
        bytes: Size of the file.
        sha256: Of the file, hexadecimal.
        chunk: The piece of the hypertable the rows were in.
        database: The database they come from (`archive_identity`).
    """

    model_config = ConfigDict(frozen=True)

    version: Annotated[int, Field(ge=1)]
    path: Annotated[str, Field(pattern=PATH)]
    rows: Annotated[int, Field(ge=1)]
    min_slot_at: AwareDatetime
    max_slot_at: AwareDatetime
    bytes: Annotated[int, Field(ge=1)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    chunk: Annotated[str, Field(pattern=f"^{CHUNK}$")]
    database: UUID
    archived_at: AwareDatetime

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.version > VERSION:
            raise ValueError("was written by a newer version of seqpulse-server")
        ends = {at.astimezone(UTC).date() for at in (self.min_slot_at, self.max_slot_at)}
        if ends != {self.day} or self.min_slot_at > self.max_slot_at:
            raise ValueError("min_slot_at and max_slot_at do not fit the day of the path")
        return self

    @property
    def table(self) -> Table:
        """The table it belongs to."""
        return FOLDERS[self.path.partition("/")[0]]

    @property
    def day(self) -> date:
        """The day of its rows, UTC."""
        return date.fromisoformat(self.path.split("/")[1].removeprefix("day="))

    @property
    def number(self) -> int:
        """Its number among the parts of its chunk and day."""
        return int(self.path.removesuffix(".parquet").rpartition("-")[2])

    def touches(self, since: datetime, until: datetime) -> bool:
        """Say whether it may have rows of `since` <= slot_at < `until`."""
        return self.min_slot_at < until and self.max_slot_at >= since


def load(store: Store) -> list[Part]:
    """Return the files of an archive in the order they were added.

    Raises:
        ArchiveError: There is no archive, or its manifest cannot be read.
    """
    return parse(read(store))


def read(store: Store) -> bytes:
    """Return the manifest as it is stored.

    Raises:
        ArchiveError: There is no archive.
    """
    content = store.read(MANIFEST)
    if content is None:
        raise ArchiveError(f"there is no archive in {store}: it has no {MANIFEST}")
    return content


def parse(content: bytes) -> list[Part]:
    """Return the files a manifest names.

    Raises:
        ArchiveError: A line cannot be used.
    """
    return [_parse(line, number) for line, number in _lines(content)]


def salvage(content: bytes) -> tuple[list[Part], list[str]]:
    """Return the files of the lines that can be used, and what is wrong with the others."""
    parts, faults = [], []
    for line, number in _lines(content):
        try:
            parts.append(_parse(line, number))
        except ArchiveError as error:
            faults.append(str(error))
    return parts, faults


def create(store: Store) -> None:
    """Begin an archive unless there is one.

    Raises:
        ArchiveError: Nothing can be written there, or there are files of an archive whose
            manifest was lost.
    """
    if store.read(MANIFEST) is not None:
        return
    for table in TABLES:
        if any(re.match(PATH, path) for path in store.find(table.folder)):
            raise ArchiveError(
                f"{store} has files of an archive, but no {MANIFEST}: bring that back, or make "
                "it anew with `seqpulse archive rebuild`"
            )
    store.write(MANIFEST, b"")


def add(store: Store, parts: Sequence[Part]) -> None:
    """Make files part of the archive, all at once."""
    replace(store, [*load(store), *parts])


def replace(store: Store, parts: Iterable[Part]) -> None:
    """Make these files the archive, all at once."""
    store.write(MANIFEST, _format(parts))


def select(
    parts: Iterable[Part], table: Table, since: datetime | None, until: datetime | None
) -> list[Part]:
    """Return the parts of a table that may have rows of `since` <= slot_at < `until`."""
    first = since or datetime.min.replace(tzinfo=UTC)
    after = until or datetime.max.replace(tzinfo=UTC)
    return [part for part in parts if part.table is table and part.touches(first, after)]


def describe(error: ValidationError) -> str:
    """Return the first thing that is wrong with a line."""
    first = error.errors(include_input=False, include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where} {first['msg']}".strip()


def _lines(content: bytes) -> Iterator[tuple[str, int]]:
    lines = content.decode("utf-8", "replace").splitlines()
    return ((line, number) for number, line in enumerate(lines, 1) if line.strip())


def _format(parts: Iterable[Part]) -> bytes:
    return "".join(f"{part.model_dump_json()}\n" for part in parts).encode()


def _parse(line: str, number: int) -> Part:
    try:
        return Part.model_validate_json(line)
    except ValidationError as error:
        reason = describe(error)
        raise ArchiveError(f"line {number} of {MANIFEST} cannot be used: {reason}") from None
