"""Rows that were sent to us, pushed or in a file: each is believed or refused on its own.

`read_row` is the one judge of a row. Many rows are looked at together first (`read_frame` here,
`documents.read_certain` for JSON): what is right beyond doubt passes, and only the rest is read
row by row, which also yields the reason.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias

import polars as pl

from core.errors import CollectError, InvalidInputError
from core.types import ENV_PATTERN, METRICS, SHARES
from ingest import payload
from sql.bulk import ROWS

MAX_AHEAD: Final = timedelta(minutes=5)
"""How far the clock of whoever sends a row may be ahead of ours."""

_ENV: Final = re.compile(ENV_PATTERN)
_NO_MOMENT: Final = "slot_at is not a moment like 2026-01-31T12:00:00Z"

Row: TypeAlias = tuple[object, ...]
"""The values of one row in the order of `sql.bulk.ROWS`."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The moments a row may be of, both ends included."""

    oldest: datetime
    newest: datetime


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that was not taken, and why.

    Attributes:
        line: Line of the text; in a JSON list and in Parquet the position of the row, from 1.
        reason: Names what is wrong with it; never repeats what was sent.
    """

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Batch:
    """What came of some rows.

    Attributes:
        rows: Frame of `sql.bulk.ROWS`: those that may be stored.
        refusals: The others, by line.
    """

    rows: pl.DataFrame
    refusals: list[Refusal]


class Twice:
    """Stands for a JSON object with two members of one name: which of them counts?"""


def read_each(documents: Iterable[tuple[int, object]], env: str, bounds: Bounds) -> Batch:
    """Read rows one by one.

    Args:
        documents: Lines and what they hold: `{"slot_at": ..., "env": ..., "metrics": {...}}`.
        env: Environment of rows that do not name one.
        bounds: Moments they may be of.
    """
    found: list[Row] = []
    refusals = []
    for line, document in documents:
        try:
            found.append(read_row(document, env, bounds))
        except InvalidInputError as error:
            refusals.append(Refusal(line, str(error)))
    columns = zip(*found, strict=True) if found else ([] for _ in ROWS)
    return Batch(pl.DataFrame(dict(zip(ROWS, columns, strict=True)), schema=ROWS), refusals)


def read_row(document: object, env: str, bounds: Bounds) -> Row:
    """Return the values of one row.

    Raises:
        InvalidInputError: The row cannot be taken; the text says why.
    """
    if not isinstance(document, dict):
        twice = isinstance(document, Twice)
        raise InvalidInputError("a key appears twice" if twice else "the row is no JSON object")
    moment = _moment(document.get("slot_at"), bounds)
    name = document.get("env", env)
    if not (isinstance(name, str) and _ENV.fullmatch(name)):
        raise InvalidInputError("env is not the name of an environment")
    if isinstance(document.get("metrics"), Twice):
        raise InvalidInputError("a key appears twice")
    try:
        reading = payload.read(document)
    except CollectError as error:
        raise InvalidInputError(error.detail) from None
    numbers = (getattr(reading, metric) for metric in METRICS)
    return (moment, name, *numbers, encode_extra(reading.extra))


def encode_extra(extra: Mapping[str, float] | None) -> str | None:
    """Return further numbers as they are stored, None if there are none."""
    return json.dumps(dict(extra)) if extra else None


def _moment(value: object, bounds: Bounds) -> datetime:
    if value is None:
        raise InvalidInputError("slot_at is missing")
    if not isinstance(value, str | datetime):
        raise InvalidInputError(_NO_MOMENT)
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        moment = moment.astimezone(UTC) if moment.tzinfo else moment
    except (ValueError, OverflowError):
        raise InvalidInputError(_NO_MOMENT) from None
    if moment.tzinfo is None:
        raise InvalidInputError("slot_at has no offset from UTC")
    if moment > bounds.newest:
        raise InvalidInputError("slot_at is in the future")
    if moment < bounds.oldest:
        raise InvalidInputError(f"slot_at is before {bounds.oldest:%Y-%m-%d}, the oldest we take")
    return moment


def read_frame(raw: pl.DataFrame, env: str, bounds: Bounds) -> Batch:
    """Read rows of a file.

    Args:
        raw: `line`, `slot_at`, perhaps `env`, the five metrics and further columns (extra). Cells
            are typed (slot_at with a time zone, numbers) or, all of them, text.
        env: Environment of rows that do not name one.
        bounds: Moments they may be of.
    """
    typed = _type(raw, env)
    passes = typed.select(_is_beyond_doubt(bounds)).to_series()
    if passes.all():
        return Batch(typed, [])
    rest = read_each(_documents(raw.filter(~passes), typed.filter(~passes)), env, bounds)
    return Batch(pl.concat([typed.filter(passes), rest.rows]), rest.refusals)


def _type(raw: pl.DataFrame, env: str) -> pl.DataFrame:
    """Return `ROWS` of a raw frame, null where a cell is not what it should be."""
    name = pl.col("env").fill_null(env) if "env" in raw.columns else pl.lit(env).alias("env")
    number = pl.col(*METRICS).cast(pl.Float64, strict=False)
    others = [name for name in raw.columns if name not in ("line", *ROWS.names())]
    moment = _moments() if raw.schema["slot_at"] == pl.String else pl.col("slot_at")
    return raw.select(moment.cast(ROWS["slot_at"]), name, number, _collect_extra(others))


def _moments() -> pl.Expr:
    text = pl.col("slot_at").str
    return text.to_datetime("%+", time_unit="us", time_zone="UTC", strict=False)


def _collect_extra(columns: list[str]) -> pl.Expr:
    """Return the finite numbers of further columns as a JSON object, null if there are none."""
    if not columns:
        return pl.lit(None, pl.String).alias("extra")
    number = pl.col(*columns).cast(pl.Float64, strict=False)
    finite = pl.when(number.is_finite()).then(number).name.keep()
    return pl.struct(finite).struct.json_encode().alias("extra")


def _is_beyond_doubt(bounds: Bounds) -> pl.Expr:
    number, share = pl.col(*METRICS), pl.col(*SHARES)
    return pl.all_horizontal(
        pl.col("slot_at").is_between(bounds.oldest, bounds.newest),
        pl.col("env").str.contains(ENV_PATTERN),
        number.is_finite() & (number >= 0),
        share <= 1,
    ).fill_null(value=False)


def _documents(raw: pl.DataFrame, typed: pl.DataFrame) -> Iterator[tuple[int, object]]:
    """Yield line and document of each row: the typed cell or, where there is none, what it was."""
    cells = raw.with_columns(typed.select(pl.col(*ROWS.names()).name.prefix("typed ")))
    for row in cells.iter_rows(named=True):

        def known(name: str, row: dict[str, Any] = row) -> object:
            value = row[f"typed {name}"]
            return row.get(name) if value is None else value

        metrics = json.loads(row["typed extra"] or "{}") | {name: known(name) for name in METRICS}
        metrics = {name: value for name, value in metrics.items() if value is not None}
        yield row["line"], {"slot_at": known("slot_at"), "env": known("env"), "metrics": metrics}
