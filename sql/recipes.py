"""Recipes: queries with a head that says what they ask, and places for values.

A recipe is a file of `adhoc/`. Its head is a comment: the question and how to read the answer, then
`-- Values: days = 30, project =` (with what counts when none is given; nothing: it must be), and
`-- Gives: ` the columns. A place for a value is written as psql writes it, `:'days'`, and cast to
its type where it stands: `:'days'::integer`. So the same file runs with `psql -v days=30 -f`.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.errors import InvalidInputError, NotFoundError
from sql.texts import FOLDER

ADHOC: Final = FOLDER / "adhoc"
_TOKEN: Final = re.compile(
    r"""--[^\n]* | /\*.*?\*/ | [eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | "(?:[^"]|"")*"
      | \$(?P<tag>[A-Za-z_]\w*)?\$.*?\$(?P=tag)?\$ | ::
      | :'(?P<name>[A-Za-z_]\w*)'""",
    re.VERBOSE | re.DOTALL,
)
"""What may hold a colon and a quote, and the places for values."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """A query that answers a question.

    Attributes:
        name: Of its file, without `.sql`.
        text: All of it.
        question: The first sentence of its head.
        head: All that its head says, one line per line.
        values: Names of the values it takes, with what counts if none is given (None: it must be).
        gives: Names of its columns.
    """

    name: str
    text: str
    question: str
    head: str
    values: Mapping[str, str | None]
    gives: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Bound:
    """A query as the server takes it.

    Attributes:
        text: With `$1` and so on.
        arguments: Their values; the casts in the text say what they are.
        shifts: Where, counted in characters, the text differs, and where that was before.
    """

    text: str
    arguments: tuple[str, ...]
    shifts: tuple[tuple[int, int], ...]

    def origin(self, position: int) -> int:
        """Return where in the text as it was written the server's (1-based) position is."""
        new, old = self.shifts[bisect_right(self.shifts, (position - 1, len(self.text) * 9)) - 1]
        return position - 1 - new + old + 1


def shipped() -> list[Recipe]:
    """Return all recipes by name."""
    return [read(path) for path in sorted(ADHOC.glob("*.sql"))]


def find(name: str) -> Recipe:
    """Return the recipe of this name.

    Raises:
        NotFoundError: There is none.
    """
    for path in ADHOC.glob("*.sql"):
        if path.stem == name:
            return read(path)
    raise NotFoundError(f"no recipe and no file is called {name}; see `seqpulse sql --list`")


def read(path: Path) -> Recipe:
    """Return the recipe in a file; without a head it has no question and gives what it gives.

    Raises:
        InvalidInputError: It cannot be read as text.
    """
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise InvalidInputError(f"{path}: {reason}") from None
    lines = [line[2:].strip() for line in _head(text)]
    said = {key: line.removeprefix(f"{key}:").strip() for key in ("Values", "Gives")
            for line in lines if line.startswith(f"{key}:")}  # fmt: skip
    prose = [line for line in lines if not line.startswith(("Values:", "Gives:"))]
    question = re.match(r"[^?.]*[?.]?", " ".join(prose))
    return Recipe(
        name=path.stem,
        text=text,
        question="" if question is None else question[0],
        head="\n".join(prose),
        values=_values(said.get("Values", "")),
        gives=tuple(said["Gives"].split(", ")) if "Gives" in said else (),
    )


def _head(text: str) -> list[str]:
    lines = text.splitlines()
    end = next((at for at, line in enumerate(lines) if not line.startswith("--")), len(lines))
    return lines[:end]


def _values(said: str) -> dict[str, str | None]:
    pairs = (each.partition("=") for each in said.split(", ") if each.strip())
    return {name.strip(): value.strip() or None for name, _, value in pairs}


def bind(text: str, known: Mapping[str, str | None], given: Mapping[str, str]) -> Bound:
    """Put values in their places; they travel beside the text, so nothing in them is SQL.

    Args:
        text: With places like `:'name'`.
        known: What counts if no value is given.
        given: Values by name.

    Raises:
        InvalidInputError: A place has no value, or a value has no place.
    """
    parts: list[str] = []
    shifts = [(0, 0)]
    order: dict[str, int] = {}
    end = length = 0
    for token in _TOKEN.finditer(text):
        name = token["name"]
        if name is None:
            continue
        place = f"${order.setdefault(name, len(order) + 1)}::text"
        parts += (text[end : token.start()], place)
        length += token.start() - end + len(place)
        end = token.end()
        shifts.append((length, end))
    if unknown := given.keys() - order.keys():
        raise InvalidInputError(f"--param: the query has no place :'{min(unknown)}'")
    values = {**{name: value for name, value in known.items() if value is not None}, **given}
    if missing := [name for name in order if name not in values]:
        raise InvalidInputError(f"--param: give a value, {missing[0]}=…")
    arguments = tuple(values[name] for name in order)
    return Bound("".join([*parts, text[end:]]), arguments, tuple(shifts))
