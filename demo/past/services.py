"""What each service is like: size, hours, habits, troubles. Arrays with one place per service."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final, TypeAlias
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Chance: TypeAlias = np.random.Generator

ZONES: Final = (
    "Europe/Paris", "America/New_York", "America/Los_Angeles", "Asia/Tokyo", "Asia/Kolkata",
    "Africa/Dakar", "Australia/Sydney",
)  # fmt: skip
AREAS: Final = (
    "checkout", "cart", "search", "catalog", "billing", "identity", "profile", "shipping", "media",
    "pricing", "stock", "orders", "reviews", "mail", "fraud", "ledger", "geo", "feed", "chat",
    "coupons",
)  # fmt: skip
PARTS: Final = (
    "api", "web", "worker", "gateway", "sync", "store", "index", "edge", "batch", "proxy", "admin",
    "events",
)  # fmt: skip
MOST: Final = len(AREAS) * len(PARTS) * 10
"""Projects there are names for."""
STAGED: Final = 10
"""Every so manieth project has a staging environment, too."""
PER_HOST: Final = 8
"""Services that share a host, and its noisy neighbours."""


@dataclass(frozen=True, slots=True)
class Traits:
    """What services are like; an array each, one value per service.

    Attributes:
        requests: Requests per second at midday.
        swing, weekend: How far the night falls below the day, and what a weekend leaves.
        latency: 95th percentile in ms of an idle service; `strain` is what full load adds to it.
        errors: Share of requests that fail anyway.
        cpu, memory: Shares at midday.
        noise: How much everything moves by itself, standard deviation of logarithms.
        misses: Share of slots that are missed.
        batch: Local hour of a nightly batch job, -1: it has none.
        deploys: Deployments on a working day.
        hazard: Share of them that do harm.
        offset: Seconds of its slots after the full minute.
    """

    requests: Array
    swing: Array
    weekend: Array
    latency: Array
    strain: Array
    errors: Array
    cpu: Array
    memory: Array
    noise: Array
    misses: Array
    batch: Ints
    deploys: Array
    hazard: Array
    offset: Ints


@dataclass(frozen=True, slots=True)
class Project:
    """A project: `plan` decides how long its post windows are."""

    id: UUID
    name: str
    plan: str
    post_slots: int


@dataclass(frozen=True, slots=True)
class Fleet:
    """All services.

    Attributes:
        projects: All projects.
        owner: Place of each service's project.
        env: Its environment.
        zone: Its time zone.
        traits: What it is like.
    """

    projects: tuple[Project, ...]
    owner: tuple[int, ...]
    env: tuple[str, ...]
    zone: tuple[ZoneInfo, ...]
    traits: Traits

    def __len__(self) -> int:
        return len(self.owner)

    def project_of(self, service: int) -> Project:
        """Return the project of a service."""
        return self.projects[self.owner[service]]

    def hours_ahead(self, day: date) -> Array:
        """Return how many hours each service's clock is ahead of UTC at noon of a day."""
        noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
        offsets = [noon.astimezone(zone).utcoffset() for zone in self.zone]
        return np.array([0.0 if each is None else each.total_seconds() / 3600 for each in offsets])


def identify(chance: Chance, at: datetime) -> UUID:
    """Return a UUIDv7 of a moment; what is random about it is the generator's."""
    high, low = (int(each) for each in chance.integers(0, 2**62, 2))
    value = int(at.timestamp() * 1000) << 80 | 0x7 << 76 | (high & 0xFFF) << 64
    return UUID(int=value | 0x2 << 62 | low)


def invent(seed: int, projects: int, since: datetime) -> Fleet:
    """Return a fleet: `projects` projects that were created at `since`."""
    chance = np.random.default_rng([seed, 1])
    made = tuple(_project(chance, number, since) for number in range(projects))
    owner = [*range(projects), *range(STAGED - 1, projects, STAGED)]
    env = ["prod"] * projects + ["staging"] * (len(owner) - projects)
    zones = [ZoneInfo(ZONES[place]) for place in chance.integers(0, len(ZONES), projects)]
    staged = np.array([each == "staging" for each in env])
    return Fleet(
        made,
        tuple(owner),
        tuple(env),
        tuple(zones[place] for place in owner),
        _traits(chance, staged),
    )


def _project(chance: Chance, number: int, since: datetime) -> Project:
    round_, place = divmod(number * 7, len(AREAS) * len(PARTS))
    area, part = AREAS[place % len(AREAS)], PARTS[place // len(AREAS)]
    name = f"{area}-{part}" + (f"-{round_ + 1}" if round_ else "")
    plan = "free" if chance.random() < 0.25 else "pro"
    slots = 5 if plan == "free" or chance.random() < 0.1 else 15
    return Project(identify(chance, since), name, plan, slots)


def _traits(chance: Chance, staged: NDArray[np.bool_]) -> Traits:
    size = len(staged)

    def between(low: float, high: float) -> Array:
        return chance.uniform(low, high, size)

    def around(middle: float, spread: float) -> Array:
        return middle * np.exp(chance.normal(0, spread, size))

    requests = np.clip(around(40, 1.2), 1, 3000)
    quiet = chance.random(size) < 0.06
    requests = np.where(quiet | staged, requests * 0.004, requests)
    flaky = chance.random(size) < 0.08
    batch: Any = np.where(chance.random(size) < 0.35, chance.integers(0, 6, size), -1)
    return Traits(
        requests=requests,
        swing=between(0.2, 0.7),
        weekend=between(0.35, 1.05),
        latency=np.clip(around(70, 0.6), 5, 900),
        strain=between(0.1, 0.8),
        errors=between(0.0003, 0.005),
        cpu=between(0.15, 0.6),
        memory=between(0.3, 0.65),
        noise=between(0.02, 0.08),
        misses=np.where(flaky, between(0.02, 0.15), between(0.0, 0.003)),
        batch=batch,
        deploys=np.clip(around(0.9, 0.7), 0.15, 4) * np.where(staged, 0.6, 1),
        hazard=between(0.04, 0.2),
        offset=chance.integers(0, 60, size),
    )
