"""When to try again. Pure functions; chance and time are arguments."""

from __future__ import annotations

from collections.abc import Sequence

from core.errors import CollectError
from core.types import CollectCode

JITTER_RATIO = 0.2
OWN_PAUSE_SECONDS = 60.0
MIN_READ_SECONDS = 0.1
"""A retry with less time than this could only hide why the slot failed behind a timeout."""
INVALID_ATTEMPTS = 2
"""What is wrong in itself is not asked for a third time."""
REST_FAILURES = 5
"""Slots missed in a row after which the baseline of a target rests."""
REST_MAX_SLOTS = 10.0


def collect_pause(
    error: CollectError,
    *,
    attempt: int,
    seconds_left: float,
    pauses: Sequence[float],
    chance: float,
) -> float | None:
    """Return how long to wait before the next attempt at a slot, or None to give it up.

    Args:
        error: Why this attempt failed; a permanent one is not tried again, and a target that
            named a pause (Retry-After) gets at least that.
        attempt: Attempts so far, from 1. Being throttled is no failure of the target: it is
            tried again as long as there is time.
        seconds_left: Time to the slot's deadline; a pause leaves `MIN_READ_SECONDS` of it.
        pauses: Seconds before the second, third, ... attempt.
        chance: Uniform in 0..1; spreads the retries of many slots by +- `JITTER_RATIO`.
    """
    if error.permanent or _is_hopeless(error.code, attempt):
        return None
    named = error.retry_after_seconds or 0.0
    if error.code is CollectCode.THROTTLED:
        pause = named * (1 + JITTER_RATIO * chance)
    elif attempt <= len(pauses):
        pause = max(pauses[attempt - 1] * (1 + JITTER_RATIO * (2 * chance - 1)), named)
    else:
        return None
    return pause if pause + MIN_READ_SECONDS <= seconds_left else None


def _is_hopeless(code: CollectCode, attempt: int) -> bool:
    return code is CollectCode.PAYLOAD_INVALID and attempt >= INVALID_ATTEMPTS


def rest_seconds(failures: int, interval_seconds: float) -> float:
    """Return how long the baseline of a target rests after so many missed slots in a row.

    From the fifth on 1, 2, 4, 8, then 10 slots are left out before the next attempt.

    Args:
        failures: Slots missed in a row, this one included.
        interval_seconds: Distance of two slots of the baseline.
    """
    if failures < REST_FAILURES:
        return 0.0
    slots = min(2.0 ** min(failures - REST_FAILURES, 16), REST_MAX_SLOTS)
    return (slots + 0.5) * interval_seconds


def own_pause(attempt: int) -> float:
    """Return how long to wait after a fault of ours: 1, 2, 4, ... s, at most a minute, for ever."""
    return min(2.0 ** min(attempt - 1, 16), OWN_PAUSE_SECONDS)
