"""From values and moments to places in a picture: pure numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from core.types import Deployment
from sql.reports import Moment

LEAST_POST: Final = 0.3
MOST_ROLLOUT: Final = 0.15
LEAST_ROLLOUT: Final = 0.03
"""Shares of the width: of the post window at least, of the roll-out at most and at least."""

WATCHED_AT_LEAST: Final = timedelta(minutes=5)
STEPS: Final = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Axis:
    """Time from left to right, in stretches that are even in themselves.

    Attributes:
        moments: Start, trigger, finish, end.
        places: Where they are, in units of the picture.
    """

    moments: Sequence[datetime]
    places: Sequence[float]

    def place(self, at: datetime) -> float:
        """Return where a moment is; the nearest end for one outside."""
        at = min(max(at, self.moments[0]), self.moments[-1])
        stretches = zip(pairwise(self.moments), pairwise(self.places), strict=True)
        for (since, until), (left, right) in stretches:
            if at <= until:
                passed = (at - since) / (until - since) if until > since else 0.0
                return left + passed * (right - left)
        return self.places[-1]


def lay_out_time(
    deployment: Deployment, moments: Sequence[Moment], left: float, right: float
) -> Axis:
    """Return the axis of a deployment between two places.

    It is even, but a long roll-out is compressed, and a short post window stretched.
    """
    triggered = deployment.triggered_at
    seen = [each.slot_at for each in moments]
    start = min([*seen, triggered - timedelta(minutes=1)])
    finished = deployment.finished_at or max([*seen, triggered])
    watched = timedelta(seconds=(deployment.post_slots or 0) * (deployment.slot_seconds or 0.0))
    end = max([*seen, finished + (watched or WATCHED_AT_LEAST)])
    points = (start, triggered, max(finished, triggered), max(end, finished, triggered))
    before, rollout, after = (late - early for early, late in pairwise(points))
    whole = points[-1] - points[0]
    narrow = min(max(rollout / whole, LEAST_ROLLOUT), MOST_ROLLOUT)
    wide = max(after / (before + after), LEAST_POST) * (1 - narrow)
    shares = (0.0, 1 - narrow - wide, 1 - wide, 1.0)
    return Axis(points, [left + share * (right - left) for share in shares])


def choose_ticks(highest: float) -> list[float]:
    """Return round numbers from 0 to at least `highest`, four or five of them.

    Args:
        highest: The largest value to be shown; what no float of some room can hold counts as 1.
    """
    if not 1e-300 < highest < 1e300:
        highest = 1.0
    rough = highest / 4
    power: float = 10.0 ** math.floor(math.log10(rough))
    step = next(power * each for each in STEPS if power * each * (1 + 1e-9) >= rough)
    return [step * number for number in range(math.ceil(highest / step - 1e-9) + 1)]


def quantile(values: Iterable[float], share: float) -> float:
    """Return the value below which a share of the values lies, between the two nearest."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])
