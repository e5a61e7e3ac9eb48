"""API and worker as the role that owns nothing: a deploy from trigger to verdict."""

from __future__ import annotations

from core.database import Connection
from sql import roles
from tests.acceptance.installation import Installation
from tests.acceptance.test_sdk import verdict_of
from tests.roles import make, url_as


async def test_processes_need_no_more_than_their_role(
    installation: Installation, conn: Connection, database_url: str
) -> None:
    await make(database_url)
    installation.env["SEQPULSE_DATABASE_URL"] = url_as(database_url, roles.APP)
    await installation.start_api()
    installation.start("worker")
    shop = await installation.start_shop()
    made = await installation.http.post(
        f"{installation.api_url}/projects/{installation.project['id']}/keys",
        json={"scope": "read"},
        headers={
            "Authorization": f"Bearer {installation.env['SEQPULSE_OPERATOR_TOKEN']}",
            "Idempotency-Key": "first-reader",
        },
    )
    assert made.status_code == 201
    begun = installation.pipeline("trigger", shop, branch="main")
    installation.pipeline("finish", shop, deployment_id=begun["deployment_id"], result="success")
    verdict = await verdict_of(installation, begun["deployment_id"])
    assert (
        verdict["coverage_ratio"] > 0
    )  # how many slots were read in time is not a matter of rights
    users = await conn.fetch("SELECT DISTINCT usename FROM pg_stat_activity "
                             "WHERE application_name LIKE 'seqpulse%' AND pid <> pg_backend_pid() "
                             "AND datname = current_database()")  # fmt: skip
    assert {user["usename"] for user in users} >= {roles.APP}
    assert "permission denied" not in installation.log
    assert "reconcile_left_to_owner" in installation.log
