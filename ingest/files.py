"""Files of samples, CSV and Parquet, read in pieces so that their size does not matter.

A CSV file is read line by line: a row is a line, so a broken one costs nobody else's. Quotes
around a cell are taken off; a comma or a line break inside one is not what numbers look like.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from core.errors import InvalidInputError
from core.types import EXTRA_PATTERN, MAX_EXTRA, METRICS

BLOCK_BYTES: Final = 4 * 1024 * 1024
SLICE_ROWS: Final = 100_000
MAX_HEADER_BYTES: Final = 64 * 1024
REQUIRED: Final = ("slot_at", *METRICS)
OVERFLOW: Final = "\n"
"""Stands for the cells beyond the last column: no column can be called so."""


@dataclass(frozen=True, slots=True)
class Table:
    """A file of samples.

    Attributes:
        count: Rows of the file, about.
        extra: Columns whose numbers are kept beside the five.
        ignored: Columns nobody will look at.
        frames: The rows in the order of the file, as raw frames for `rows.read_frame`; to be
            gone through once. Raises InvalidInputError where the file cannot be read any further.
    """

    count: int
    extra: list[str]
    ignored: list[str]
    frames: Iterator[pl.DataFrame]


def open_table(path: Path) -> Table:
    """Look at a file, Parquet if it is called so (.parquet, .pq), else CSV.

    Raises:
        InvalidInputError: It cannot be read, or lacks a column.
    """
    try:
        parquet = path.suffix.lower() in (".parquet", ".pq")
        return _open_parquet(path) if parquet else _open_csv(path)
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be read: {error.strerror}") from None


def _open_parquet(path: Path) -> Table:
    """Look at a Parquet file; memory depends on its row groups, not on its length."""
    try:
        table = pl.scan_parquet(path, glob=False, hive_partitioning=False)
        schema = table.collect_schema()
        count: int = table.select(pl.len()).collect().item()
    except pl.exceptions.PolarsError as error:
        raise _unreadable(path, error) from None
    extra = _choose_extra(schema.names(), [name for name in schema if schema[name].is_numeric()])
    _check_types(schema)
    kept = [*REQUIRED, *(["env"] if "env" in schema else []), *extra]

    def read() -> Iterator[pl.DataFrame]:
        for offset in range(0, count, SLICE_ROWS):
            rows = table.select(kept).slice(offset, SLICE_ROWS)
            try:
                yield rows.collect(engine="streaming").with_row_index("line", offset + 1)
            except pl.exceptions.PolarsError as error:
                raise _unreadable(path, error) from None

    return Table(count, extra, _others(schema.names(), kept), read())


def _check_types(schema: pl.Schema) -> None:
    moment = schema["slot_at"]
    if not (isinstance(moment, pl.Datetime) and moment.time_zone) and moment != pl.String:
        raise InvalidInputError(f"slot_at is {moment}, not a timestamp with a time zone")
    for name in METRICS:
        if not schema[name].is_numeric():
            raise InvalidInputError(f"{name} is {schema[name]}, not a number")
    if schema.get("env", pl.String()) != pl.String:
        raise InvalidInputError(f"env is {schema['env']}, not text")


def _open_csv(path: Path) -> Table:
    """Look at a CSV file: comma, UTF-8, names of columns in the first line."""
    with path.open("rb") as file:
        header = file.readline(MAX_HEADER_BYTES)
        count = sum(block.count(b"\n") for block in iter(lambda: file.read(BLOCK_BYTES), b""))
    names = [name.strip(' "\r\n') for name in header.decode("utf-8-sig", "replace").split(",")]
    if len(set(names)) != len(names):
        raise InvalidInputError("two columns of the file have the same name")
    extra = _choose_extra(names, names)
    kept = [*REQUIRED, *(["env"] if "env" in names else []), *extra]
    return Table(count, extra, _others(names, kept), _read_lines(path, names, kept))


def _read_lines(path: Path, names: Sequence[str], kept: Sequence[str]) -> Iterator[pl.DataFrame]:
    """Yield the lines of a CSV file after the first, cut into cells of text."""
    with path.open("rb") as file:
        file.readline(MAX_HEADER_BYTES)
        line = 2
        while lines := file.readlines(BLOCK_BYTES):
            texts = [text.decode("utf-8", "replace") for text in lines]
            yield _cut(texts, line, names).select("line", *kept)
            line += len(lines)


def _cut(texts: list[str], first_line: int, names: Sequence[str]) -> pl.DataFrame:
    """Return the cells of lines; an empty one is null, and so are all if there are too many."""
    cells = pl.col("text").str.splitn(",", len(names) + 1)
    table = pl.DataFrame({"text": texts}).select(cells.struct.rename_fields([*names, OVERFLOW]))
    text = pl.col(*names).str.strip_chars(' "\r\n')
    given = pl.when(pl.col(OVERFLOW).is_null() & (text != "")).then(text).name.keep()
    return table.unnest("text").select(given).with_row_index("line", first_line)


def _choose_extra(names: Sequence[str], numeric: Sequence[str]) -> list[str]:
    """Return the columns that are kept beside the five.

    Raises:
        InvalidInputError: One that must be there is missing.
    """
    for name in REQUIRED:
        if name not in names:
            raise InvalidInputError(f"the file has no column {name}")
    known = {*REQUIRED, "env", "extra", "line"}
    fitting = (name for name in numeric if re.fullmatch(EXTRA_PATTERN, name))
    return sorted(set(fitting) - known)[:MAX_EXTRA]


def _others(names: Sequence[str], kept: Sequence[str]) -> list[str]:
    return [name for name in names if name not in kept]


def _unreadable(path: Path, error: Exception) -> InvalidInputError:
    reason = " ".join(str(error).split())[:200]
    return InvalidInputError(f"{path} cannot be read as Parquet: {reason}")
