"""The collector against a real service instrumented with the published SDK."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import uvicorn
from fastapi import FastAPI, Request, Response
from seqpulse import SeqPulse
from starlette.middleware.base import RequestResponseEndpoint

from core.errors import CollectError
from core.types import CollectCode, Plan, Reading, Target
from ingest.collector import Collector

SECRET = "hmac_" + "5ec2e7" * 10
PLAN = Plan("generous", post_slots=(5,), reads_per_slot=1000)


def target(endpoint: str, secret: str | None = SECRET) -> Target:
    return Target(UUID(int=7), "prod", endpoint, PLAN, secret)


def collector() -> Collector:
    return Collector(timeout_seconds=5.0, slot_seconds=60.0, target_allow=("127.0.0.0/8",))


@dataclass
class InstrumentedApp:
    """A FastAPI service with the published SDK, and the statuses it answered."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)


@pytest.fixture(scope="module")
def service() -> Iterator[InstrumentedApp]:
    """Serve an instrumented app from a thread of its own."""
    served = InstrumentedApp()
    app = FastAPI()
    app.middleware("http")(
        SeqPulse(endpoint="/metrics", hmac_enabled=True, hmac_secret=SECRET).middleware()
    )

    @app.middleware("http")
    async def record(request: Request, call_next: RequestResponseEndpoint) -> Response:
        response = await call_next(request)
        served.statuses.append(response.status_code)
        return response

    with socket.create_server(("127.0.0.1", 0)) as listening:
        served.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield served
        server.should_exit = True
        thread.join()


@pytest.mark.parametrize("path", ["/metrics", "/metrics/", "/metrics?a=/b/&c=d", "/metrics/?x"])
async def test_the_sdk_accepts_our_signature(service: InstrumentedApp, path: str) -> None:
    async with collector() as reads:
        for _ in range(2):  # each with a nonce of its own
            reading = await reads.collect(target(service.url + path))
            assert isinstance(reading, Reading)
            assert 0 < reading.memory_usage <= 1
    assert service.statuses[-2:] == [200, 200]


@pytest.mark.parametrize("shift", [timedelta(minutes=-10), timedelta(minutes=10)])
async def test_the_sdk_refuses_a_skewed_clock(service: InstrumentedApp, shift: timedelta) -> None:
    async with collector() as reads:
        with pytest.raises(CollectError) as caught:
            await reads.collect(target(service.url + "/metrics"), now=datetime.now(UTC) + shift)
    assert caught.value.code is CollectCode.AUTH_REJECTED
    assert service.statuses[-1] == 401


@pytest.mark.parametrize("secret", ["wrong", None])
async def test_the_sdk_refuses_a_wrong_secret(service: InstrumentedApp, secret: str | None) -> None:
    async with collector() as reads:
        with pytest.raises(CollectError) as caught:
            await reads.collect(target(service.url + "/metrics", secret))
    assert caught.value.code is CollectCode.AUTH_REJECTED
    assert caught.value.permanent
    assert service.statuses[-1] == 401


async def test_the_sdk_refuses_a_replayed_nonce(service: InstrumentedApp) -> None:
    async with collector() as reads:
        await reads.collect(target(service.url + "/metrics"), nonce="seen")
        assert service.statuses[-1] == 200
        with pytest.raises(CollectError) as caught:
            await reads.collect(target(service.url + "/metrics"), nonce="seen")
    assert caught.value.code is CollectCode.AUTH_REJECTED
    assert service.statuses[-1] == 401
