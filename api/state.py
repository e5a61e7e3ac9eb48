"""What every request may use: settings, pool, vault, limits, and whoever else is at work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, TypeAlias

from fastapi import Depends, Request

from api.feed import Feed
from api.gathering import Gathering
from api.limits import CallLimits, Places
from api.lookout import Lookout
from api.metrics import Telemetry
from api.traffic import Traffic
from api.uses import Uses
from api.waiting import Waiting
from core.database import Connection, Pool
from core.secrets import Vault
from core.settings import Settings
from scheduler.waker import Waker


@dataclass(frozen=True, slots=True)
class State:
    """One per process, made at start-up."""

    settings: Settings
    pool: Pool
    vault: Vault
    limits: CallLimits
    waker: Waker
    traffic: Traffic
    waiting: Waiting
    feed: Feed
    lookout: Lookout
    telemetry: Telemetry
    gathering: Gathering = field(default_factory=Gathering)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    uses: Uses = field(default_factory=Uses)
    pushes: Places = field(default_factory=lambda: Places(overall=32, each=4))
    waits: Places = field(default_factory=lambda: Places(overall=5000, each=2500))
    streams: Places = field(default_factory=lambda: Places(overall=1000, each=200))
    rejudges: Places = field(default_factory=lambda: Places(overall=200, each=100))

    def let_go(self) -> None:
        """End every wait and every stream: the process is about to end."""
        self.waiting.close()
        self.feed.close()


async def get_state(request: Request) -> State:  # async: what is not is sent to a thread
    """Return the state of the process."""
    state: State = request.app.state.seqpulse
    return state


StateDep: TypeAlias = Annotated[State, Depends(get_state)]


@asynccontextmanager
async def connecting(request: Request, state: State) -> AsyncIterator[Connection]:
    """Lend a connection of the pool.

    A call with an Idempotency-Key works on the one whose transaction keeps its answer.
    """
    held: Connection | None = getattr(request.state, "conn", None)
    if held is not None:
        yield held
        return
    state.lookout.require_database()
    async with state.pool.acquire(timeout=5) as conn:
        yield conn


async def get_connection(request: Request, state: StateDep) -> AsyncIterator[Connection]:
    """Lend a connection for the length of the request."""
    async with connecting(request, state) as conn:
        yield conn


ConnectionDep: TypeAlias = Annotated[Connection, Depends(get_connection)]
