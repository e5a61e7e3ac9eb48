"""One TimescaleDB for the whole run, one fresh database for every test that asks for one."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import hypothesis
import pytest

from core import secrets
from core import settings as configuration
from core.database import Connection, Pool, connect, create_pool
from core.secrets import Vault
from core.settings import Settings
from sql import embedded
from sql.scratch import scratch_database
from tests.past import Past, make_past

TEST_DSN = "SEQPULSE_TEST_DSN"

hypothesis.settings.register_profile("suite", deadline=None)  # no test depends on speed
hypothesis.settings.load_profile("suite")


@pytest.fixture(scope="session", autouse=True)
def clean_environment() -> Iterator[None]:
    """The suite must not depend on how the developer's shell is set up."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("SEQPULSE_") and name != TEST_DSN:
                patch.delenv(name)
        yield


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """A TimescaleDB server: the one of SEQPULSE_TEST_DSN, else a private one."""
    if given := os.environ.get(TEST_DSN):
        yield given
        return
    folder = Path(tempfile.mkdtemp(prefix="seqpulse-tests-"))
    folder.chmod(0o755)  # the server runs under another account when we are root
    try:
        with embedded.running(folder, configuration.load().cache_dir, print) as server:
            yield server.url
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def database_url(server_url: str) -> AsyncIterator[str]:
    """A fresh, migrated database."""
    async with scratch_database(server_url, prefix="test") as url:
        yield url


@pytest.fixture(scope="session")
def past(server_url: str) -> Iterator[Past]:
    """A database with a past, made once for all who only read it (see tests/past.py)."""

    @asynccontextmanager
    async def made() -> AsyncIterator[Past]:
        async with scratch_database(server_url, prefix="past") as url:
            yield Past(url, await make_past(url))

    with asyncio.Runner() as runner:
        context = made()
        yield runner.run(context.__aenter__())
        runner.run(context.__aexit__(None, None, None))


@pytest.fixture
async def conn(database_url: str) -> AsyncIterator[Connection]:
    connection = await connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    async with await create_pool(database_url, 5) as pool:
        yield pool


@pytest.fixture
def vault() -> Vault:
    return Vault(secrets.new_hmac_secret())


@pytest.fixture
def settings(database_url: str, vault: Vault) -> Settings:
    """Settings with slots of a second and targets allowed on loopback."""
    return configuration.load(
        database_url=database_url,
        secret_key=vault.master_key,
        operator_token="operator-token-of-the-tests",
        slot_seconds=1,
        baseline_interval_seconds=1,
        collect_timeout_seconds=1,
        collect_retry_seconds=(0.1, 0.1),
        target_allow=("127.0.0.0/8",),
        reap_seconds=0.2,
    )
