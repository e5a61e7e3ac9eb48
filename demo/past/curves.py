"""What all services measured on a day, minute by minute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from core.types import METRICS
from demo.past.releases import NONE, Release
from demo.past.services import PER_HOST, Array, Chance, Fleet

MINUTES: Final = 1440
MEMORY: Final = 0.92
"""What is left of a movement after a minute."""
NEIGHBOURS_A_DAY: Final = 0.25
INCIDENTS_A_DAY: Final = 0.02


@dataclass
class Weather:
    """What moves by itself; it carries over from day to day.

    Attributes:
        state: Of the movement of every metric, shape (metrics, services).
    """

    state: Array

    def blow(self, chance: Chance) -> Array:
        """Return a day's movements, standard deviation 1, shape (metrics, services, minutes)."""
        moves: Array = chance.standard_normal((*self.state.shape, MINUTES))
        moves *= (1 - MEMORY**2) ** 0.5
        for minute in range(MINUTES):
            self.state = MEMORY * self.state + moves[:, :, minute]
            moves[:, :, minute] = self.state
        return moves


@dataclass
class Day:
    """A day while it is being made; arrays of shape (services, minutes)."""

    load: Array
    latency: Array
    errors: Array
    cpu: Array
    memory: Array


def begin(fleet: Fleet) -> Weather:
    """Return the weather before the first day."""
    return Weather(np.zeros((len(METRICS), len(fleet))))


def measure(
    chance: Chance, fleet: Fleet, day: datetime, weather: Weather, releases: Sequence[Release]
) -> Array:
    """Return what was measured on the day that begins at `day` (UTC).

    Args:
        chance: Of this day alone.
        fleet: The services.
        day: Midnight.
        weather: As the day before left it.
        releases: Those whose roll-out or harm touches the day.

    Returns:
        The metrics in their order, shape (metrics, services, minutes). Minute m of a service is
        the reading at its offset after the m-th full minute.
    """
    made = _usual(fleet, day)
    _neighbours(chance, made)
    _incidents(chance, made)
    for release in releases:
        _strike(made, release, fleet, day)
    return _read(chance, fleet, made, weather.blow(chance))


def place(moment: datetime, fleet: Fleet, service: int, day: datetime) -> int:
    """Return the first minute of a service that is not before a moment, perhaps of another day."""
    passed = (moment - day).total_seconds() - float(fleet.traits.offset[service])
    return int(np.ceil(passed / 60))


def _usual(fleet: Fleet, day: datetime) -> Day:
    traits = fleet.traits
    ahead = fleet.hours_ahead(day.date())[:, None]
    hours = np.arange(MINUTES)[None, :] / 60 + ahead
    weekday = (day.weekday() + np.floor(hours / 24)) % 7
    swing = traits.swing[:, None]
    load = 1 - swing * (1 - np.cos((hours - 14.5) / 24 * 2 * np.pi)) / 2
    load = load * np.where(weekday > 4, traits.weekend[:, None], 1)
    batch = (np.abs(hours % 24 - traits.batch[:, None] - 0.4) < 0.4) & (traits.batch[:, None] >= 0)
    latency = traits.latency[:, None] * (1 + traits.strain[:, None] * load**2)
    return Day(
        load=load,
        latency=latency * (1 + 0.12 * batch),
        errors=np.broadcast_to(traits.errors[:, None], load.shape).copy(),
        cpu=traits.cpu[:, None] * (0.3 + 0.7 * load) + 0.2 * batch,
        memory=traits.memory[:, None] * (1 + 0.05 * load) + 0.05 * batch,
    )


def _neighbours(chance: Chance, day: Day) -> None:
    """Somebody on the same host takes processor time: latency rises, through no fault of ours."""
    services = day.load.shape[0]
    hosts = -(-services // PER_HOST)
    for _ in range(chance.poisson(NEIGHBOURS_A_DAY * hosts)):
        host = int(chance.integers(hosts))
        theirs = slice(host * PER_HOST, (host + 1) * PER_HOST)
        since = int(chance.integers(MINUTES))
        span = slice(since, since + int(chance.integers(8, 40)))
        strength = chance.uniform(0.1, 0.5)
        day.latency[theirs, span] *= 1 + strength
        day.cpu[theirs, span] += strength / 4


def _incidents(chance: Chance, day: Day) -> None:
    """Something breaks without anybody having deployed."""
    for _ in range(chance.poisson(INCIDENTS_A_DAY * day.load.shape[0])):
        service = int(chance.integers(day.load.shape[0]))
        since = int(chance.integers(MINUTES))
        span = slice(since, since + int(chance.integers(10, 90)))
        day.latency[service, span] *= chance.uniform(1.3, 3)
        day.errors[service, span] += chance.uniform(0, 0.2)
        day.load[service, span] *= chance.uniform(0.6, 1)


def _strike(day: Day, release: Release, fleet: Fleet, midnight: datetime) -> None:
    """Let a release restart its service, and do its harm from its finish on."""
    mine = release.service
    begin, finish, end = (
        place(moment, fleet, mine, midnight)
        for moment in (release.triggered_at, release.finished_at, release.until)
    )
    rollout = slice(max(begin, 0), max(min(finish, MINUTES), 0))
    day.latency[mine, rollout] *= 1.06
    harm = slice(max(finish, 0), max(min(end, MINUTES), 0))
    if release.kind == NONE or harm.start >= harm.stop:
        return
    age = np.arange(harm.start, harm.stop) - finish
    match release.kind:
        case "errors":
            day.errors[mine, harm] += release.size
        case "latency":
            day.latency[mine, harm] *= 1 + release.size
        case "cpu":
            day.cpu[mine, harm] *= 1 + release.size
            day.latency[mine, harm] *= 1 + release.size / 5
        case "memory_leak":
            day.memory[mine, harm] += release.size * age / 60
        case "traffic_loss":
            day.load[mine, harm] *= 1 - release.size
        case "ramp":
            day.latency[mine, harm] *= 1 + release.size * np.minimum(age / 12, 1)


def _read(chance: Chance, fleet: Fleet, day: Day, moves: Array) -> Array:
    noise = fleet.traits.noise[:, None]
    fast = chance.standard_normal(moves.shape) * 0.4
    moves = (moves + fast) * noise
    requests = fleet.traits.requests[:, None] * day.load * np.exp(moves[0])
    asked = chance.poisson(requests * 60)  # a minute's worth: few requests are noisy by themselves
    failed = chance.binomial(asked, np.clip(day.errors * np.exp(3 * moves[2]), 0, 1))
    memory = np.clip(day.memory + moves[4] / 6, 0.02, 0.985)
    latency = day.latency * np.exp(moves[1]) * (1 + 3 * np.maximum(memory - 0.9, 0))
    latency = np.where(asked > 0, latency, 0)
    return np.stack(
        [
            np.round(asked / 60, 3),
            np.round(latency, 2),
            np.round(failed / np.maximum(asked, 1), 5),
            np.round(np.clip(day.cpu * np.exp(2 * moves[3]), 0.005, 1), 4),
            np.round(memory, 4),
        ]
    )


def touches(release: Release, day: datetime) -> bool:
    """Say whether a release changes what is measured on a day."""
    return release.triggered_at < day + timedelta(days=1, minutes=1) and release.until > day
