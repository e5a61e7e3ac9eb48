"""A route that knows its caller before it looks at the path or the body.

Every router is made with `route_class=Route`. In order: who calls and how often, the whole body in
time, what it says it is, whether the call is repeated, and only then the function of the route.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from functools import partial
from typing import Any

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from api import idempotency
from api.auth import READING, Guard, OperatorGuard
from api.problems import Kind, ProblemError


class Route(APIRoute):
    """See the module."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request: the framework's part comes last."""
        handle = super().get_route_handler()
        guard = next(find_guards(self.dependant), None)

        async def answer(request: Request) -> Response:
            if self.param_convertors and request.scope["path"] in request.app.fixed_paths:
                raise HTTPException(405)  # of that path, which does not know the method
            if guard is not None:
                await guard.admit(request)
            strict = StrictRequest(request.scope, request.receive)
            return await self.answer(strict, partial(handle, strict))

        return answer

    async def answer(self, request: Request, handle: Callable[[], Awaitable[Response]]) -> Response:
        """Answer a request whose caller was let in."""
        if request.method in READING:
            return await handle()
        if await read_body(request) and self.body_field is not None:
            self._check_type(request)
            await request.json()
        return await idempotency.answer_once(request, f"{request.method} {self.path}", handle)

    def _check_type(self, request: Request) -> None:
        given = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if given != "application/json":
            raise ProblemError(
                Kind.MEDIA_TYPE,
                "Content-Type: application/json is needed",
                headers={"Accept-Post": "application/json"},
            )


class StrictRequest(Request):
    """A request whose JSON means one thing: no name twice in an object, no NaN, no Infinity."""

    async def json(self) -> Any:  # noqa: ANN401 - whatever the caller sent
        """Return the document.

        Raises:
            ProblemError: 400.
        """
        if hasattr(self, "_json"):
            return self._json
        body = await self.body()
        try:
            text = body.decode("utf-8")
            self._json = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse)
        except (ValueError, RecursionError):
            raise ProblemError(
                Kind.BAD_REQUEST,
                "the body is not JSON in UTF-8, has a name twice in an object, or nests too deep",
            ) from None
        return self._json


async def read_body(request: Request) -> bytes:
    """Return the whole body; `api.body` bounds it.

    Raises:
        ProblemError: 400 if the caller hung up: nobody hears it, but it is no error of ours.
    """
    try:
        return await request.body()
    except ClientDisconnect:
        raise ProblemError(Kind.BAD_REQUEST, "the body was broken off") from None


def find_guards(dependant: Dependant) -> Iterator[Guard | OperatorGuard]:
    """Yield what stands before a route; at most one."""
    for each in dependant.dependencies:
        if isinstance(each.call, Guard | OperatorGuard):
            yield each.call
        yield from find_guards(each)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError
    return members


def _refuse(_constant: str) -> None:
    raise ValueError
