"""HTTP by hand, over connections that are kept: a library's work would count as the server's."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

END: Final = b"\r\n\r\n"
LENGTH: Final = b"content-length:"


class Line(asyncio.Protocol):
    """One connection: a request, then its whole answer."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._got = b""
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Give up what was asked."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("hung up"))

    def data_received(self, data: bytes) -> None:
        """Hand over an answer that is whole."""
        self._got += data
        head, end, body = self._got.partition(END)
        if not end:
            return
        place = head.lower().find(LENGTH)
        length = 0 if place < 0 else int(head[place + len(LENGTH) :].split(b"\r\n", 1)[0])
        if len(body) >= length and self._answer is not None:
            self._got = b""
            self._answer.set_result((int(head[9:12]), body))

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Send a request; return status and body of the answer."""
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()


@asynccontextmanager
async def lines(port: int, count: int) -> AsyncIterator[list[Line]]:
    """Open connections to a port of this machine."""
    loop = asyncio.get_running_loop()
    opened: list[Line] = []
    try:
        for _ in range(count):
            _, line = await loop.create_connection(Line, "127.0.0.1", port)
            opened.append(line)
        yield opened
    finally:
        for line in opened:
            line.close()


async def drive(
    opened: Sequence[Line], requests: Sequence[bytes], seconds: float
) -> tuple[float, list[float]]:
    """Let every connection ask one request after the other for a while.

    Returns:
        Answers per second, and how long each took in milliseconds.
    """
    took: list[float] = []
    until = time.perf_counter() + seconds

    async def work(line: Line, place: int) -> None:
        while (began := time.perf_counter()) < until:
            status, body = await line.ask(requests[place % len(requests)])
            if status != 200:
                raise SystemExit(f"{status}: {body[:500].decode()}")
            took.append((time.perf_counter() - began) * 1000)
            place += len(opened)

    began = time.perf_counter()
    await asyncio.gather(*(work(line, place) for place, line in enumerate(opened)))
    return len(took) / (time.perf_counter() - began), took


def get(path: str, key: str) -> bytes:
    """Return a GET request."""
    return f"GET {path} HTTP/1.1\r\nHost: api\r\nX-API-Key: {key}\r\n\r\n".encode()


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which a share of them lies, 0..1."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]
