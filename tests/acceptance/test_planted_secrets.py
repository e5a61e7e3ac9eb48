"""Recognisable secrets in every input, and a search for them in everything that comes out."""

from __future__ import annotations

import asyncio
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx

from core.database import Connection
from demo.stage import answering, free_port
from tests.acceptance.installation import Installation
from tests.acceptance.test_crash import until

PLANTED = {name: f"planted{secrets.token_hex(20)}" for name in ("KEY", "OPERATOR", "DS", "METRICS")}
CREDENTIAL = f"planted{secrets.token_hex(20)}"
IN_URL = f"planted{secrets.token_hex(20)}"
WRONG = "planted" + secrets.token_hex(29)[:57]  # as long as the secret of an API key
TABLES = (
    "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables "
    "WHERE schemaname NOT IN ('pg_catalog', 'information_schema', '_timescaledb_catalog')"
)


@asynccontextmanager
async def gossip() -> AsyncIterator[str]:
    """A target that tells whatever it was told, as an error and as a wrong answer in turn."""
    count = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1
        head = await reader.readuntil(b"\r\n\r\n")
        status = (b"401 Unauthorized", b"200 OK", b"302 Found")[count % 3]
        writer.write(b"HTTP/1.1 %s\r\nLocation: http://u:%s@x/\r\n" % (status, IN_URL.encode()))
        writer.write(b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(head) + head)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


class Listener:
    """Keeps everything the API ever answered."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.heard: list[str] = []

    async def call(
        self, method: str, path: str, *, headers: dict[str, str], json: object = None
    ) -> httpx.Response:
        url = self.installation.api_url + path
        http = self.installation.http
        answer = await http.request(method, url, headers=headers, json=json)
        self.heard.append(f"{answer.headers} {answer.text}")
        return answer

    async def ask_for_everything(self, key: str, project: str, identity: str) -> None:
        mine = {"X-API-Key": key}
        for path in (
            "/health",
            "/readyz",
            "/openapi.json",
            "/sdh",
            f"/deployments/{identity}",
            f"/deployments/{identity}/verdict",
            f"/deployments/{identity}/report",
            f"/projects/{project}",
            f"/projects/{project}/keys",
            f"/nowhere/{WRONG}",
        ):
            await self.call("GET", path, headers=mine)
            await self.call("GET", path, headers={"X-API-Key": f"sp_0123456789ab_{WRONG}"})
            await self.call("GET", path, headers={"Authorization": f"Bearer {WRONG}"})
        await self.call("GET", "/metrics", headers=bearer(PLANTED["METRICS"]))
        await self.call("GET", "/metrics", headers=bearer(WRONG))
        await self.call("GET", "/ds-metrics", headers={"X-SeqPulse-Signature": WRONG})

    async def try_wrong_bodies(self, key: str, endpoint: str) -> None:
        bodies: list[Any] = [
            {"env": "prod", "metrics_endpoint": endpoint.replace("//", f"//user:{IN_URL}@")},
            {"env": "prod", "metrics_endpoint": f"ftp://user:{IN_URL}@host/x"},
            {"env": "prod", "metrics_endpoint": f"http://{IN_URL}@host:99999/"},
            {"env": "prod", "password": WRONG, "metrics_endpoint": 5},
        ]
        for body in bodies:
            answer = await self.call(
                "POST", "/deployments/trigger", json=body, headers={"X-API-Key": key}
            )
            assert answer.status_code == 422, answer.text


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def set_target(env: dict[str, str], project: str, endpoint: str) -> str:
    """Read the project from a Prometheus that wants a credential."""
    queries = [f"--query={name}=vector(1)" for name in ("requests_per_sec", "latency_p95")]
    done = subprocess.run(
        [sys.executable, "-m", "core.cli", "projects", "target", "set", project, endpoint]
        + ["--env", "prom", "--auth", "bearer", *queries]
        + [f"--query={name}=vector(0)" for name in ("error_rate", "cpu_usage", "memory_usage")],
        env=env,
        input=CREDENTIAL,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout + done.stderr


async def test_secrets_come_out_nowhere(installation: Installation, conn: Connection) -> None:
    password = urlsplit(installation.env["SEQPULSE_DATABASE_URL"]).password or ""
    port = free_port()
    installation.env |= {
        "SEQPULSE_SECRET_KEY": PLANTED["KEY"],
        "SEQPULSE_OPERATOR_TOKEN": PLANTED["OPERATOR"],
        "SEQPULSE_DS_METRICS_SECRET": PLANTED["DS"],
        "SEQPULSE_METRICS_TOKEN": PLANTED["METRICS"],
        "SEQPULSE_METRICS_PORT": str(port),
        "SEQPULSE_LOG_LEVEL": "debug",
        "SEQPULSE_LOG_FORMAT": "json",
    }
    listener = Listener(installation)
    await installation.start_api()
    installation.env["SEQPULSE_LOG_FORMAT"] = "console"
    installation.start("worker")
    worker = f"http://127.0.0.1:{port}"
    await answering(installation.http, f"{worker}/readyz", installation.log_path)

    created = await installation.http.post(  # the one answer that shows them
        f"{installation.api_url}/projects",
        json={"name": "shop", "hmac": True},
        headers=bearer(PLANTED["OPERATOR"]),
    )
    project = created.json()
    key, hmac_secret = project["api_key"], project["hmac_secret"]
    async with gossip() as endpoint:
        told = await asyncio.to_thread(set_target, {**installation.env}, project["id"], endpoint)
        await listener.try_wrong_bodies(key, endpoint)
        identity = ""
        for env in ("prod", "prom"):
            body = {"env": env, "idempotency_key": env}
            body |= {"metrics_endpoint": f"{endpoint}/metrics"} if env == "prod" else {}
            begun = await listener.call(
                "POST", "/deployments/trigger", json=body, headers={"X-API-Key": key}
            )
            identity = begun.json()["deployment_id"]
            finish = {"deployment_id": identity, "result": "success"}
            await listener.call(
                "POST", "/deployments/finish", json=finish, headers={"X-API-Key": key}
            )

        async def judged() -> bool:
            return bool(await conn.fetchval("SELECT count(*) FROM verdicts") == 2)

        await until(judged)
        await listener.ask_for_everything(key, project["id"], identity)
        # Bugs, with their tracebacks.
        await conn.execute("ALTER TABLE targets RENAME TO targets_lost")
        await conn.execute("ALTER TABLE verdicts RENAME TO verdicts_lost")
        await listener.ask_for_everything(key, project["id"], identity)

        async def crashed() -> bool:
            return "job_crashed" in installation.log and "request_crashed" in installation.log

        await until(crashed)
        await conn.execute("ALTER TABLE verdicts_lost RENAME TO verdicts")
        await conn.execute("ALTER TABLE targets_lost RENAME TO targets")
    scrape = await installation.http.get(f"{worker}/metrics", headers=bearer(PLANTED["METRICS"]))
    rows = [
        f"{table}: {row['text']}"
        for (table,) in await conn.fetch(TABLES)
        for row in await conn.fetch(f"SELECT t::text AS text FROM {table} AS t")
    ]
    assert any("scheduled_jobs: " in row for row in rows)
    assert any("auth_rejected" in row for row in rows)  # the gossip was heard

    planted = [*PLANTED.values(), CREDENTIAL, IN_URL, WRONG, password]
    planted += [key.rpartition("_")[2], hmac_secret.removeprefix("hmac_")]
    places = {
        "log": installation.log,
        "scrape": scrape.text,
        "command": told,
        "answers": "\n".join(listener.heard),
        "rows": "\n".join(rows),
    }
    assert all(len(secret) > 20 for secret in planted)
    assert all(len(text) > 20 for text in places.values())
    found = [
        (place, secret) for place, text in places.items() for secret in planted if secret in text
    ]
    lines = [
        (place, line[:400])
        for place, secret in found
        for line in places[place].splitlines()
        if secret in line
    ]
    assert not lines
