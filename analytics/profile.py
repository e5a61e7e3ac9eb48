"""What a service's own history says of how much it moves by itself.

A profile is a value: made once from the continuous samples of a service, stored, and handed to
every judgement of its deployments. Live and replayed verdicts use the same profile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import polars as pl

from analytics.blocks import Array, Rows

VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class ServiceProfile:
    """The profile of one service.

    Attributes:
        until: End of the history it was made of.
        slot_seconds: Grid of that history.
        values: The numbers, shape (n,); what they are is the business of this module.
    """

    until: datetime
    slot_seconds: float
    values: Array


@dataclass(frozen=True, slots=True)
class Stack:
    """Profiles of a block's deployments.

    Attributes:
        values: The distinct profiles, shape (p, n).
        place: Which of them each deployment has, shape (d,); -1 for none.
    """

    values: Array
    place: Rows


def build_profile(
    history: pl.DataFrame, until: datetime, slot_seconds: float = 60.0
) -> ServiceProfile | None:
    """Return the profile of a service, or None if there is too little history.

    Args:
        history: slot_at and the five metrics of continuous samples, in any order; rows outside
            the seven days before `until` are ignored.
        until: End of the history.
        slot_seconds: Seconds between its samples.
    """
    del history, until, slot_seconds
    return None


def pack(profile: ServiceProfile) -> bytes:
    """Return `profile` as bytes for a table."""
    head = np.array([VERSION, profile.until.timestamp(), profile.slot_seconds])
    return np.concatenate([head, profile.values]).astype("<f8").tobytes()


def unpack(packed: bytes) -> ServiceProfile | None:
    """Return the profile that was packed, bit for bit; None if another version packed it."""
    raise NotImplementedError


def stack(profiles: Mapping[str, ServiceProfile], deployment_ids: Sequence[str]) -> Stack | None:
    """Return the profiles of `deployment_ids`; None if there are none."""
    del profiles, deployment_ids
    return None
