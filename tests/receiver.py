"""A receiver of notifications on loopback that answers as it is told, and remembers everything."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

OK = "204 No Content"
RESET = "reset"
SILENCE = "silence"


@dataclass
class Request:
    """What was received."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever was sent
        return json.loads(self.body)


@dataclass
class Receiver:
    """Answers with the next of `script`, and when there is none with `otherwise`."""

    url: str = ""
    script: deque[str] = field(default_factory=deque)
    otherwise: str = OK
    seen: list[Request] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)
    at_once: int = 0
    most_at_once: int = 0

    @property
    def last(self) -> Request:
        return self.seen[-1]

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            await self._answer(reader, writer)
        finally:
            self.at_once -= 1
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
        headers = {
            name.lower(): value for name, _, value in (each.partition(": ") for each in lines)
        }
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        method, path, _ = head.split(" ")
        self.seen.append(Request(method, path, headers, body))
        self.came.set()
        said = self.script.popleft() if self.script else self.otherwise
        if said == RESET:
            writer.transport.abort()
        elif said == SILENCE:
            await reader.read()  # until the other side gives up
        else:
            first, _, rest = said.partition("\n\n")
            answer = (
                f"HTTP/1.1 {first}\nContent-Length: {len(rest.encode())}\nConnection: close\n\n"
            )
            writer.write(answer.replace("\n", "\r\n").encode() + rest.encode())
            await writer.drain()


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    server = await asyncio.start_server(receiver.answer, "127.0.0.1", 0)
    async with server:
        receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield receiver


def answer_json(document: object) -> str:
    return f"200 OK\nContent-Type: application/json\n\n{json.dumps(document)}"
