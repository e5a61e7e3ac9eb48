"""A new master key: nothing is lost, whatever step one stops after."""

from __future__ import annotations

import asyncio

import pytest

from core.database import Connection, Pool
from core.errors import SecretError, SettingsError
from core.secrets import ApiKey, Vault
from core.types import Project
from sql import callers, installation, projects, rotation, targets

OLD = Vault("o" * 40)
BOTH = Vault("n" * 40, OLD.master_key)
NEW = Vault(BOTH.master_key)
HEADER = ("Authorization", "Bearer hunter2")
SECRET = "hmac_" + "5ec2e7" * 10


@pytest.fixture
async def shop(conn: Connection) -> tuple[Project, ApiKey]:
    """A project with every kind of secret, made with the old key."""
    await installation.check_key(conn, OLD)
    project, key = await projects.create(conn, OLD, name="old shop", hmac_secret=SECRET)
    await targets.configure(conn, OLD, project.id, "prod", "http://x/", header=HEADER)
    return project, key


async def reads(conn: Connection, vault: Vault, project: Project) -> bool:
    target = await targets.load(conn, vault, project.id, "prod")
    return (target.hmac_secret, target.header) == (SECRET, HEADER)


async def find_owner(conn: Connection, vault: Vault, key: str) -> Project | None:
    caller = await callers.authenticate(conn, vault, key)
    return caller and caller.project


async def test_the_whole_way(conn: Connection, shop: tuple[Project, ApiKey]) -> None:
    project, key = shop
    await installation.check_key(conn, BOTH)  # first all processes know both
    assert await reads(conn, BOTH, project)
    assert not await rotation.is_rotated(conn, BOTH)
    younger, young_key = await projects.create(conn, BOTH, name="young", hmac_secret=SECRET)

    done = await rotation.rotate(conn, BOTH)
    assert (done.secrets, done.api_keys) == (2, 1), "the young ones are new already"
    assert await rotation.is_rotated(conn, BOTH)
    assert await reads(conn, NEW, project)
    assert (await rotation.rotate(conn, BOTH)).secrets == 0
    with pytest.raises(SettingsError):
        await installation.check_key(conn, OLD)
    with pytest.raises(SecretError):
        await reads(conn, OLD, project)

    assert await callers.authenticate(conn, NEW, str(key)) is None, "its digest is of the old key"
    assert await find_owner(conn, BOTH, str(key)) == project
    assert await rotation.count_old_api_keys(conn, BOTH) == 0
    await installation.check_key(conn, NEW)
    assert await find_owner(conn, NEW, str(key)) == project
    assert await find_owner(conn, NEW, str(young_key)) == younger
    assert await callers.authenticate(conn, NEW, f"{str(key)[:-1]}x") is None


async def test_a_secret_nobody_can_read_stops_it_before_anything_has_changed(
    conn: Connection, shop: tuple[Project, ApiKey]
) -> None:
    project, _ = shop
    await projects.create(conn, Vault("x" * 40), name="stranger", hmac_secret=SECRET)
    with pytest.raises(SecretError):
        await rotation.rotate(conn, BOTH)
    assert not await rotation.is_rotated(conn, BOTH)
    assert await reads(conn, OLD, project)
    await installation.check_key(conn, OLD)


async def test_what_is_written_meanwhile_is_not_lost(
    pool: Pool, conn: Connection, shop: tuple[Project, ApiKey]
) -> None:
    async def create(number: int) -> None:
        async with pool.acquire() as one:
            await projects.create(one, BOTH, name=f"p{number}", hmac_secret=SECRET)

    async def rotate() -> None:
        async with pool.acquire() as one:
            await rotation.rotate(one, BOTH)

    await asyncio.gather(*(create(n) for n in range(10)), rotate(), rotate())
    tokens = await conn.fetch("SELECT hmac_secret_encrypted AS token FROM projects")
    assert [NEW.decrypt(row["token"]) for row in tokens] == [SECRET] * 11
