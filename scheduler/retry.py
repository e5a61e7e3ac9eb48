"""When to try again. Pure functions; chance and time are arguments."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

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
    since_slot_seconds: float,
    seconds_left: float,
    pauses: Sequence[float],
    chance: float,
) -> float | None:
    """Return how long to wait before the next attempt at a slot, or None to give it up.

    Args:
        error: Why this attempt failed; a permanent one is not tried again, and a target that
            named a pause (Retry-After) gets at least that.
        attempt: Attempts so far, from 1, those included in which we were throttled.
        since_slot_seconds: Time since the slot's planned moment.
        seconds_left: Time to the slot's deadline; a pause leaves `MIN_READ_SECONDS` of it.
        pauses: Seconds before the second, third, ... attempt.
        chance: Uniform in 0..1; spreads the retries of many slots by +- `JITTER_RATIO`.
    """
    failures = min(attempt, 1 + _count_over(since_slot_seconds, pauses))
    given_up = error.permanent or (
        error.code is CollectCode.PAYLOAD_INVALID and failures >= INVALID_ATTEMPTS
    )
    named = error.retry_after_seconds or 0.0
    if error.code is CollectCode.THROTTLED:  # no failure of the target, so it costs no attempt
        pause = named * (1 + JITTER_RATIO * chance)
    elif given_up or failures > len(pauses):
        return None
    else:
        pause = max(pauses[failures - 1] * (1 + JITTER_RATIO * (2 * chance - 1)), named)
    return pause if pause + MIN_READ_SECONDS <= seconds_left else None


def _count_over(seconds: float, pauses: Sequence[float]) -> int:
    """Return how many of the pauses can be over after so long, one after the other.

    Attempts in which we were throttled do not show in the number of attempts alone; but nobody
    can have failed three times whose first two pauses are not over.
    """
    over = accumulate(pause * (1 - JITTER_RATIO) for pause in pauses)
    return sum(seconds >= end for end in over)


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


def delivery_pause(
    pauses: Sequence[float],
    *,
    attempts: int,
    permanent: bool,
    named_seconds: float | None,
    chance: float,
) -> float | None:
    """Return how long to wait before a message is sent again, or None to give it up.

    Args:
        pauses: Seconds before the second, third, ... attempt.
        attempts: Attempts so far, from 1.
        permanent: Whether the same message would meet the same answer.
        named_seconds: The pause the receiver asked for; it gets at least that.
        chance: Uniform in 0..1; spreads the retries of many messages by +- `JITTER_RATIO`.
    """
    if permanent or attempts > len(pauses):
        return None
    pause = pauses[attempts - 1] * (1 + JITTER_RATIO * (2 * chance - 1))
    return max(pause, (named_seconds or 0.0) * (1 + JITTER_RATIO * chance))
