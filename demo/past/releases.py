"""What was deployed, what harm it did, and what people did and said about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import numpy as np

from demo.past.services import Chance, Fleet, identify

NONE: Final = "none"
KINDS: Final = {
    "errors": (0.02, 0.25),
    "latency": (0.3, 2.0),
    "cpu": (0.3, 1.0),
    "memory_leak": (0.1, 0.6),
    "traffic_loss": (0.3, 0.9),
    "ramp": (0.4, 2.0),
}
"""Kinds of harm with their least and greatest size: share of requests that fail, share that is
added, share of memory per hour, share that is lost."""
SEEN: Final = {"errors": 0.75, "latency": 0.6, "traffic_loss": 0.8, "ramp": 0.5, "cpu": 0.3}
"""How often a team notices by itself and rolls back."""
LONGEST: Final = timedelta(hours=8)
"""By then somebody has found a way to live with it."""
FEEDBACK_HARMFUL, FEEDBACK_HARMLESS = 0.5, 0.12
SETTLES: Final = timedelta(minutes=32)
"""After its finish the longest post window is over."""


@dataclass(frozen=True, slots=True)
class Release:
    """A deployment, and the truth about it.

    Attributes:
        service: Place in the fleet.
        kind, size: Harm, see `KINDS`; `none` and 0.
        until: When the harm ends.
        rolls_back: Whether it brings the release before the last one back.
        feedback: What people said: was it harmful? None: nothing.
    """

    id: UUID
    service: int
    branch: str
    result: str
    triggered_at: datetime
    finished_at: datetime
    kind: str
    size: float
    until: datetime
    rolls_back: bool = False
    feedback: bool | None = None


def invent(seed: int, fleet: Fleet, since: datetime, until: datetime) -> list[Release]:
    """Return what was deployed, in the order of time; all post windows end before `until`."""
    found = [
        release
        for service in range(len(fleet))
        for release in _of_service(np.random.default_rng([seed, 2, service]), fleet, service,
                                   since, until)
    ]  # fmt: skip
    return sorted(found, key=lambda each: (each.triggered_at, each.id))


def _of_service(
    chance: Chance, fleet: Fleet, service: int, since: datetime, until: datetime
) -> list[Release]:
    """Return the deployments of one service; each ends the harm of the one before."""
    found: list[Release] = []
    version = int(chance.integers(10, 300))
    before = f"v1.{version - 1}.0"
    for at in _moments(chance, fleet, service, since, until):
        if found and at < found[-1].finished_at + timedelta(minutes=2):
            continue
        release = _release(chance, fleet, service, at, f"v1.{version}.0", len(found))
        version += 1
        _end_harm(found, release.finished_at)
        found.append(release)
        if len(found) > 1 and chance.random() < SEEN.get(release.kind, 0):
            back_at = release.finished_at + timedelta(minutes=float(chance.uniform(18, 75)))
            back = _release(chance, fleet, service, back_at, before, len(found))
            _end_harm(found, back.finished_at)
            found.append(replace(back, kind=NONE, size=0.0, rolls_back=True, feedback=None))
        else:
            before = release.branch
    return [each for each in found if each.finished_at + SETTLES <= until]


def _moments(
    chance: Chance, fleet: Fleet, service: int, since: datetime, until: datetime
) -> Iterator[datetime]:
    """Yield when somebody wants to deploy: in working hours, seldom on weekends."""
    zone = fleet.zone[service]
    day = since.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    rate = float(fleet.traits.deploys[service])
    while day.astimezone(UTC) < until:
        often = rate * (0.08 if day.weekday() > 4 else 0.6 if day.weekday() == 4 else 1)
        hours = np.clip(chance.normal(13.5, 2.5, chance.poisson(often)), 7, 21)
        for hour in sorted(hours.tolist()):
            at = (day + timedelta(seconds=int(hour * 3600))).astimezone(UTC)
            if since + timedelta(hours=1) <= at < until:
                yield at
        day += timedelta(days=1)


def _release(
    chance: Chance, fleet: Fleet, service: int, at: datetime, branch: str, number: int
) -> Release:
    # Microseconds tell slots of one deployment from those of another, and from the baseline's.
    at = at.replace(microsecond=250_000)
    finished_at = at + timedelta(seconds=int(np.clip(chance.gamma(3, 50), 20, 1500)))
    finished_at = finished_at.replace(microsecond=500_000 + 100 * (number % 4000))
    kind, size = NONE, 0.0
    if chance.random() < fleet.traits.hazard[service]:
        kind = str(chance.choice(list(KINDS)))
        low, high = KINDS[kind]
        size = float(low * (high / low) ** chance.random())
    asked = chance.random() < (FEEDBACK_HARMLESS if kind == NONE else FEEDBACK_HARMFUL)
    return Release(
        id=identify(chance, at),
        service=service,
        branch=branch,
        result="failed" if chance.random() < 0.02 else "success",
        triggered_at=at,
        finished_at=finished_at,
        kind=kind,
        size=size,
        until=finished_at + LONGEST,
        feedback=kind != NONE if asked else None,
    )


def _end_harm(found: list[Release], at: datetime) -> None:
    if found:
        found[-1] = replace(found[-1], until=min(found[-1].until, at))
