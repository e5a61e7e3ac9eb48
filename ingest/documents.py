"""Rows as they are pushed, in JSON or NDJSON.

There are two readers. The careful one (`Form.split`, then `rows.read_each`) is the judge: it finds
whatever is wrong and says what. The quick one (`read_certain`) takes all rows or leaves them all to
the other; what it takes, the careful one would have taken just so.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

import polars as pl
from pydantic_core import from_json

from core.errors import InvalidInputError
from core.types import ENV_PATTERN, METRICS, SHARES
from ingest import payload
from ingest.rows import Bounds, Twice, encode_extra
from sql.bulk import ROWS

_ENV: Final = re.compile(ENV_PATTERN)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_MOST: Final = {name: 1.0 if name in SHARES else sys.float_info.max for name in METRICS}

_load: Final = partial(from_json, allow_inf_nan=False)
"""As strict as the careful decoder, but of members of one name it keeps the last."""


@dataclass(frozen=True, slots=True)
class Form:
    """How rows are written down.

    Attributes:
        load: Returns the documents of a text. Raises ValueError if one of them is not JSON, or if
            it takes no reading to see that there are more than so many.
        split: Yields the line (in a list the position, from 1) and the document of each, read so
            that nothing is hidden: `Twice` where a name appears twice, a text where it is not JSON.
            Raises InvalidInputError if the text cannot be split.
    """

    load: Callable[[bytes, int], list[Any]]
    split: Callable[[bytes], Iterable[tuple[int, object]]]


def read_certain(
    text: bytes, form: Form, env: str, bounds: Bounds, most: int
) -> pl.DataFrame | None:
    """Return the rows of a text, a frame of `ROWS`, if every one is right beyond doubt; else None.

    Column by column in the interpreter: for so few rows, polars would spend its time on threads.

    Args:
        text: What was sent.
        form: How it is written.
        env: Environment of rows that do not name one.
        bounds: Moments they may be of.
        most: Rows there may be.
    """
    try:
        documents = form.load(text, most)
        if len(documents) > most:
            return None
        metrics = [document["metrics"] for document in documents]
        envs = [document.get("env", env) for document in documents]
        columns = {
            "slot_at": _take_moments(documents, bounds),
            "env": envs,
            **{name: _take_numbers(metrics, name) for name in METRICS},
            "extra": [_take_others(each) for each in metrics],
        }
        certain = all(map(_ENV.fullmatch, set(envs))) and _hides_nothing(text, documents, metrics)
    except (LookupError, TypeError, AttributeError, ArithmeticError, ValueError):
        return None
    return pl.DataFrame(columns, schema=ROWS) if certain else None


def _take_moments(documents: Sequence[Mapping[str, Any]], bounds: Bounds) -> pl.Series:
    """Return the moments of all rows; ValueError if one of them is too old or too new."""
    moments = [datetime.fromisoformat(document["slot_at"]) for document in documents]
    if moments and not (bounds.oldest <= min(moments) and max(moments) <= bounds.newest):
        raise ValueError
    places = [(moment - _EPOCH) // _MICROSECOND for moment in moments]
    return pl.Series(places, dtype=pl.Int64).cast(ROWS["slot_at"])


def _take_numbers(metrics: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    """Return a metric of all rows; ValueError if one of them is not a number, or out of range."""
    column = [each[name] for each in metrics]
    kinds = set(map(type, column))
    if not kinds <= {float, int}:  # a bool is neither
        raise ValueError
    if int in kinds:
        column = list(map(float, column))
    if column and not (min(column) >= 0 and max(column) <= _MOST[name]):
        raise ValueError
    return column


def _take_others(metrics: Mapping[str, Any]) -> str | None:
    return encode_extra(payload.find_extra(metrics)) if len(metrics) > len(METRICS) else None


def _hides_nothing(
    text: bytes, documents: Sequence[Mapping[str, Any]], metrics: Sequence[Mapping[str, Any]]
) -> bool:
    """Say whether every string of a text is in what was read of it.

    A member that another one of its name replaced is not. The names of a row and of its metrics are
    counted, and the texts of a row, one of which is its moment; any other string leaves doubt.
    Without escapes, every quote is one end of a string.
    """
    names = sum(map(len, documents)) + sum(map(len, metrics))
    values = sum(1 if len(each) == 2 else _count_texts(each) for each in documents)
    return b"\\" not in text and text.count(b'"') == 2 * (names + values)


def _count_texts(document: Mapping[str, Any]) -> int:
    return sum(isinstance(value, str) for value in document.values())


def _split_list(text: bytes) -> Iterable[tuple[int, object]]:
    document = _decode(text)
    if not isinstance(document, list):
        raise InvalidInputError("the body is not a list of rows in JSON (UTF-8)")
    return enumerate(document, 1)


def _load_list(text: bytes, _most: int) -> list[Any]:
    documents = _load(text)
    if not isinstance(documents, list):
        raise ValueError("no list")
    return documents


def _split_lines(text: bytes) -> Iterator[tuple[int, object]]:
    for number, line in enumerate(text.split(b"\n"), 1):
        if line.strip():
            yield number, _decode(line)


def _load_lines(text: bytes, most: int) -> list[Any]:
    if text.count(b"\n") > most:  # perhaps many are empty: the careful reader will see
        raise ValueError("too many lines")
    return [_load(line) for line in text.split(b"\n") if line.strip()]


LIST: Final = Form(_load_list, _split_list)
"""A JSON list."""

LINES: Final = Form(_load_lines, _split_lines)
"""NDJSON: a row a line; empty lines count, but are no rows."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any] | Twice:
    members = dict(pairs)
    return members if len(members) == len(pairs) else Twice()


# Every number is a float to us, and so the length of an integer is nobody's trouble.
_DECODER: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_int=float)


def _decode(text: bytes) -> object:
    """Return a document, or a text of ours, which is no row, if it is not JSON."""
    try:
        return _DECODER.decode(text.decode("utf-8"))
    except (ValueError, RecursionError):
        return "not JSON"
