"""The API's own five numbers, in the contract of any target: SeqPulse can watch its own deploys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from fastapi import APIRouter, Request

from api.auth import count, failed, find_address
from api.limits import Limit
from api.routes import Route
from api.schemas import MetricsAnswer
from api.state import ConnectionDep, State, StateDep
from api.traffic import PATH
from core import secrets
from core.database import Connection
from core.types import METRICS
from ingest import signature
from sql import bulk, traffic

UNSIGNED: Final = Limit("ds-metrics", 10)
"""Reads of one address; signed ones are not bounded."""
OLDEST: Final = timedelta(seconds=300)
NEWEST: Final = timedelta(seconds=30)
MAX_NONCE_LENGTH: Final = 128

router = APIRouter(tags=["health"], route_class=Route)


@router.get(PATH, responses={401: {}, 429: {}})
async def show(request: Request, conn: ConnectionDep, state: StateDep) -> MetricsAnswer:
    """Return requests, p95 and errors of the last minute of all API processes together.

    CPU is the share of one processor this process was busy with, memory its share of the
    machine's. Signed with HMAC v2 if SEQPULSE_DS_METRICS_SECRET is set.
    """
    if state.settings.ds_metrics_secret is None:
        count(request, state, find_address(request), UNSIGNED)
    else:
        await _verify(request, state, conn)
    reading = await state.traffic.read(conn)
    return MetricsAnswer(metrics={name: getattr(reading, name) for name in METRICS})


async def _verify(request: Request, state: State, conn: Connection) -> None:
    """Let a read pass that was signed for this path, just now and never seen before.

    Raises:
        ProblemError: 401; the text says which of it is not so. 429, if that happens often.
    """
    if (wrong := await _find_wrong(request, state, conn)) is not None:
        raise failed(request, state, wrong, "SeqPulse-HMAC")


async def _find_wrong(request: Request, state: State, conn: Connection) -> str | None:
    given = {name: request.headers.get(f"X-SeqPulse-{name}", "") for name in _SIGNED}
    if given["Signature-Version"] != signature.VERSION:
        return f"signature version {signature.VERSION} is needed"
    try:
        sent_at = datetime.strptime(given["Timestamp"], signature.TIME_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return "the timestamp is missing or malformed"
    secret = state.settings.ds_metrics_secret
    if secret is None:  # nobody asks then
        raise AssertionError
    age = await bulk.read_clock(conn) - sent_at
    if not -NEWEST <= age <= OLDEST:
        return "the timestamp is too old or too far in the future"
    nonce = given["Nonce"]
    expected = signature.compute(secret.get_secret_value(), given["Timestamp"], "GET", PATH, nonce)
    if not secrets.same(expected, given["Signature"]):
        return "the signature is wrong"
    if not 0 < len(nonce) <= MAX_NONCE_LENGTH or not await traffic.use_nonce(conn, nonce):
        return "the nonce was used before, or is none"
    return None


_SIGNED: Final = ("Timestamp", "Nonce", "Signature", "Signature-Version")
