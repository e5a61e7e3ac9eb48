"""Finds SQL texts: `query("jobs.claim")` is the section `-- name: claim` of queries/jobs.sql."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent
_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


@cache
def _sections(file: str) -> dict[str, str]:
    parts = _NAME.split((FOLDER / "queries" / f"{file}.sql").read_text())
    return dict(zip(parts[1::2], (text.strip() for text in parts[2::2]), strict=True))


def query(name: str) -> str:
    """Return the text of a named query.

    Args:
        name: `file.section`.

    Raises:
        KeyError: There is no such section.
    """
    file, section = name.split(".")
    return _sections(file)[section]
