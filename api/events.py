"""Server-sent events: a deployment step by step, until its verdict.

All streams of a process are fed together, see `api.feed`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Header, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api.auth import ReaderDep
from api.feed import Feed
from api.progress import Told, list_events
from api.routes import Route
from api.state import State, StateDep
from core.errors import NotFoundError
from core.types import DeploymentState
from sql import deployments, progress
from sql.progress import Progress

router = APIRouter(tags=["verdicts"], route_class=Route)

LAST_SECONDS: Final = 3600.0
"""Then a stream ends; who still listens comes back by itself, with the id of the last event."""
HEARTBEAT_SECONDS: Final = 15.0
HEARTBEAT: Final = b": still here\n\n"
RETRY: Final = b"retry: 2000\n\n"
STREAM: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"text/event-stream": {}}, "description": "Events `state`, `slot`, `verdict`"},
    204: {"description": "All was told already; a browser stops asking"},
}


@router.get("/deployments/{deployment_id}/events", response_class=Response, responses=STREAM)
async def stream(
    deployment_id: UUID,
    state: StateDep,
    caller: ReaderDep,
    last_event_id: Annotated[str | None, Header(description="id of the last event heard")] = None,
) -> Response:
    """Tell of a deployment what happens, and what has happened since the last event that was heard.

    The stream ends with the verdict, or after an hour. An id that is none tells everything.
    """
    async with state.pool.acquire(timeout=5) as conn:
        await deployments.find(conn, deployment_id, caller.project.id)
        now = (await progress.look(conn, [deployment_id])).get(deployment_id)
    told = Told.parse(last_event_id or "") or Told()
    if now is None or (_is_over(now) and not any(list_events(told, now))):
        return Response(None, HTTPStatus.NO_CONTENT)
    return Stream(state, str(caller.project.id), _tell(state.feed, deployment_id, told, now))


class Stream(StreamingResponse):
    """A stream that has a place while it lasts; without one it is refused."""

    def __init__(self, state: State, caller: str, content: AsyncIterator[bytes]) -> None:
        super().__init__(
            content,
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
            media_type="text/event-stream",
        )
        self._state = state
        self._caller = caller

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        with self._state.streams.take(self._caller):
            await super().__call__(scope, receive, send)


async def _tell(feed: Feed, deployment_id: UUID, told: Told, now: Progress) -> AsyncIterator[bytes]:
    yield RETRY
    until = time.monotonic() + LAST_SECONDS
    with feed.watch(deployment_id) as watcher:
        while True:
            for event in list_events(told, now):
                yield event.encode()
                told = event.told
            if _is_over(now) or feed.closed or time.monotonic() > until:
                return
            try:
                async with asyncio.timeout(HEARTBEAT_SECONDS):
                    now = await watcher.wait()
            except TimeoutError:
                yield HEARTBEAT
            except NotFoundError:
                return


def _is_over(now: Progress) -> bool:
    return now.state is DeploymentState.ANALYZED and now.revision > 0
