"""A server of the chaos suite's own, so that it may be restarted, and an arena on it."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from core import settings as configuration
from core.database import connect
from sql import embedded
from sql.scratch import scratch_database
from tests.chaos.arena import Arena

TEST_DSN = "SEQPULSE_TEST_DSN"

STAGE = """
CREATE TABLE chaos_effects (job_id bigint PRIMARY KEY);
CREATE TABLE chaos_disk (is_full boolean NOT NULL);
INSERT INTO chaos_disk VALUES (false);
CREATE SEQUENCE chaos_disk_full_hits;  -- counts although what hits it is rolled back
CREATE FUNCTION chaos_fill_disk() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT is_full FROM chaos_disk) THEN
        PERFORM nextval('chaos_disk_full_hits');
        RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100';
    END IF;
    RETURN new;
END $$;
CREATE TRIGGER chaos_fill_disk BEFORE INSERT ON job_runs
    FOR EACH ROW EXECUTE FUNCTION chaos_fill_disk();
"""


@dataclass(frozen=True)
class ChaosServer:
    """A TimescaleDB server; `data_dir` only if it is ours to restart."""

    url: str
    data_dir: Path | None


@pytest.fixture(scope="session")
def chaos_server() -> Iterator[ChaosServer]:
    if given := os.environ.get(TEST_DSN):
        yield ChaosServer(given, None)
        return
    folder = Path(tempfile.mkdtemp(prefix="seqpulse-chaos-"))
    folder.chmod(0o755)  # the server runs under another account when we are root
    cache = configuration.load().cache_dir
    try:
        with embedded.running(folder, cache, print) as server:
            yield ChaosServer(server.url, folder)
            embedded.stop(folder, cache)  # the one that runs now, after however many restarts
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def arena(chaos_server: ChaosServer, tmp_path: Path) -> AsyncIterator[Arena]:
    """A fresh database and no worker yet; at the end none is left."""
    folder = tmp_path / "witnesses"
    folder.mkdir()
    async with (
        scratch_database(chaos_server.url, prefix="chaos") as url,
        contextlib.AsyncExitStack() as stack,
    ):
        conn = await connect(url)
        await conn.execute(STAGE)
        arena = Arena(url, folder, chaos_server.data_dir, conn, stack)
        yield arena
        await arena.conn.close()
