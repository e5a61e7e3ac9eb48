"""`Idempotency-Key`: a call that is repeated gets the answer it got, and happens once.

The answer is kept in the transaction of what the call does: whoever is the first to commit has done
it. Only answers below 400 are kept, as nothing was done for the others. A key belongs to the
project (or the operator) and the route; it lives for 24 hours.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable
from typing import Final

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError

from api.problems import Kind, ProblemError
from api.state import State
from core.database import Connection
from sql import kept_answers
from sql.kept_answers import Answer, Call

HEADER: Final = "Idempotency-Key"
_KEY: Final = re.compile(r"[\x21-\x7e]([\x20-\x7e]{0,253}[\x21-\x7e])?")


class _NothingDoneError(Exception):
    """Undoes the transaction of a call that was refused."""

    def __init__(self, response: Response) -> None:
        self.response = response


async def answer_once(
    request: Request, route: str, handle: Callable[[], Awaitable[Response]]
) -> Response:
    """Answer a call, or give the answer again that a call with its key got.

    The function of the route works on the connection of this transaction (`ConnectionDep`).

    Args:
        request: Its caller was let in, its body was read.
        route: Method and template of the path.
        handle: Answers it.

    Raises:
        ProblemError: 409 while another call with this key is under way, 422 if that was another.
    """
    key = read_key(request)
    if key is None:
        return await handle()
    state: State = request.app.state.seqpulse
    caller = getattr(request.state, "caller", None)
    project_id = caller.project.id if caller is not None and caller.key_id else None
    call = Call(project_id, route, key, await _digest(request))
    try:
        async with state.pool.acquire(timeout=5) as conn, conn.transaction():
            if (kept := await _look(conn, state, call)) is not None:
                return _render(kept)
            request.state.conn = conn
            response = await handle()
            if response.status_code >= 400:
                raise _NothingDoneError(response)
            await kept_answers.keep(conn, state.vault, call, _note(response))
    except _NothingDoneError as nothing:
        return nothing.response
    state.waker.wake()  # again: what the route told it was not committed yet
    return response


def read_key(request: Request) -> str | None:
    """Return the key of a request, if it has one.

    Raises:
        RequestValidationError: It is not one value of 1 to 255 visible ASCII characters.
    """
    given = request.headers.getlist(HEADER)
    if not given:
        return None
    if len(given) > 1 or not _KEY.fullmatch(given[0]):
        message = "one value of 1 to 255 visible ASCII characters is needed"
        raise RequestValidationError(
            [{"type": "value_error", "loc": ("header", HEADER), "msg": message}]
        )
    return given[0]


async def _digest(request: Request) -> bytes:
    encoding = request.headers.get("Content-Encoding", "")
    head = f"{request.url.path}?{request.url.query}\n{encoding}\n"
    return hashlib.sha256(head.encode() + await request.body()).digest()


async def _look(conn: Connection, state: State, call: Call) -> Answer | None:
    """Return the answer to give again; None: this call is the first, and others are kept out."""
    if not await kept_answers.try_lock(conn, call):
        raise ProblemError(
            Kind.IN_FLIGHT,
            f"another call with this {HEADER} is under way; try again in 1 s",
            headers={"Retry-After": "1"},
        )
    kept = await kept_answers.find(conn, state.vault, call)
    if kept is not None and not kept.is_of_call:
        raise ProblemError(
            Kind.KEY_REUSED, f"this {HEADER} was used for another call: path, query or body differ"
        )
    return kept and kept.answer


def _note(response: Response) -> Answer:
    headers = [
        (name, value) for name, value in response.headers.items() if name != "content-length"
    ]
    return Answer(response.status_code, headers, bytes(response.body).decode())


def _render(kept: Answer) -> Response:
    response = Response(kept.body, kept.status)
    response.headers.update(dict(kept.headers))
    response.headers["Idempotent-Replayed"] = "true"
    return response
