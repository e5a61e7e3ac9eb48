"""A way to the server that can break loudly or go silent, as networks do."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

CHUNK = 65_536


@dataclass(eq=False)
class Line:
    """One connection through the proxy; nothing passes while `open` is clear."""

    writers: tuple[asyncio.StreamWriter, asyncio.StreamWriter]
    open: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class Proxy:
    """Passes bytes on between one client process and the server.

    Attributes:
        url: Of the database, through this proxy.
    """

    host: str
    port: int
    url: str = ""
    lines: set[Line] = field(default_factory=set)

    def freeze(self) -> None:
        """Make every open connection silent: nothing passes, not even that an end has closed.

        New connections pass: it is as if a firewall had forgotten the old ones.
        """
        for line in self.lines:
            line.open.clear()

    def cut(self, *, frozen: bool) -> None:
        """Break the frozen, or the other, connections at both ends."""
        for line in self.lines:
            if line.open.is_set() != frozen:
                for writer in line.writers:
                    writer.transport.abort()
                line.open.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            answers, asks = await asyncio.open_connection(self.host, self.port)
        except OSError:  # the server is down: so are we
            writer.transport.abort()
            return
        line = Line((writer, asks))
        line.open.set()
        self.lines.add(line)
        try:
            await asyncio.gather(_pass(reader, asks, line), _pass(answers, writer, line))
        finally:
            self.lines.discard(line)
            for end in line.writers:
                end.transport.abort()


async def _pass(source: asyncio.StreamReader, sink: asyncio.StreamWriter, line: Line) -> None:
    with contextlib.suppress(OSError):  # a reset is an end like any other
        while data := await source.read(CHUNK):
            await line.open.wait()
            sink.write(data)
            await sink.drain()
    await line.open.wait()
    sink.close()


@asynccontextmanager
async def proxied(url: str) -> AsyncIterator[Proxy]:
    """Provide a proxy on loopback before the server of `url`."""
    parts = urlsplit(url)
    proxy = Proxy(parts.hostname or "127.0.0.1", parts.port or 5432)
    server = await asyncio.start_server(proxy._serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    account, _, _ = parts.netloc.rpartition("@")
    proxy.url = urlunsplit(parts._replace(netloc=f"{account}@127.0.0.1:{port}"))
    try:
        yield proxy
    finally:
        server.close()
        for frozen in (True, False):
            proxy.cut(frozen=frozen)
        await server.wait_closed()
