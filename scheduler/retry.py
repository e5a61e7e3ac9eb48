"""When to try again. Pure functions; chance and time are arguments."""

from __future__ import annotations

from collections.abc import Sequence

from core.errors import CollectError

JITTER_RATIO = 0.2
OWN_PAUSE_SECONDS = 60.0
MIN_READ_SECONDS = 0.1
"""A retry with less time than this could only hide why the slot failed behind a timeout."""


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
        attempt: Attempts so far, from 1.
        seconds_left: Time to the slot's deadline; a pause leaves `MIN_READ_SECONDS` of it.
        pauses: Seconds before the second, third, ... attempt.
        chance: Uniform in 0..1; spreads the retries of many slots by +- `JITTER_RATIO`.
    """
    if error.permanent or attempt > len(pauses):
        return None
    pause = pauses[attempt - 1] * (1 + JITTER_RATIO * (2 * chance - 1))
    pause = max(pause, error.retry_after_seconds or 0.0)
    return pause if pause + MIN_READ_SECONDS <= seconds_left else None


def own_pause(attempt: int) -> float:
    """Return how long to wait after a fault of ours: 1, 2, 4, ... s, at most a minute, for ever."""
    return min(2.0 ** min(attempt - 1, 16), OWN_PAUSE_SECONDS)
