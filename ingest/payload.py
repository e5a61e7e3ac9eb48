"""What an SDK's endpoint answers: `{"metrics": {five numbers}}`, believed only if it is exactly that.

Every detail names one of our own fields and never repeats what the target sent.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final

import httpx

from core.errors import CollectError
from core.types import EXTRA_PATTERN, MAX_EXTRA, METRICS, SHARES, CollectCode, Reading

MAX_BODY_BYTES: Final = 65_536
_FIELDS: Final = ("metrics", *METRICS)


async def read_body(response: httpx.Response, max_bytes: int = MAX_BODY_BYTES) -> bytes:
    """Return the body of `response`, read piece by piece.

    Only the identity encoding is accepted, so the bytes on the wire are the bytes in memory and a
    compressed bomb has nothing to go off in.

    Raises:
        CollectError: `payload_invalid` for another media type or encoding; `too_large` as soon as
            there are more than `max_bytes`.
    """
    media_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise _invalid("Content-Type is not application/json")
    if response.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise _invalid("Content-Encoding is not identity")
    body = bytearray()
    async for piece in response.aiter_raw():
        body += piece
        if len(body) > max_bytes:
            raise CollectError(
                CollectCode.TOO_LARGE, f"the answer is larger than {max_bytes} bytes"
            )
    return bytes(body)


def parse(body: bytes) -> Reading:
    """Return the five numbers in `body` and the first `MAX_EXTRA` others beside them.

    Raises:
        CollectError: `payload_invalid` with the field that is wrong and how.
    """
    document = load_json(body)
    metrics = document.get("metrics") if isinstance(document, dict) else None
    if not isinstance(metrics, dict):
        raise _invalid("metrics is missing or not an object")
    return Reading(
        **{name: _number(metrics, name) for name in METRICS}, extra=find_extra(metrics) or None
    )


def load_json(body: bytes) -> Any:  # noqa: ANN401 - whatever the target sent
    """Return the document in `body`; no object in it has two members of one name.

    Raises:
        CollectError: `payload_invalid`: it is not JSON in UTF-8, or ambiguous.
    """
    try:
        return json.loads(body.decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        raise _invalid("the answer is not JSON in UTF-8") from None


def find_extra(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Return the finite numbers beside the five, by name, at most `MAX_EXTRA`.

    Nothing is judged by them, so an odd one is left out and spoils nothing.
    """
    extra: dict[str, float] = {}
    for name in sorted(metrics.keys() - set(METRICS)):
        number = to_float(metrics[name])
        if re.fullmatch(EXTRA_PATTERN, name) and number is not None and math.isfinite(number):
            extra[name] = number
        if len(extra) == MAX_EXTRA:
            break
    return extra


def to_float(value: object) -> float | None:
    """Return a JSON number as a float, infinite if it is too large for one; None if it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf


def check_range(name: str, number: float) -> float:
    """Return a value of the metric `name` if it can be one: finite, not negative, a share up to 1.

    Raises:
        CollectError: `payload_invalid`.
    """
    if not math.isfinite(number):
        raise _invalid(f"{name} is not finite")
    if number < 0:
        raise _invalid(f"{name} is negative")
    if number > 1 and name in SHARES:
        raise _invalid(f"{name} is above 1, it must be a share in 0..1")
    return number


def _number(metrics: dict[str, Any], name: str) -> float:
    """Return one metric as a finite float in its range."""
    if name not in metrics:
        raise _invalid(f"{name} is missing")
    number = to_float(metrics[name])
    if number is None:
        raise _invalid(f"{name} is not a number")
    return check_range(name, number)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object whose keys were all different: with two of a kind, which one counts?"""
    document: dict[str, Any] = {}
    for name, value in pairs:
        if name in document:
            raise _invalid(f"{name if name in _FIELDS else 'a key'} appears twice")
        document[name] = value
    return document


def _invalid(detail: str) -> CollectError:
    return CollectError(CollectCode.PAYLOAD_INVALID, detail)
