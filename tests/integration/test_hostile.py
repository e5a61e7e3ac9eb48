"""Requests nobody means well with: clean answers, and nothing has changed.

Every route the description names is tried, so a new one is as soon as it is there.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from urllib.parse import quote
from uuid import uuid4

import pytest

from api.wire import Wire
from core.database import Connection
from core.secrets import Vault
from core.settings import Settings
from core.types import Deployment, Project, Scope
from sql import api_keys, deployments, projects, targets
from tests.integration.hostile import (
    ABSENT,
    Answer,
    Operation,
    Server,
    list_operations,
    serving,
    take_stock,
    without_ids,
)

OPERATOR = {"Authorization": "Bearer operator-token-of-the-tests"}
CLEAN = range(400, 500)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    names = ("reads_per_minute", "changes_per_minute", "failures_per_minute")
    return settings.model_copy(update=dict.fromkeys(names, 1_000_000))


@pytest.fixture
async def server(settings: Settings, database_url: str) -> AsyncIterator[Server]:
    async with serving(settings, database_url) as server:
        yield server


@pytest.fixture
async def key(conn: Connection, vault: Vault, project: Project) -> dict[str, str]:
    made, _ = await api_keys.add(conn, vault, project.id, scope=Scope.ADMIN)
    return {"X-API-Key": str(made)}


def head(*lines: str) -> bytes:
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


GET = "GET /livez HTTP/1.1"
HOST = "Host: api"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (head(f"GET /{'a' * 9000} HTTP/1.1", HOST), 414),
        (head(f"GET /sdh?env={'a' * 9000} HTTP/1.1", HOST), 414),
        (head(GET, HOST, *(f"X-{n}: a" for n in range(200))), 431),
        (head(GET, HOST, f"X-A: {'a' * 40_000}"), 431),
        (head(GET, HOST, f"X-A: {'a' * 70_000}")[:-4], 400),
        (b"nonsense\r\n\r\n", 400),
        (head(GET), 400),
        (head(GET, HOST, "X-A: a\0b"), 400),
        (head(GET, HOST, "X A: b"), 400),
        (head("POST /projects HTTP/1.1", HOST, "Content-Length: -1"), 400),
        (head("POST /projects HTTP/1.1", HOST, "Content-Length: 1, 2"), 400),
        (head("POST /projects HTTP/1.1", HOST, "Content-Length: 1", "Content-Length: 2"), 400),
        (head("POST /projects HTTP/1.1", HOST, "Transfer-Encoding: gzip"), 400),
        (head("POST /projects HTTP/1.1", HOST, f"Content-Length: {10**15}"), 413),
        (head("TRACE /livez HTTP/1.1", HOST), 405),
        (head("POST /deployments/trigger HTTP/1.1", HOST, "X-API-Key: a\xff"), 401),
    ],
)
async def test_odd_heads_are_refused(
    server: Server, conn: Connection, data: bytes, status: int
) -> None:
    before = await take_stock(conn)
    answer = await server.send(data)
    assert answer.status == status
    assert answer.problem["detail"]
    assert await take_stock(conn) == before


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("run-4711_a", True),
        ("a" * 64, True),
        ("a" * 65, False),
        ("a b", False),
        ("<script>", False),
        ("", False),
        ("a\tb", False),
    ],
)
async def test_a_request_id_is_kept_only_if_it_is_a_plain_one(
    server: Server, given: str, kept: bool
) -> None:
    answer = await server.call("GET", "/nothing", {"X-Request-ID": given})
    chosen = answer.headers["x-request-id"]
    assert (chosen == given) is kept
    assert answer.problem["request_id"] == chosen
    other = await server.call("GET", "/nothing", {})
    assert other.headers["x-request-id"] != chosen


TRICKS = (
    "//", "/./", "/../", "/%2e%2e/", "/%2e%2e%2fetc/passwd", "/%00", "/a%00b", "/%0d%0aX-Evil:1",
    "/%ff%fe", "/%u0041", "/%", "/;a=b", "/\\..\\", "/%e2%80%ae", "/%F0%9F%92%A9", "/'--",
    "/%27%20OR%201%3D1--", "/1e999", "/" + "9" * 500, "/*", "/%25%32%66", "/null", "/undefined",
)  # fmt: skip


async def test_tricks_with_paths_lead_nowhere(
    server: Server, conn: Connection, key: dict[str, str]
) -> None:
    before = await take_stock(conn)
    starts = {
        "",
        *(each.path.partition("{")[0].rstrip("/") for each in list_operations(server.app)),
    }
    for start in starts:
        for trick in TRICKS:
            for method in ("GET", "POST", "DELETE"):
                answer = await server.call(method, start + trick, key)
                assert answer.status in (400, 404, 405, 415, 422), (method, start + trick, answer)
                assert answer.problem["request_id"]
                assert "x-evil" not in answer.headers
    assert await take_stock(conn) == before


IDS = (
    "nonsense", "0", "-1", "%00", "%ff", "'; DROP TABLE projects; --", "../..", "a" * 300,
    "\u202e", "\U0001f4a9", "00000000-0000-0000-0000-00000000000g", "null", "{}", "1e999",
)  # fmt: skip


def doors(operation: Operation, key: dict[str, str]) -> dict[str, str]:
    """What lets in: routes for the operator alone do not look at keys."""
    return key | OPERATOR if operation.parameters or operation.path != "/projects" else OPERATOR


async def test_odd_ids_are_refused_and_the_key_is_looked_at_first(
    server: Server, conn: Connection, key: dict[str, str], project: Project
) -> None:
    before = await take_stock(conn)
    for operation in list_operations(server.app):
        for name in operation.parameters:
            for each in IDS:
                values = {"project_id": str(project.id), name: quote(each, safe="%")}
                path = operation.fill(**values)
                unknown = await server.call(operation.method, path, {}, operation.example())
                assert unknown.status in (401, 404, 405), (operation, path, unknown)
                answer = await server.call(
                    operation.method, path, doors(operation, key), operation.example()
                )
                # A test of a channel is counted before anybody looks for the channel.
                bounded = answer.status == 429 and path.endswith("/test")
                assert bounded or answer.status in (404, 405, 422), (operation, path, answer)
                assert answer.problem["detail"]
    assert await take_stock(conn) == before


async def test_what_is_anothers_is_answered_as_what_is_not_there(
    server: Server,
    conn: Connection,
    vault: Vault,
    key: dict[str, str],
    project: Project,
) -> None:
    other, other_key = await projects.create(conn, vault, name="other")
    theirs, _ = await deployments.create(
        conn, other.id, env="prod", branch="b", idempotency_key="k", abandoned_seconds=60
    )
    await targets.put(conn, other.id, "prod", "http://127.0.0.1:9/m")
    real: dict[str, object] = {
        "project_id": other.id,
        "deployment_id": theirs.id,
        "key_id": other_key.id,
    }
    missing: dict[str, object] = {"project_id": ABSENT, "deployment_id": ABSENT, "key_id": "0" * 12}
    before = await take_stock(conn)
    tried = 0
    for operation in list_operations(server.app):
        if not operation.parameters:
            continue
        for name in operation.parameters:
            own = dict.fromkeys(operation.parameters, ABSENT) | {"project_id": project.id}
            asked = [own | {name: ids.get(name, ABSENT)} for ids in (real, missing)]
            found, absent = [
                await server.call(
                    operation.method, operation.fill(**values), key, operation.example()
                )
                for values in asked
            ]
            ids = [[str(each) for each in values.values()] for values in asked]
            assert without_ids(found, *ids[0]) == without_ids(absent, *ids[1]), operation
            assert found.status in (401, 404, 422), (operation, found)
            tried += 1
    assert tried >= 8
    assert await take_stock(conn) == before


BODIES = (
    b"", b"{", b"null", b"true", b'"x"', b"1e999", b"NaN", b'{"env": NaN}', b"\xff\xfe{}",
    b"\xef\xbb\xbf{}", b"[" * 60_000, b'{"a":' * 10_000, b'{"env": "a", "env": "b"}',
    b'{"a": ' + b"9" * 10_000 + b"}", b"{}" * 2, b"{'env': 1}", b"<a/>",
    b"env=prod", b"{}\0", b" " * 70_000,
)  # fmt: skip


async def test_odd_bodies_are_refused(
    server: Server, conn: Connection, key: dict[str, str], project: Project
) -> None:
    before = await take_stock(conn)
    tried = 0
    for operation in list_operations(server.app):
        if operation.body is None:
            continue
        path = operation.fill(project_id=project.id)
        for body in BODIES:
            answer = await server.call(operation.method, path, doors(operation, key), body)
            assert answer.status in CLEAN, (operation, body[:40], answer)
            assert answer.problem["detail"]
            tried += 1
        for kind in ("text/plain", "application/xml", "application/x-www-form-urlencoded"):
            answer = await server.call(
                operation.method, path, {"Content-Type": kind, **doors(operation, key)}, b"{}"
            )
            assert answer.status == 415, (operation, kind, answer)
    assert tried > 50
    assert await take_stock(conn) == before


TEXTS: tuple[object, ...] = (
    "\0", "a\0b", "\ud800", "\udfff", "\r\nX: y", "\x1b[31m", "\x7f", "", " ", "x" * 5000,
    "'; DROP TABLE projects; --", "%s%n{}", "\u202egpj.exe", "\U0001f4a9", "<script>", "${jndi:x}",
    0, -1, 10**400, 1e308, True, None, [], {}, ["a"], {"a": {}},
)  # fmt: skip


async def test_odd_values_are_refused_or_kept_as_they_are(
    server: Server, conn: Connection, key: dict[str, str], project: Project
) -> None:
    """No value makes the server fail, and what is refused changes nothing."""
    for operation in list_operations(server.app):
        path = operation.fill(project_id=project.id)
        example = json.loads(operation.example() or b"{}")
        for name in operation.text_fields() if isinstance(example, dict) else ():
            for text in TEXTS:
                before = await take_stock(conn)
                body = example | {name: text}
                answer = await server.call(
                    operation.method, path, doors(operation, key), json.dumps(body).encode()
                )
                assert answer.status < 500, (operation, name, text, answer)
                if answer.status >= 400:
                    assert answer.problem["detail"]
                    assert await take_stock(conn) == before, (operation, name, text)


async def test_metacharacters_are_only_text(
    server: Server, conn: Connection, key: dict[str, str]
) -> None:
    branch = "'; DELETE FROM projects; -- \u202e\U0001f4a9 <b>"
    body = {"metrics_endpoint": "http://127.0.0.1:9/m", "branch": branch, "idempotency_key": "';"}
    answer = await server.call("POST", "/deployments/trigger", key, json.dumps(body).encode())
    assert answer.status == 200
    assert await conn.fetchval("SELECT branch FROM deployments") == branch
    assert await conn.fetchval("SELECT count(*) FROM projects") == 1


QUERIES = ("%00", "'", "%ff", "a" * 3000, "-1", "1e999", "9" * 30, "%F0%9F%92%A9", "%0d%0a", "[]")


async def test_odd_queries_are_clean(
    server: Server, conn: Connection, key: dict[str, str], deployment: Deployment
) -> None:
    before = await take_stock(conn)
    for operation in list_operations(server.app):
        if operation.method != "GET":
            continue
        described = operation.document["paths"][operation.path]["get"].get("parameters", [])
        names = [each["name"] for each in described if each["in"] == "query"]
        path = operation.fill(project_id=deployment.project_id, deployment_id=deployment.id)
        for name in [*names, "unknown"]:
            for each in QUERIES:
                answer = await server.call("GET", f"{path}?{name}={each}", doors(operation, key))
                sick = operation.path == "/health" and answer.status == 503  # no worker runs
                assert sick or answer.status < 500, (operation, name, each, answer)
    assert await take_stock(conn) == before


async def test_a_body_that_does_not_come_is_given_up(
    settings: Settings, database_url: str, key: dict[str, str], conn: Connection
) -> None:
    before = await take_stock(conn)
    hasty = settings.model_copy(update={"body_seconds": 0.05})
    lines = ("POST /deployments/trigger HTTP/1.1", HOST, f"X-API-Key: {key['X-API-Key']}")
    async with serving(hasty, database_url) as server:
        for framing in ("Content-Length: 100", "Transfer-Encoding: chunked"):
            answer = await server.send(head(*lines, "Content-Type: application/json", framing))
            assert answer.status == 408
            assert (answer.problem["status"], answer.headers["connection"]) == (408, "close")
    assert await take_stock(conn) == before


async def test_a_head_that_does_not_end_is_hung_up_on(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Wire, "head_seconds", 0.05)
    for beginning in (b"", b"GET /livez HTTP/1.1\r\nHost: a"):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(beginning)
        assert await reader.read() == b""
        writer.close()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(head(GET, HOST))
    await reader.readuntil(b'{"status":"ok"}')
    writer.write(b"GET /livez HTT")  # the second one on a connection, too
    assert await reader.read() == b""
    writer.close()


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_that_is_too_large_is_refused_before_it_is_there(
    server: Server, key: dict[str, str], project: Project, conn: Connection, chunked: bool
) -> None:
    before = await take_stock(conn)
    for path, size in (("/deployments/trigger", 2**16), (f"/projects/{project.id}/samples", 2**22)):
        lines = [f"POST {path} HTTP/1.1", HOST, f"X-API-Key: {key['X-API-Key']}"]
        lines.append("Content-Type: application/json")
        if chunked:
            piece = b"%x\r\n" % (size + 1) + b" " * (size + 1)
            data = head(*lines, "Transfer-Encoding: chunked") + piece
        else:
            data = head(*lines, f"Content-Length: {size + 1}")
        answer = await server.send(data)
        assert answer.status == 413
        assert (answer.problem["status"], answer.headers["connection"]) == (413, "close")
    assert await take_stock(conn) == before


async def test_two_requests_in_one_are_two(server: Server) -> None:
    """What stands behind a body is a request of its own, whatever the first one made of it."""
    first = head("GET /livez HTTP/1.1", HOST, "Content-Length: 5") + b"GET /"
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(first + head("GET /nothing HTTP/1.1", HOST))
    await reader.readuntil(b'{"status":"ok"}')
    assert b"404" in await reader.readline()
    writer.close()


async def test_a_secret_never_comes_back(server: Server, key: dict[str, str]) -> None:
    secret = f"sp_{uuid4().hex[:12]}_{uuid4().hex * 2}"
    answers: list[Answer] = [
        await server.call("GET", "/sdh", {"X-API-Key": secret}),
        await server.call("GET", "/projects", {"Authorization": f"Bearer {secret}"}),
        await server.call("POST", "/deployments/trigger", key, f'{{"env": "{secret}!"}}'.encode()),
        await server.call("GET", f"/deployments/{secret}", key),
    ]
    for answer in answers:
        assert answer.status in (401, 422)
        assert secret not in answer.body.decode() + str(answer.headers)


async def test_what_nobody_expected_tells_nothing_but_its_name(
    server: Server, key: dict[str, str], conn: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    await conn.execute("ALTER TABLE deployments RENAME TO lost")
    answer = await server.call("GET", f"/deployments/{ABSENT}", {**key, "X-Request-ID": "odd-1"})
    assert (answer.status, answer.problem["request_id"]) == (500, "odd-1")
    assert "deployments" not in answer.body.decode()
    logged = capsys.readouterr()
    assert "request_id=odd-1" in logged.out + logged.err
    assert "UndefinedTableError" in logged.out + logged.err
