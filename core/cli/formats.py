"""Answers of any length, row by row: as a table for people, as CSV, JSON or Parquet for others.

| | null | NaN, infinity | moments | arrays, jsonb |
| table | empty | NaN, Infinity | 2026-01-02 03:04:05+00:00 | JSON |
| csv | empty; an empty text is "" | the same | the same | JSON |
| json | null | "NaN", "Infinity" | 2026-01-02T03:04:05Z | themselves |
| parquet | null | themselves | microseconds, UTC | lists; jsonb is text |
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, TextIO, TypeAlias
from uuid import UUID

import polars as pl
from asyncpg import Range, Record
from pydantic_core import from_json, to_json
from rich.cells import cell_len

from core.cli.results import open_results
from core.database import Connection

Rows: TypeAlias = Sequence[Sequence[Any]] | Sequence[Record]
Write: TypeAlias = Callable[[Rows], None]


class Format(StrEnum):
    """How an answer is written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of an answer, with the name of its type as the server says it."""

    name: str
    type: str

    @property
    def is_number(self) -> bool:
        """Whether it is one to calculate with."""
        return self.type in ("int2", "int4", "int8", "float4", "float8", "numeric")


NUMBERS: Final = {
    "bool": pl.Boolean(),
    "int2": pl.Int16(),
    "int4": pl.Int32(),
    "int8": pl.Int64(),
    "float4": pl.Float32(),
    "float8": pl.Float64(),
    "numeric": pl.Float64(),
    "date": pl.Date(),
    "timestamptz": pl.Datetime("us", "UTC"),
    "timestamp": pl.Datetime("us"),
}
"""Types of Parquet; what is not here is text."""
AS_TEXT: Final = (
    "interval", "time", "timetz", "bytea", "inet", "cidr", "macaddr", "bit", "varbit", "money",
    "point", "box", "line", "lseg", "path", "polygon", "circle", "tid", "xid", "xml", "tsvector",
)  # fmt: skip
ENDLESS: Final = {date.max: "infinity", date.min: "-infinity"}


async def take_texts(conn: Connection) -> None:
    """Let the server write what Python has no exact value for: an interval of months, say."""
    for name in AS_TEXT:
        await conn.set_type_codec(name, schema="pg_catalog", encoder=str, decoder=str)
    await conn.set_type_codec("json", schema="pg_catalog", encoder=str, decoder=from_json)


@contextmanager
def open_format(form: Format, columns: Sequence[Column], out: Path | None) -> Iterator[Write]:
    """Yield a function that takes the next rows.

    A file appears under its name when the block has ended without an error.
    """
    if form is Format.PARQUET:
        with open_results(out) as write:
            write(_frame(columns, []))
            yield lambda rows: write(_frame(columns, rows))
        return
    make = {Format.TABLE: _table, Format.CSV: _csv, Format.JSON: _json}[form]
    if out is None:
        with make(columns, sys.stdout) as write_rows:
            yield write_rows
        return
    draft = out.with_name(f".{out.name}.part")
    try:
        with draft.open("w") as file, make(columns, file) as write_rows:
            yield write_rows
        draft.replace(out)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def _table(columns: Sequence[Column], file: TextIO) -> Iterator[Write]:
    """Columns are as wide as the first rows want them; later ones may stick out."""
    widths: list[int] = []

    def write(rows: Rows) -> None:
        cells = [[_flat(_text(value)) for value in row] for row in rows]
        if not widths:
            names = [each.name for each in columns]
            widths.extend(max(map(cell_len, column)) for column in zip(names, *cells, strict=True))
            file.write(_line(names, columns, widths))
            file.write("-+-".join("-" * width for width in widths) + "\n")
        file.writelines(_line(row, columns, widths) for row in cells)

    yield write
    if not widths:
        write([])


def _line(cells: Sequence[str], columns: Sequence[Column], widths: Sequence[int]) -> str:
    padded = []
    for cell, column, width in zip(cells, columns, widths, strict=True):
        room = " " * max(0, width - cell_len(cell))
        padded.append(room + cell if column.is_number else cell + room)
    return " | ".join(padded).rstrip() + "\n"


def _flat(text: str) -> str:
    """Return a text that stays in its line and does nothing to a terminal."""
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


@contextmanager
def _csv(columns: Sequence[Column], file: TextIO) -> Iterator[Write]:
    """Rows end in a line feed; a null is nothing, an empty text is two quotes."""
    file.write(",".join(_quote(each.name) for each in columns) + "\n")

    def write(rows: Rows) -> None:
        for row in rows:
            cells = ("" if value is None else _quote(_text(value)) for value in row)
            file.write(",".join(cells) + "\n")

    yield write


def _quote(text: str) -> str:
    if text and not any(each in text for each in ',"\r\n'):
        return text
    return '"{}"'.format(text.replace('"', '""'))


@contextmanager
def _json(columns: Sequence[Column], file: TextIO) -> Iterator[Write]:
    """One array of objects, an object per line; of columns of one name the last counts."""
    names = [each.name for each in columns]
    between = "[\n"

    def write(rows: Rows) -> None:
        nonlocal between
        for row in rows:
            values = {name: _plain(value) for name, value in zip(names, row, strict=True)}
            file.write(between + to_json(values, inf_nan_mode="strings").decode())
            between = ",\n"

    yield write
    file.write("[]\n" if between == "[\n" else "\n]\n")


def _text(value: Any) -> str:  # noqa: ANN401 - whatever a query gives
    """Return a value as one text."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float():
            return repr(value) if math.isfinite(value) else _number(value)
        case datetime() if value.date() in ENDLESS:
            return ENDLESS[value.date()]
        case date() if value in ENDLESS:
            return ENDLESS[value]
        case datetime():
            return value.isoformat(" ")
        case str() | int() | date() | UUID() | Decimal():
            return str(value)
        case Range():
            return _range(value)
    return to_json(_plain(value), inf_nan_mode="strings").decode()


def _range(value: Range[Any]) -> str:
    """Return a range as the server writes it."""
    if value.isempty:
        return "empty"
    ends = ",".join("" if each is None else _text(each) for each in (value.lower, value.upper))
    return f"{'[' if value.lower_inc else '('}{ends}{']' if value.upper_inc else ')'}"


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever a query gives
    """Return a value as JSON can say it."""
    match value:
        case Decimal():
            if not value.is_finite():
                return _number(float(value))
            return int(value) if value == value.to_integral_value() else float(value)
        case datetime() if value.date() in ENDLESS:
            return ENDLESS[value.date()]
        case date() if value in ENDLESS:
            return ENDLESS[value]
        case list() | tuple():
            return [_plain(each) for each in value]
        case dict():
            return {name: _plain(each) for name, each in value.items()}
        case None | bool() | int() | float() | str() | date() | UUID():
            return value
        case Range():
            return _range(value)
    return str(value)


def _number(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _frame(columns: Sequence[Column], rows: Rows) -> pl.DataFrame:
    names = _distinct([each.name for each in columns])
    return pl.DataFrame(
        [
            _series(name, column, [row[place] for row in rows])
            for place, (name, column) in enumerate(zip(names, columns, strict=True))
        ]
    )


def _distinct(names: Sequence[str]) -> list[str]:
    """Return names of which each is there once."""
    found: list[str] = []
    for name in names:
        number = 1
        while (f"{name}_{number}" if number > 1 else name) in found:
            number += 1
        found.append(f"{name}_{number}" if number > 1 else name)
    return found


def _series(name: str, column: Column, values: list[Any]) -> pl.Series:
    dtype = NUMBERS.get(column.type)
    inner = column.type.removesuffix("[]").removeprefix("_")
    if dtype is not None:
        if column.type == "numeric":
            values = [None if each is None else float(each) for each in values]
        return pl.Series(name, values, dtype, strict=False)
    if inner != column.type:
        kind = NUMBERS.get(inner, pl.String())
        cells = [None if each is None else _items(each, kind) for each in values]
        return pl.Series(name, cells, pl.List(kind), strict=False)
    texts = [None if each is None else _text(each) for each in values]
    return pl.Series(name, texts, pl.String())


def _items(values: Sequence[Any], kind: pl.DataType) -> list[Any]:
    if isinstance(kind, pl.String):
        return [None if each is None else _text(each) for each in values]
    return [float(each) if isinstance(each, Decimal) else each for each in values]
