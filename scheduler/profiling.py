"""Make a profile of a service from its history, while a deployment of it is watched.

That is early enough for its verdict and off its way, and costs nothing where nobody deploys.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from analytics import profile
from core.database import Pool
from core.types import Deployment
from sql import profiles

HISTORY: Final = timedelta(days=7)
LIFE: Final = timedelta(days=1)
"""A profile says nothing wrong a day later: a seventh of its history has changed."""


def choose_until(triggered_at: datetime, baseline_seconds: float) -> datetime:
    """Return where the history of a deployment's profile ends: a full hour before its baseline."""
    begin = triggered_at - timedelta(seconds=baseline_seconds)
    return begin.replace(minute=0, second=0, microsecond=0)


async def build(
    pool: Pool, deployment: Deployment, baseline_seconds: float, interval_seconds: float
) -> bool:
    """Build and store a profile for a deployment unless its service has one that is not old.

    Args:
        pool: Connections.
        deployment: Any deployment of the service.
        baseline_seconds: Length of the baseline window.
        interval_seconds: Distance of two continuous samples.

    Returns:
        Whether there is a new profile; with too little history there is none.
    """
    service: tuple[UUID, str] = (deployment.project_id, deployment.env)
    until = choose_until(deployment.triggered_at, baseline_seconds)
    async with pool.acquire() as conn:
        latest = await profiles.find_latest(conn, *service, until)
        if latest is not None and latest > until - LIFE:
            return False
        history = await profiles.load_history(conn, *service, until - HISTORY, until)
    built = await asyncio.to_thread(profile.build_profile, history, until, interval_seconds)
    if built is None:
        return False
    async with pool.acquire() as conn:
        await profiles.save(conn, *service, until, profile.pack(built))
    return True
