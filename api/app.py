"""The application: routes, errors, and the life of what they share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Final

from fastapi import FastAPI

from api import (
    channels,
    deliveries,
    deployments,
    ds_metrics,
    health,
    keys,
    problems,
    projects,
    samples,
    verdicts,
)
from api.body import BodyLimit
from api.edge import Edge
from api.limits import CallLimits
from api.openapi import Api
from api.state import State
from api.traffic import CountRequests, Traffic
from core.database import create_pool
from core.settings import Settings
from scheduler.waker import Waker
from sql import migrate

ROOMS: Final = (
    deployments,
    verdicts,
    samples,
    projects,
    keys,
    channels,
    deliveries,
    health,
    ds_metrics,
)


def create_app(settings: Settings, database_url: str) -> FastAPI:
    """Return the application.

    Args:
        settings: Validated settings.
        database_url: The database that was chosen for this process.

    At start-up it opens the pool and makes sure the schema is the one it was written for.
    """
    traffic = Traffic()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        pool = await create_pool(database_url, settings.pool_size, application="seqpulse api")
        async with pool:
            async with pool.acquire() as conn:
                await migrate.check(conn)
            waker = Waker()
            vault = settings.vault()
            state = State(settings, pool, vault, CallLimits(), waker, traffic)
            app.state.seqpulse = state
            async with waker.running(pool), traffic.telling(pool), state.uses.writing(pool):
                yield

    app = Api(
        title="SeqPulse",
        summary="Did this deploy hurt, what exactly, how sure are we, what to do.",
        version=version("seqpulse-server"),
        lifespan=lifespan,
        redirect_slashes=False,
    )
    app.add_middleware(BodyLimit, seconds=settings.body_seconds)
    app.add_middleware(CountRequests, traffic=traffic)
    app.add_middleware(Edge)
    problems.install(app)
    for room in ROOMS:
        app.include_router(room.router)
    return app
