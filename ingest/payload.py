"""What an SDK answers: `{"metrics": {five numbers}}`, believed only if it is exactly that.

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
from core.types import EXTRA_PATTERN, MAX_EXTRA, METRICS, SHARES, CollectCode, Metric, Reading

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
    return read(load_json(body))


def read(document: object) -> Reading:
    """Return the numbers of a parsed document.

    Raises:
        CollectError: `payload_invalid` with the field that is wrong and how.
    """
    metrics = document.get("metrics") if isinstance(document, dict) else None
    if not isinstance(metrics, dict):
        raise _invalid("metrics is missing or not an object")
    return make_reading({name: _number(metrics, name) for name in METRICS}, find_extra(metrics))


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


def make_reading(numbers: Mapping[str, float], extra: Mapping[str, float]) -> Reading:
    """Return a reading if each of the five is finite, not negative, and as a share at most 1.

    Raises:
        CollectError: `payload_invalid`.
    """
    for name in METRICS:
        if not math.isfinite(numbers[name]):
            raise _invalid(f"{name} is not finite")
        if numbers[name] < 0:
            raise _invalid(f"{name} is negative")
        if numbers[name] > 1 and name in SHARES:
            raise _invalid(f"{name} is above 1, it must be a share in 0..1")
    return Reading(
        requests_per_sec=numbers[Metric.REQUESTS_PER_SEC],
        latency_p95=numbers[Metric.LATENCY_P95],
        error_rate=numbers[Metric.ERROR_RATE],
        cpu_usage=numbers[Metric.CPU_USAGE],
        memory_usage=numbers[Metric.MEMORY_USAGE],
        extra=extra or None,
    )


def _number(metrics: dict[str, Any], name: str) -> float:
    """Return one metric as a float."""
    if name not in metrics:
        raise _invalid(f"{name} is missing")
    number = to_float(metrics[name])
    if number is None:
        raise _invalid(f"{name} is not a number")
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
