"""What a migration would lock, read off its text: who waits while it runs.

An upper bound of what PostgreSQL takes (a test compares the two for every migration there is).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import Final

from sql.migrate import Migration


class Wait(IntEnum):
    """Who waits for a table while a migration holds its lock, from harmless to hard."""

    NOBODY = 0
    WRITERS = 1
    EVERYBODY = 2


SAYS: Final = {
    Wait.WRITERS: "who writes waits",
    Wait.EVERYBODY: "who reads or writes waits",
}

_NAME: Final = r"(?:IF (?:NOT )?EXISTS )?(?:ONLY )?([a-z_][\w.]*)"
_PATTERNS: Final = tuple(
    (re.compile(pattern.replace("NAME", _NAME)), wait)
    for pattern, wait in (
        (r"\bALTER (?:TABLE|VIEW) NAME", Wait.EVERYBODY),
        (r"\bDROP (?:TABLE|VIEW|INDEX) NAME", Wait.EVERYBODY),
        (r"\bCREATE OR REPLACE VIEW NAME", Wait.EVERYBODY),
        (r"\bTRUNCATE (?:TABLE )?NAME", Wait.EVERYBODY),
        (r"\bLOCK TABLE NAME", Wait.EVERYBODY),
        (r"\bcreate_hypertable\('NAME'", Wait.EVERYBODY),
        (r"\bCREATE (?:UNIQUE )?INDEX (?!CONCURRENTLY)(?:IF NOT EXISTS )?\w+ ON NAME",
         Wait.WRITERS),
        (r"\bREFERENCES NAME", Wait.WRITERS),
        (r"\bCREATE TRIGGER \w+ .*? ON NAME", Wait.WRITERS),
    )
)  # fmt: skip
_MADE: Final = re.compile(r"\bCREATE (?:UNLOGGED |TEMPORARY )?(?:TABLE|VIEW) " + _NAME)


def read_waits(text: str) -> dict[str, Wait]:
    """Return for which tables and views that are there before somebody would wait.

    Args:
        text: Of a migration.
    """
    text = re.sub(r"--.*", "", text)
    text = " ".join(text.split())
    made = set(_MADE.findall(text))
    waits: dict[str, Wait] = {}
    for pattern, wait in _PATTERNS:
        for name in pattern.findall(text):
            waits[name] = max(wait, waits.get(name, Wait.NOBODY))
    return {name: wait for name, wait in waits.items() if name not in made or _was(text, name)}


def _was(text: str, name: str) -> bool:
    """Whether the text drops something before it makes it anew."""
    return bool(re.search(rf"\bDROP (?:TABLE|VIEW) (?:IF EXISTS )?{re.escape(name)}\b", text))


def describe(migrations: Iterable[Migration]) -> list[str]:
    """Return lines that tell what would run, why, and who would wait for what."""
    return [line for migration in migrations for line in _describe(migration)]


def _describe(migration: Migration) -> Iterator[str]:
    way = "in one transaction" if migration.in_transaction else "piece by piece"
    yield f"{migration.version:04d}_{migration.name}, {way}: {_purpose(migration.text)}"
    waits = read_waits(migration.text)
    for name, wait in sorted(waits.items()):
        yield f"    {name}: {SAYS[wait]}"
    if not waits:
        yield "    nobody waits"


def _purpose(text: str) -> str:
    """Return the comment a migration begins with, as one line."""
    words = []
    for line in text.splitlines():
        if line.startswith("-- migrate:"):
            continue
        if not line.startswith("--"):
            break
        words.append(line.removeprefix("--").strip())
    return " ".join(words)
