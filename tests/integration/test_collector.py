"""The collector against real servers on the loopback that misbehave by script."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import socket
import threading
import traceback
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from unittest.mock import Mock
from urllib.parse import parse_qs
from uuid import UUID

import pytest

from core.codes import SourceKind
from core.errors import CollectError
from core.types import METRICS, CollectCode, Plan, Reading, Target
from ingest import web
from ingest.collector import Collector

SECRET = "hmac_" + "5ec2e7" * 10
GENEROUS = Plan("generous", post_slots=(5,), reads_per_slot=1000)
READING = Reading(12.5, 180, 0.01, 0.5, 0.25)
BOMB = gzip.compress(bytes(10_000_000))
GOOD = json.dumps({"metrics": asdict(READING)}).encode()


def target(endpoint: str, secret: str | None = SECRET) -> Target:
    return Target(UUID(int=7), "prod", endpoint, GENEROUS, secret)


def collector(timeout: float = 5.0, allow: tuple[str, ...] = ("127.0.0.0/8",)) -> Collector:
    return Collector(timeout_seconds=timeout, slot_seconds=60.0, target_allow=allow)


Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class ScriptedServer:
    """A server on the loopback, and the heads and bodies of the requests it got."""

    port: int = 0
    heads: list[str] = field(default_factory=list)
    bodies: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/metrics"


@asynccontextmanager
async def serve(script: Script | bytes, port: int = 0) -> AsyncIterator[ScriptedServer]:
    """Read the head of one request, follow the script (or send these bytes), hang up."""
    served = ScriptedServer()
    handlers: list[asyncio.Task[None] | None] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.append(asyncio.current_task())
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            if length := re.search(r"\r\nContent-Length: (\d+)\r\n", head):
                served.bodies.append((await reader.readexactly(int(length[1]))).decode())
            served.heads.append(head)
            if isinstance(script, bytes):
                writer.write(script)
            else:
                await script(reader, writer)
            writer.close()
            await writer.wait_closed()
        except (OSError, EOFError):
            writer.close()

    async with await asyncio.start_server(handle, "127.0.0.1", port) as server:
        served.port = server.sockets[0].getsockname()[1]
        yield served
        await asyncio.gather(*filter(None, handlers))


def response(body: bytes = GOOD, status: str = "200 OK", **headers: str) -> bytes:
    """Return the bytes of an answer; a header given as "" is left out."""
    default = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    named = default | {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{name}: {value}\r\n" for name, value in named.items() if value]
    return f"HTTP/1.1 {status}\r\n{''.join(lines)}\r\n".encode() + body


async def never_answer(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()  # until the other side hangs up


async def drip_headers(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await drip(writer, b"HTTP/1.1 200 OK\r\nX-Filler: ")


async def drip_body(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await drip(writer, response(Content_Length="60000")[:-1])


async def drip(writer: asyncio.StreamWriter, start: bytes) -> None:
    """Send a byte every now and then, so that no single read takes long."""
    writer.write(start)
    while True:
        await asyncio.sleep(0.02)
        writer.write(b" ")
        await writer.drain()


async def endless_chunks(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(response(b"", Content_Length="", Transfer_Encoding="chunked"))
    while True:
        writer.write(b"1000\r\n" + b" " * 4096 + b"\r\n")
        await writer.drain()


async def endless_headers(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-Filler: " + b"x" * 4096 + b"\r\n")
        await writer.drain()


async def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    linger = b"\x01\0\0\0\0\0\0\0"  # on, 0 s: close with RST
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


FAULTS: dict[str, tuple[Script | bytes, str]] = {
    "no answer": (never_answer, "timeout"),
    "slow headers": (drip_headers, "timeout"),
    "slow body": (drip_body, "timeout"),
    "many 1xx": (b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, "network"),
    "hang up": (b"", "network"),
    "reset": (reset, "network"),
    "not HTTP": (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "network"),
    "bad length": (response(Content_Length="-1"), "network"),
    "truncated": (response(Content_Length="60000"), "network"),
    "truncated chunk": (
        response(b"ff\r\n", Content_Length="", Transfer_Encoding="chunked"),
        "network",
    ),
    "endless headers": (endless_headers, "network"),
    "endless chunks": (endless_chunks, "too_large"),
    "too large": (response(b" " * 70_000), "too_large"),
    "gzip bomb": (response(BOMB, Content_Encoding="gzip"), "payload_invalid"),
    "gzip transfer": (response(Content_Length="", Transfer_Encoding="gzip, chunked"), "network"),
    "redirect": (response(b"", "302 Found", Location="http://169.254.169.254/latest"), "status"),
    "switch": (response(b"", "101 Switching Protocols", Upgrade="x"), "network"),
    "no content": (response(b"", "204 No Content", Content_Length=""), "status"),
    "broken": (response(status="500 Internal Server Error"), "status"),
    "overloaded": (response(status="503 Service Unavailable"), "status"),
    "401": (response(status="401 Unauthorized"), "auth_rejected"),
    "403": (response(status="403 Forbidden"), "auth_rejected"),
    "429": (response(status="429 Too Many Requests"), "rate_limited"),
    "text": (response(Content_Type="text/plain"), "payload_invalid"),
}
BODIES = {
    "bad JSON": b"{",
    "BOM": b"\xef\xbb\xbf" + GOOD,
    "latin-1": GOOD[:-1] + b', "\xe9": 1}',
    "deep": b"[" * 60_000,
    "twice": GOOD[:-2] + b', "cpu_usage": 0}}',
    "NaN": GOOD.replace(b"12.5", b"NaN"),
    "Infinity": GOOD.replace(b"12.5", b"Infinity"),
    "1e999": GOOD.replace(b"12.5", b"1e999"),
    "huge": GOOD.replace(b"12.5", b"1" * 400),
    "longest": GOOD.replace(b"12.5", b"1" * 5000),
    "negative": GOOD.replace(b"12.5", b"-1"),
    "bool": GOOD.replace(b"12.5", b"true"),
    "nested": GOOD.replace(b"12.5", b'{"value": 1}'),
}
FAULTS |= {name: (response(body), "payload_invalid") for name, body in BODIES.items()}


@pytest.mark.parametrize("fault", FAULTS)
async def test_every_fault_has_its_code_and_tells_no_secret(fault: str) -> None:
    script, code = FAULTS[fault]
    async with serve(script) as server, collector(timeout=0.4) as reads:
        aim = target(server.url + "?token=hunter2")
        started_at = asyncio.get_running_loop().time()
        with pytest.raises(CollectError) as caught:
            await reads.collect(aim)
        assert asyncio.get_running_loop().time() - started_at < 2
        assert len(server.heads) == 1
    assert caught.value.code == code
    assert len(caught.value.detail) <= 200
    assert caught.value.__cause__ is None, "httpx's errors hold the request and its headers"
    told = "".join(traceback.format_exception(caught.value)) + repr(reads) + repr(caught.value)
    assert not any(secret in told for secret in (SECRET, "hunter2", "127.0.0.1"))


@pytest.mark.parametrize("fault", sorted(FAULTS.keys() - BODIES.keys()))
async def test_a_prometheus_gets_no_more_patience_than_an_sdk(fault: str) -> None:
    script, code = FAULTS[fault]
    async with serve(script) as server, collector(timeout=0.4) as reads:
        with pytest.raises(CollectError) as caught:
            await reads.collect(prometheus_at(server.url))
        assert len(server.heads) == 1
    assert caught.value.code == code
    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert not any(secret in told for secret in ("hunter2", "127.0.0.1", "vector"))


@pytest.mark.parametrize("fault", ["endless headers", "endless chunks", "gzip bomb", "too large"])
async def test_an_endless_answer_takes_no_memory(fault: str) -> None:
    async with serve(FAULTS[fault][0]) as server, collector(timeout=5) as reads:
        tracemalloc.start()
        try:
            with pytest.raises(CollectError):
                await reads.collect(target(server.url))
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert most < 3_000_000


def prometheus_at(url: str) -> Target:
    return Target(
        UUID(int=7),
        "prod",
        url,
        GENEROUS,
        source=SourceKind.PROMETHEUS,
        queries=dict.fromkeys(METRICS, "vector(1)"),
        header=("Authorization", "Bearer hunter2"),
    )


async def test_a_prometheus_is_asked_for_the_slot_s_own_moment_with_our_credential() -> None:
    slot_at = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
    result = [
        {"metric": {"seqpulse": name}, "value": [slot_at.timestamp(), str(value)]}
        for name, value in asdict(READING).items()
        if name in METRICS
    ]
    document = {"status": "success", "data": {"resultType": "vector", "result": result}}
    answer = response(json.dumps(document).encode())
    async with serve(answer) as server, collector() as reads:
        aim = prometheus_at(server.url.replace("/metrics", "/prom/"))
        assert await reads.collect(aim, slot_at=slot_at) == READING
    assert server.heads[0].startswith("POST /prom/api/v1/query HTTP/1.1\r\n")
    assert "\r\nAuthorization: Bearer hunter2\r\n" in server.heads[0]
    sent = parse_qs(server.bodies[0])
    assert sent["time"] == ["1767323045.678"]
    assert sent["query"][0].count("label_replace((vector(1)\n)") == 5


async def test_the_request_is_plain_and_keeps_no_memory() -> None:
    answer = response(Set_Cookie="session=1; Path=/")
    async with serve(answer) as server, collector() as reads:
        for _ in range(2):
            assert await reads.collect(target(server.url, secret=None)) == READING
    expected = [
        "GET /metrics HTTP/1.1",
        f"Host: 127.0.0.1:{server.port}",
        "User-Agent: seqpulse-server",
        "Accept: application/json",
        "Accept-Encoding: identity",
        "Connection: close",
    ]
    assert [head.split("\r\n")[:-2] for head in server.heads] == [expected, expected]


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with serve(response()) as server, collector() as reads:
        await reads.collect(target(server.url))


async def test_nobody_listens() -> None:
    async with serve(response()) as server:
        pass
    async with collector() as reads:
        with pytest.raises(CollectError) as caught:
            await reads.collect(target(server.url))
    assert caught.value.code is CollectCode.REFUSED


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:{}/", "http://user@x:{}/", "gopher://x:{}"])
async def test_a_forbidden_target_is_never_touched(endpoint: str) -> None:
    async with serve(response()) as server, collector(allow=()) as reads:
        with pytest.raises(CollectError) as caught:
            await reads.collect(target(endpoint.format(server.port)))
    assert caught.value.code is CollectCode.FORBIDDEN_TARGET
    assert caught.value.permanent
    assert server.heads == []


def resolve_to(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> None:
    """Let the DNS give these answers, one after the other, and then none."""
    found = [[(0, 0, 0, "", (address, 0)) for address in answer] for answer in answers]
    monkeypatch.setattr(socket, "getaddrinfo", Mock(side_effect=found))


async def test_the_name_is_asked_for_once_and_its_second_address_is_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with serve(response()) as server, collector() as reads:
        resolve_to(monkeypatch, ["127.0.0.2", "127.0.0.1"])
        await reads.collect(target(f"http://service.test:{server.port}/metrics"))
    assert f"Host: service.test:{server.port}\r\n" in server.heads[0]


async def test_an_address_that_says_nothing_is_left_for_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(web, "CONNECT_SECONDS", 0.1)
    with socket.create_server(("127.0.0.2", 0), backlog=1) as full:
        port = full.getsockname()[1]
        crowd = [socket.socket() for _ in range(8)]  # nobody accepts, so the next one hangs
        for one in crowd:
            one.setblocking(False)
            one.connect_ex(("127.0.0.2", port))
        async with serve(response(), port) as server, collector() as reads:
            resolve_to(monkeypatch, ["127.0.0.2", "127.0.0.1"])
            assert await reads.collect(target(f"http://service.test:{server.port}/")) == READING
        for one in crowd:
            one.close()


async def test_a_name_that_turns_to_a_private_address_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with serve(response()) as server, collector() as reads:
        resolve_to(monkeypatch, ["127.0.0.1"], ["169.254.169.254"])
        aim = target(f"http://service.test:{server.port}/metrics")
        await reads.collect(aim)
        with pytest.raises(CollectError) as caught:
            await reads.collect(aim)
    assert caught.value.code is CollectCode.FORBIDDEN_TARGET


async def test_a_slow_dns_counts_towards_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: over.wait(20) and [])
    async with collector(timeout=0.1) as reads:
        with pytest.raises(CollectError) as caught:
            await reads.collect(target("http://service.test/"))
        over.set()
    assert caught.value.code is CollectCode.TIMEOUT


@pytest.mark.parametrize("status", ["200 OK", "503 Service Unavailable"])
async def test_the_connection_is_given_up_after_the_answer(status: str) -> None:
    hung_up = asyncio.Event()

    async def keep_open(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(response(status=status, Connection="keep-alive"))
        await reader.read()
        hung_up.set()

    async with serve(keep_open) as server, collector() as reads:
        with suppress(CollectError):
            await reads.collect(target(server.url))
        await asyncio.wait_for(hung_up.wait(), 1)


async def test_a_cancelled_read_hangs_up_and_stays_cancelled() -> None:
    hung_up = asyncio.Event()
    arrived = asyncio.Event()

    async def wait(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        arrived.set()
        await reader.read()
        hung_up.set()

    async with serve(wait) as server, collector() as reads:
        task = asyncio.ensure_future(reads.collect(target(server.url)))
        await arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(hung_up.wait(), 1)
