"""The application: routes, errors, and the life of what they share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Final

from fastapi import FastAPI
from fastapi.routing import APIRoute

from api import (
    afterwards,
    channels,
    deliveries,
    deployments,
    ds_metrics,
    events,
    health,
    keys,
    lookups,
    problems,
    projects,
    report,
    samples,
    verdicts,
)
from api.access import Access
from api.body import BodyLimit
from api.edge import Edge
from api.feed import Feed
from api.limits import CallLimits
from api.lookout import Lookout
from api.metrics import METHODS, UNMATCHED, Telemetry
from api.openapi import Api
from api.state import State
from api.traffic import Traffic
from api.waiting import Waiting
from core.database import create_pool
from core.settings import Settings
from scheduler.waker import Waker
from sql import migrate

ROOMS: Final = (
    verdicts,
    report,
    deployments,
    events,
    afterwards,
    lookups,
    samples,
    projects,
    keys,
    channels,
    deliveries,
    health,
    ds_metrics,
)
STATEMENT_SECONDS: Final = 15.0
"""A statement of a request that takes longer is broken off: nobody waits for it any more."""


def create_app(settings: Settings, database_url: str) -> FastAPI:
    """Return the application.

    Args:
        settings: Validated settings.
        database_url: The database that was chosen for this process.

    At start-up it opens the pool and makes sure the schema is the one it was written for.
    """
    traffic = Traffic()
    telemetry = Telemetry()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        pool = await create_pool(
            database_url,
            settings.pool_size,
            application="seqpulse api",
            command_timeout=STATEMENT_SECONDS,
        )
        async with pool:
            async with pool.acquire() as conn:
                await migrate.check(conn)
            waker = Waker()
            vault = settings.vault()
            feed = Feed()
            waiting = Waiting(database_url, settings.poll_seconds, also=feed.hear)
            lookout = Lookout(database_url, pool)
            telemetry.watch(lookout, pool)
            state = State(
                settings,
                pool,
                vault,
                CallLimits(),
                waker,
                traffic,
                waiting,
                feed,
                lookout,
                telemetry,
            )
            app.state.seqpulse = state
            async with (
                lookout.watching(),
                waker.running(pool),
                traffic.telling(pool),
                state.uses.writing(pool),
                waiting.running(pool),
                feed.running(pool),
                state.gathering.running(pool),
            ):
                yield

    app = Api(
        title="SeqPulse",
        summary="Did this deploy hurt, what exactly, how sure are we, what to do.",
        version=version("seqpulse-server"),
        lifespan=lifespan,
        redirect_slashes=False,
    )
    app.add_middleware(BodyLimit, seconds=settings.body_seconds)
    app.add_middleware(Access, traffic=traffic, telemetry=telemetry, logs=settings.access_log)
    app.add_middleware(Edge)
    problems.install(app)
    for room in ROOMS:
        app.include_router(room.router)
        telemetry.expect(
            (route.path, route.methods or ())
            for route in room.router.routes
            if isinstance(route, APIRoute)
        )
    telemetry.expect([(UNMATCHED, METHODS)])
    return app
