"""The API's own five numbers, in the contract of any target: SeqPulse can watch its own deploys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, Request

from api.problems import ProblemError
from api.schemas import MetricsAnswer
from api.state import ConnectionDep, StateDep
from api.traffic import PATH
from core import secrets
from core.database import Connection
from core.types import METRICS
from ingest import signature
from sql import bulk, traffic

CALLS_PER_MINUTE: Final = 10
OLDEST: Final = timedelta(seconds=300)
NEWEST: Final = timedelta(seconds=30)
MAX_NONCE_LENGTH: Final = 128

router = APIRouter(tags=["health"])


@router.get(PATH)
async def show(request: Request, conn: ConnectionDep, state: StateDep) -> MetricsAnswer:
    """Return requests, p95 and errors of the last minute of all API processes together.

    CPU is the share of one processor this process was busy with, memory its share of the
    machine's. Signed with HMAC v2 if SEQPULSE_DS_METRICS_SECRET is set.
    """
    caller = request.client.host if request.client else ""
    state.limits.count(f"ds-metrics {caller}", CALLS_PER_MINUTE)
    if state.settings.ds_metrics_secret is not None:
        await _verify(request, state.settings.ds_metrics_secret.get_secret_value(), conn)
    reading = await state.traffic.read(conn)
    return MetricsAnswer(metrics={name: getattr(reading, name) for name in METRICS})


async def _verify(request: Request, secret: str, conn: Connection) -> None:
    """Let a read pass that was signed for this path, just now and never seen before.

    Raises:
        ProblemError: 401; the text says which of it is not so.
    """
    given = {name: request.headers.get(f"X-SeqPulse-{name}", "") for name in _SIGNED}
    if given["Signature-Version"] != signature.VERSION:
        raise _refused(f"signature version {signature.VERSION} is needed")
    try:
        sent_at = datetime.strptime(given["Timestamp"], signature.TIME_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        raise _refused("the timestamp is missing or malformed") from None
    age = await bulk.read_clock(conn) - sent_at
    if not -NEWEST <= age <= OLDEST:
        raise _refused("the timestamp is too old or too far in the future")
    nonce = given["Nonce"]
    expected = signature.compute(secret, given["Timestamp"], "GET", PATH, nonce)
    if not secrets.same(expected, given["Signature"]):
        raise _refused("the signature is wrong")
    if not 0 < len(nonce) <= MAX_NONCE_LENGTH or not await traffic.use_nonce(conn, nonce):
        raise _refused("the nonce was used before, or is none")


_SIGNED: Final = ("Timestamp", "Nonce", "Signature", "Signature-Version")


def _refused(detail: str) -> ProblemError:
    return ProblemError(
        HTTPStatus.UNAUTHORIZED, detail, headers={"WWW-Authenticate": "SeqPulse-HMAC"}
    )
