"""What a target answered: `{"metrics": {five numbers}}`, believed only if it is exactly that.

Every detail names one of our own fields and never repeats what the target sent.
"""

from __future__ import annotations

import json
import math
from typing import Any, Final

import httpx

from core.errors import CollectError
from core.types import METRICS, SHARES, CollectCode, Reading

MAX_BODY_BYTES: Final = 65_536
_FIELDS: Final = ("metrics", *METRICS)


async def read_body(response: httpx.Response) -> bytes:
    """Return the body of `response`, read piece by piece.

    Only the identity encoding is accepted, so the bytes on the wire are the bytes in memory and a
    compressed bomb has nothing to go off in.

    Raises:
        CollectError: `payload_invalid` for another media type or encoding; `too_large` as soon as
            there are more than `MAX_BODY_BYTES`.
    """
    media_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise _invalid("Content-Type is not application/json")
    if response.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise _invalid("Content-Encoding is not identity")
    body = bytearray()
    async for piece in response.aiter_raw():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            raise CollectError(
                CollectCode.TOO_LARGE, f"the answer is larger than {MAX_BODY_BYTES} bytes"
            )
    return bytes(body)


def parse(body: bytes) -> Reading:
    """Return the five numbers in `body`; keys we do not know are ignored.

    Raises:
        CollectError: `payload_invalid` with the field that is wrong and how.
    """
    try:
        document = json.loads(body.decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        raise _invalid("the answer is not JSON in UTF-8") from None
    metrics = document.get("metrics") if isinstance(document, dict) else None
    if not isinstance(metrics, dict):
        raise _invalid("metrics is missing or not an object")
    return Reading(**{name: _number(metrics, name) for name in METRICS})


def _number(metrics: dict[str, Any], name: str) -> float:
    """Return one metric as a finite float in its range."""
    if name not in metrics:
        raise _invalid(f"{name} is missing")
    value = metrics[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _invalid(f"{name} is not a number")
    try:
        number = float(value)
    except OverflowError:  # an integer beyond the largest float
        number = math.inf
    if not math.isfinite(number):
        raise _invalid(f"{name} is not finite")
    if number < 0:
        raise _invalid(f"{name} is negative")
    if number > 1 and name in SHARES:
        raise _invalid(f"{name} is above 1, it must be a share in 0..1")
    return number


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
