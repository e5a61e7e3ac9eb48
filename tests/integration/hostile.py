"""A served application, spoken to byte by byte, and what all its routes have in common."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import uvicorn
from fastapi import FastAPI

from api import wire
from api.app import create_app
from core.database import Connection
from core.settings import Settings

ABSENT = UUID("01a22f13-e897-75c3-9e19-768808a20f4c")


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def problem(self) -> dict[str, Any]:
        """The problem it is; it must be one."""
        assert self.headers["content-type"] == "application/problem+json", self
        found: dict[str, Any] = json.loads(self.body)
        assert found["status"] == self.status
        return found


@dataclass(frozen=True)
class Server:
    """An API that listens."""

    app: FastAPI
    port: int

    async def send(self, data: bytes) -> Answer:
        """Send bytes as they are and return the answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(data)
            head = await reader.readuntil(b"\r\n\r\n")
            lines = head.decode("latin-1").split("\r\n")
            pairs = [line.split(": ", 1) for line in lines[1:] if line]
            headers = {name.lower(): value for name, value in pairs}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            return Answer(int(lines[0].split()[1]), headers, body)
        finally:
            writer.close()

    async def call(
        self, method: str, path: str, headers: dict[str, str], body: bytes | None = None
    ) -> Answer:
        """Send a request whose path is sent as it is."""
        given = {"Host": "api", **headers}
        if body is not None:
            given = {"Content-Type": "application/json", **given, "Content-Length": str(len(body))}
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {each}" for name, each in given.items())]
        return await self.send("\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b""))


@asynccontextmanager
async def serving(settings: Settings, database_url: str) -> AsyncIterator[Server]:
    """Serve the application as `seqpulse api` does."""
    app = create_app(settings, database_url)
    config = wire.configure(app)
    config.host, config.port = "127.0.0.1", 0
    server = uvicorn.Server(config)
    async with asyncio.TaskGroup() as group:
        group.create_task(server._serve())  # without its handlers of signals
        while not server.started:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)
        yield Server(app, server.servers[0].sockets[0].getsockname()[1])
        server.should_exit = True


@dataclass(frozen=True)
class Operation:
    """A method of a path, as the description has it."""

    method: str
    path: str
    body: dict[str, Any] | None
    document: dict[str, Any]

    @property
    def parameters(self) -> list[str]:
        return re.findall(r"\{(\w+)\}", self.path)

    def fill(self, **values: object) -> str:
        """The path with these ids; others are of nothing."""
        return re.sub(r"\{(\w+)\}", lambda found: str(values.get(found[1], ABSENT)), self.path)

    def example(self) -> bytes | None:
        """A body that is accepted as such, None where there is none."""
        if self.body is None:
            return None
        content = self.body["content"].get("application/json")
        if content is None:
            return b""
        schema = self.resolve(content["schema"])
        examples = content.get("examples") or schema.get("examples")
        return json.dumps(examples[0] if examples else [] if is_list(schema) else {}).encode()

    def text_fields(self) -> Iterator[str]:
        """The members of the body that may be text."""
        for content in (self.body or {}).get("content", {}).values():
            schema = self.resolve(content["schema"])
            for name, field in schema.get("properties", {}).items():
                kinds = [self.resolve(each).get("type") for each in field.get("anyOf", [field])]
                if "string" in kinds:
                    yield name

    def resolve(self, schema: dict[str, Any]) -> dict[str, Any]:
        if "$ref" not in schema:
            return schema
        found: dict[str, Any] = self.document["components"]["schemas"][
            schema["$ref"].rpartition("/")[2]
        ]
        return found


def is_list(schema: dict[str, Any]) -> bool:
    return schema.get("type") == "array"


def list_operations(app: FastAPI) -> list[Operation]:
    """All that can be called."""
    document = app.openapi()
    return [
        Operation(method.upper(), path, operation.get("requestBody"), document)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]


TABLES = """
SELECT c.oid::regclass::text FROM pg_class AS c
 WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
   AND c.relname <> 'api_traffic' ORDER BY 1
"""


async def take_stock(conn: Connection) -> dict[str, int]:
    """How many rows each table has; but for the count of calls that every call changes."""
    names = [row[0] for row in await conn.fetch(TABLES)]
    counts = [f"(SELECT count(*) FROM {name}) AS {name}" for name in names]
    return dict(await conn.fetchrow("SELECT " + ", ".join(counts)) or {})


def without_ids(answer: Answer, *ids: UUID | str) -> tuple[int, str, dict[str, str]]:
    """What an answer says, but for the ids it was asked for and what differs every time."""
    text = answer.body.decode()
    for each in ids:
        text = text.replace(str(each), "ID")
    text = re.sub(r'"request_id":"\w+"', "", text)
    varying = {"x-request-id", "ratelimit", "date", "content-length"}
    return answer.status, text, {n: v for n, v in answer.headers.items() if n not in varying}
