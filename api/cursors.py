"""Where a page of a list ended: an opaque text that nobody but us can make."""

from __future__ import annotations

import base64
import struct
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final
from uuid import UUID

from fastapi import Query, Request, Response
from fastapi.exceptions import RequestValidationError

from core import secrets
from core.secrets import Vault
from sql.lists import BEGIN, Place

_FORM: Final = struct.Struct(">q16si")
_SEAL: Final = 12
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)

Cursor = Annotated[
    str | None,
    Query(max_length=100, description="where the page before ended, from its header Link"),
]
Limit = Annotated[int, Query(ge=1, le=200, description="rows of a page")]


def write(vault: Vault, place: Place) -> str:
    """Return the text that stands for a place."""
    micros = (place.at - _EPOCH) // timedelta(microseconds=1)
    packed = _FORM.pack(micros, place.deployment_id.bytes, place.position)
    return base64.urlsafe_b64encode(packed + _seal(vault, packed)).decode().rstrip("=")


def read(vault: Vault, text: str | None) -> Place:
    """Return the place a text stands for, the begin for None.

    Raises:
        RequestValidationError: It was not made here.
    """
    if text is None:
        return BEGIN
    try:
        sealed = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
    except ValueError:
        sealed = b""
    packed = sealed[: _FORM.size]
    if len(sealed) != _FORM.size + _SEAL or not secrets.same(
        sealed[_FORM.size :], _seal(vault, packed)
    ):
        message = "not one of ours: begin anew, without it"
        raise RequestValidationError(
            [{"type": "value_error", "loc": ("query", "cursor"), "msg": message}]
        )
    micros, identity, position = _FORM.unpack(packed)
    return Place(_EPOCH + timedelta(microseconds=micros), UUID(bytes=identity), position)


def link_next(request: Request, response: Response, cursor: str) -> None:
    """Tell where the next page is (RFC 8288), with everything that was asked for in this one."""
    where = request.url.include_query_params(cursor=cursor)
    response.headers["Link"] = f'<{where.path}?{where.query}>; rel="next"'


def _seal(vault: Vault, packed: bytes) -> bytes:
    return vault.digest("cursor " + packed.hex())[:_SEAL]
