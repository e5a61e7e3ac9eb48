"""Rows that were sent to us, pushed or in a file: each is believed or refused on its own.

`read_row` is the one judge of a row. Many rows are looked at together first: what is right beyond
doubt passes, and only the rest is read row by row, which also yields the reason.
"""

from __future__ import annotations

import json
import math
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
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

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


class _Twice:
    """Stands for a JSON object with two members of one name: which of them counts?"""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any] | _Twice:
    members = dict(pairs)
    return members if len(members) == len(pairs) else _Twice()


# Every number is a float to us, and so the length of an integer is nobody's trouble.
_DECODER: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_int=float)


def split_list(body: bytes) -> Iterator[tuple[int, object]]:
    """Yield position and document of each item of a JSON list.

    Raises:
        InvalidInputError: It is none.
    """
    document = _decode(body)
    if not isinstance(document, list):
        raise InvalidInputError("the body is not a list of rows in JSON (UTF-8)")
    return enumerate(document, 1)


def split_lines(body: bytes) -> Iterator[tuple[int, object]]:
    """Yield line and document of each line of NDJSON that is not empty."""
    for number, line in enumerate(body.split(b"\n"), 1):
        if line.strip():
            yield number, _decode(line)


def _decode(text: bytes) -> object:
    """Return a document, or a text of ours, which is no row, if it is not JSON."""
    try:
        return _DECODER.decode(text.decode("utf-8"))
    except (ValueError, RecursionError):
        return "not JSON"


def read_documents(documents: Iterable[tuple[int, object]], env: str, bounds: Bounds) -> Batch:
    """Read rows as they are pushed: `{"slot_at": ..., "env": ..., "metrics": {...}}` each.

    Args:
        documents: Lines and what they hold.
        env: Environment of rows that do not name one.
        bounds: Moments they may be of.
    """
    documents = list(documents)
    rows = _line_up([document for _, document in documents], env, bounds)
    return _read_each(documents, env, bounds) if rows is None else Batch(rows, [])


def _line_up(documents: list[Any], env: str, bounds: Bounds) -> pl.DataFrame | None:
    """Return the rows if every one is right beyond doubt, else None.

    Column by column in the interpreter: for so few rows, polars would spend its time on threads.
    """
    try:
        metrics = [document["metrics"] for document in documents]
        numbers = {name: [each[name] for each in metrics] for name in METRICS}
        moments = [datetime.fromisoformat(document["slot_at"]) for document in documents]
        names = [document.get("env", env) for document in documents]
        further = [payload.find_extra(each) if len(each) > len(METRICS) else {} for each in metrics]
        certain = (
            all(set(map(type, column)) <= {float} for column in numbers.values())
            and all(all(map(math.isfinite, column)) for column in numbers.values())
            and all(min(column, default=0) >= 0 for column in numbers.values())
            and all(max(numbers[name], default=0) <= 1 for name in SHARES)
            and all(map(_ENV.fullmatch, set(names)))
            and bounds.oldest <= min(moments, default=bounds.oldest)
            and bounds.newest >= max(moments, default=bounds.newest)
        )
    except (KeyError, TypeError, AttributeError, ValueError):
        return None
    if not certain:
        return None
    places = [(moment - _EPOCH) // _MICROSECOND for moment in moments]
    columns = {"slot_at": pl.Series(places, dtype=pl.Int64).cast(ROWS["slot_at"]), "env": names}
    return pl.DataFrame({**columns, **numbers, "extra": list(map(_encode, further))}, schema=ROWS)


def _read_each(documents: list[tuple[int, object]], env: str, bounds: Bounds) -> Batch:
    found: list[Row] = []
    refusals = []
    for line, document in documents:
        try:
            found.append(read_row(document, env, bounds))
        except InvalidInputError as error:
            refusals.append(Refusal(line, str(error)))
    columns = zip(*found, strict=True) if found else ([] for _ in ROWS)
    return Batch(pl.DataFrame(dict(zip(ROWS, columns, strict=True)), schema=ROWS), refusals)


def _join(certain: pl.DataFrame, rest: Batch) -> Batch:
    return Batch(pl.concat([certain, rest.rows]), rest.refusals)


def read_row(document: object, env: str, bounds: Bounds) -> Row:
    """Return the values of one row.

    Raises:
        InvalidInputError: The row cannot be taken; the text says why.
    """
    if not isinstance(document, dict):
        twice = isinstance(document, _Twice)
        raise InvalidInputError("a key appears twice" if twice else "the row is no JSON object")
    moment = _moment(document.get("slot_at"), bounds)
    name = document.get("env", env)
    if not (isinstance(name, str) and _ENV.fullmatch(name)):
        raise InvalidInputError("env is not the name of an environment")
    if isinstance(document.get("metrics"), _Twice):
        raise InvalidInputError("a key appears twice")
    try:
        reading = payload.read(document)
    except CollectError as error:
        raise InvalidInputError(error.detail) from None
    numbers = (getattr(reading, metric) for metric in METRICS)
    return (moment, name, *numbers, _encode(reading.extra))


def _encode(extra: Mapping[str, float] | None) -> str | None:
    return json.dumps(dict(extra)) if extra else None


def _moment(value: object, bounds: Bounds) -> datetime:
    if value is None:
        raise InvalidInputError("slot_at is missing")
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value)[:64])
        moment = moment.astimezone(UTC) if moment.tzinfo else moment
    except (ValueError, OverflowError):
        raise InvalidInputError("slot_at is not a moment like 2026-01-31T12:00:00Z") from None
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
    doubtful = list(_documents(raw.filter(~passes), typed.filter(~passes)))
    return _join(typed.filter(passes), _read_each(doubtful, env, bounds))


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
