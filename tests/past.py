"""A past of some weeks, made once a session by `demo.past`, for whoever wants to look at one.

The fixture `past` (tests/conftest.py) is for reading, roles and all. Whoever wants to change
something makes one of their own with `make_past`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from analytics import policy
from core.database import create_pool
from demo.past.make import CONNECTIONS, Made, Plan, make
from scheduler.judging import Policies
from tests import roles


@dataclass(frozen=True, slots=True)
class Past:
    """A database, and the truth about it."""

    url: str
    made: Made


POLICIES: Final = Policies(policy.SEQPULSE_V1, (policy.find("reference-v2"),))


def plan(projects: int = 16, days: int = 21, seed: int = 7) -> Plan:
    """What the tests look at: it ends with the hour that has just begun."""
    until = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    return Plan(projects, days, seed, until, POLICIES)


async def make_past(url: str, planned: Plan | None = None) -> Made:
    """Fill an empty database, and make the roles that read it."""
    async with await create_pool(url, CONNECTIONS) as pool:
        made = await make(pool, planned or plan())
    await roles.make(url)
    return made
