"""Rows of a day: what was collected and what was missed, in the order of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from core.codes import CollectCode
from core.types import METRICS
from demo.past import curves
from demo.past.curves import MINUTES
from demo.past.releases import Release
from demo.past.services import Array, Chance, Fleet, Ints

Frame: TypeAlias = pl.DataFrame
SLOT: Final = timedelta(minutes=1)
OUTAGES_A_DAY: Final = 0.03
CODES: Final = (
    CollectCode.TIMEOUT, CollectCode.REFUSED, CollectCode.STATUS, CollectCode.DNS,
    CollectCode.NETWORK,
)  # fmt: skip
WEIGHTS: Final = (0.5, 0.15, 0.2, 0.05, 0.1)


@dataclass(frozen=True, slots=True)
class Slots:
    """Slots of one day; arrays with a place per slot.

    Attributes:
        service, minute: Which reading it is (`curves.measure`).
        slot_us: Its planned moment, microseconds since 1970.
        release: Place of its deployment in `ids`, -1: continuous baseline.
        index: Place in the post window, -1: before the roll-out, or baseline.
    """

    service: Ints
    minute: Ints
    slot_us: Ints
    release: Ints
    index: Ints
    ids: tuple[str, ...]


def plan(fleet: Fleet, day: datetime, releases: Sequence[Release]) -> Slots:
    """Return all slots of a day: of the baseline, and of deployments around it."""
    midnight = microseconds(day)
    size = len(fleet)
    service = np.repeat(np.arange(size), MINUTES)
    minute = np.tile(np.arange(MINUTES), size)
    baseline = midnight + (minute * 60 + fleet.traits.offset[service]) * 1_000_000
    watched = [
        (
            each.service,
            curves.place(at, fleet, each.service, day) - early,
            microseconds(at),
            number,
            index,
        )
        for number, each in enumerate(releases)
        for at, index, early in _watched(fleet, each)
        if day <= at < day + timedelta(days=1)
    ]
    more = np.array(watched, dtype=np.int64).reshape(-1, 5)
    none = np.full(service.size, -1)
    return Slots(
        np.concatenate([service, more[:, 0]]),
        np.clip(np.concatenate([minute, more[:, 1]]), 0, MINUTES - 1),
        np.concatenate([baseline, more[:, 2]]),
        np.concatenate([none, more[:, 3]]),
        np.concatenate([none, more[:, 4]]),
        tuple(str(each.id) for each in releases),
    )


def _watched(fleet: Fleet, release: Release) -> list[tuple[datetime, int, int]]:
    """Return moment and place of the slots of a deployment, and whether they are read before it."""
    planned = fleet.project_of(release.service).post_slots
    post = [(release.finished_at + index * SLOT, index, 0) for index in range(planned)]
    return [(release.triggered_at, -1, 1), *post]


def make(
    chance: Chance, fleet: Fleet, slots: Slots, values: Array, until: datetime
) -> tuple[Frame, Frame]:
    """Return rows of `metric_samples` and of `missed_slots` before `until`, in order of slots."""
    code = _miss(chance, fleet, slots)
    order = np.argsort(slots.slot_us, kind="stable")
    took = np.round(chance.gamma(2, 60_000, slots.slot_us.size)).astype(np.int64) + 20_000
    frame = (
        _identify(fleet, slots)
        .with_columns(
            taken_at=_moments(slots.slot_us + took),
            code=pl.Series(code),
            **dict(zip(METRICS, values[:, slots.service, slots.minute], strict=True)),
        )[order]
        .filter(pl.col("slot_at") < until)
    )
    common = ["project_id", "env", "deployment_id", "phase", "sequence_index"]
    collected = frame.filter(pl.col("code") < 0)
    samples = collected.select(
        "slot_at", pl.col("taken_at").alias("collected_at"), *common, *METRICS
    )
    names = pl.Series(CODES, dtype=pl.String)
    missed = frame.filter(pl.col("code") >= 0).select(
        "slot_at",
        pl.col("taken_at").alias("missed_at"),
        *common,
        pl.col("code").map_elements(lambda place: names[place], pl.String).alias("code"),
        detail=pl.lit("made up"),
    )
    return samples, missed  # fmt: skip


def _identify(fleet: Fleet, slots: Slots) -> pl.DataFrame:
    projects = pl.Series([str(fleet.project_of(each).id) for each in range(len(fleet))])
    planned = slots.release >= 0
    # A last place that stands for no deployment: -1 takes it.
    ids = pl.Series([*slots.ids, None], dtype=pl.String)
    phase = np.where(planned, np.where(slots.index >= 0, 2, 1), 0)
    index = pl.Series(slots.index)
    return pl.DataFrame(
        {
            "slot_at": _moments(slots.slot_us),
            "project_id": projects.gather(slots.service),
            "env": pl.Series(fleet.env).gather(slots.service),
            "deployment_id": ids.gather(np.where(planned, slots.release, len(slots.ids))),
            "phase": pl.Series([None, "pre", "post"], dtype=pl.String).gather(phase),
            "sequence_index": index.set(index < 0, None),
        }
    )


def _miss(chance: Chance, fleet: Fleet, slots: Slots) -> Ints:
    """Return why each slot is missed, a place in `CODES`, -1: it is not."""
    size = slots.service.size
    code = np.where(
        chance.random(size) < fleet.traits.misses[slots.service],
        chance.choice(len(CODES), size, p=WEIGHTS),
        -1,
    )
    for _ in range(chance.poisson(OUTAGES_A_DAY * len(fleet))):
        service = int(chance.integers(len(fleet)))
        since = int(chance.integers(MINUTES))
        until = since + int(chance.integers(5, 120))
        hit = (slots.service == service) & (slots.minute >= since) & (slots.minute < until)
        code = np.where(hit, 1, code)
    return code.astype(np.int64)


def _moments(us: NDArray[np.int64]) -> pl.Series:
    return pl.Series(us).cast(pl.Datetime("us", "UTC"))


def microseconds(moment: datetime) -> int:
    """Return microseconds since 1970, exactly."""
    return (moment - datetime(1970, 1, 1, tzinfo=moment.tzinfo)) // timedelta(microseconds=1)
