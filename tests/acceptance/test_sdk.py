"""The published SDK, unmodified, on both sides: the shop's instrumentation and the CI client."""

from __future__ import annotations

import asyncio
from typing import Any

from core.database import Connection
from tests.acceptance.installation import Installation


async def verdict_of(installation: Installation, deployment_id: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while True:
            answer = await installation.get(f"/deployments/{deployment_id}/verdict")
            if answer.status_code == 200:
                found: dict[str, Any] = answer.json()
                return found
            await asyncio.sleep(0.1)


async def everything_stored(conn: Connection) -> str:
    """Every row of every table of ours, as text."""
    tables = await conn.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    parts = []
    for table in tables:
        rows = await conn.fetch(f"SELECT t::text AS row FROM {table['tablename']} AS t")
        parts += [row["row"] for row in rows]
    return "\n".join(parts)


async def test_a_deploy_from_trigger_to_verdict(
    installation: Installation, conn: Connection
) -> None:
    for name in ("SLOT", "BASELINE_INTERVAL"):  # none is missed because the machine is busy
        installation.env[f"SEQPULSE_{name}_SECONDS"] = "3"
    await installation.start_api()
    installation.start("worker")
    shop = await installation.start_shop()
    begun = installation.pipeline("trigger", shop, branch="main", idempotency_key="run-1")
    assert begun["ok"], begun
    assert begun["status"] == "created"
    again = installation.pipeline("trigger", shop, branch="main", idempotency_key="run-1")
    assert (again["deployment_id"], again["status"]) == (begun["deployment_id"], "existing")
    identity = begun["deployment_id"]
    done = installation.pipeline("finish", shop, deployment_id=identity, result="success")
    assert (done["ok"], done["status"]) == (True, "accepted")
    repeated = installation.pipeline("finish", shop, deployment_id=identity, result="success")
    assert (repeated["ok"], repeated["status"]) == (True, "ignored")
    unknown = installation.pipeline("finish", shop, deployment_id=identity[::-1], result="success")
    assert (unknown["ok"], unknown["status"]) == (True, "not_found")
    verdict = await verdict_of(installation, identity)
    assert verdict["coverage_ratio"] == 1.0
    assert await conn.fetchval("SELECT count(*) FROM metric_samples WHERE phase = 'post'") == 5
    assert await conn.fetchval("SELECT count(*) FROM missed_slots WHERE phase = 'post'") == 0
    written = await everything_stored(conn) + installation.log
    for secret in (installation.project["hmac_secret"], installation.project["api_key"]):
        assert secret not in written
        assert secret.rpartition("_")[2] not in written


async def test_a_wrong_hmac_secret_is_a_classified_error_and_never_shown(
    installation: Installation, conn: Connection
) -> None:
    await installation.start_api()
    installation.start("worker")
    shop = await installation.start_shop(right_secret=False)
    begun = installation.pipeline("trigger", shop)
    installation.pipeline("finish", shop, deployment_id=begun["deployment_id"])
    verdict = await verdict_of(installation, begun["deployment_id"])
    assert (verdict["verdict"], verdict["conclusive"]) == ("warning", False)
    rows = await conn.fetch("SELECT code, detail FROM missed_slots WHERE phase = 'post'")
    assert len(rows) == 5
    # A slot that nobody read in its one second, on a busy machine, says nothing of the target.
    assert {row["code"] for row in rows} - {"deadline"} == {"auth_rejected"}
    written = await everything_stored(conn) + installation.log
    assert "auth_rejected" in written
    assert installation.project["hmac_secret"].rpartition("_")[2] not in written
    assert "sha256=" not in written


async def test_a_wrong_api_key_is_told_to_the_pipeline(installation: Installation) -> None:
    await installation.start_api()
    shop = await installation.start_shop()
    installation.project["api_key"] = installation.project["api_key"][:-4] + "0000"
    answer = installation.pipeline("trigger", shop)
    assert (answer["ok"], answer["http_status"]) == (False, 401)
    assert "unknown, expired or revoked" in answer["response_text"]


async def test_trigger_and_finish_are_fast_whatever_the_target_does(
    installation: Installation,
) -> None:
    """A target that accepts connections and never answers must not hold up CI."""

    async def ignore(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    await installation.start_api()
    installation.start("worker")
    shop = await installation.start_shop()
    async with await asyncio.start_server(ignore, "127.0.0.1", 0) as silent:
        shop.stop()
        shop.port = silent.sockets[0].getsockname()[1]
        begun = await asyncio.to_thread(installation.pipeline, "trigger", shop)
        assert begun["ok"], begun  # the SDK gives up after 4 s
        done = await asyncio.to_thread(
            installation.pipeline, "finish", shop, deployment_id=begun["deployment_id"]
        )
        assert done["ok"], done
