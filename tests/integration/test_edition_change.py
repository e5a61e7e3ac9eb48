"""From the Apache to the Community edition on the same data, and back as docs/history.md says.

Needs the library of the Community edition, which the private server does not have: it is taken from
the server of SEQPULSE_TEST_DSN, where that runs on this machine with the same version.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from core.database import Connection, connect
from core.errors import DatabaseError
from core.secrets import Vault
from sql import bulk, edition, embedded, migrate, projects, rollups
from sql.edition import Edition
from sql.embedded.server import Server
from sql.retention import Retention
from tests.integration.ledger import Ledger, minutes
from tests.integration.test_rollups import assert_rolled
from tests.programs import LIBRARIES, Programs, copy_programs, rewrite

DAY = timedelta(days=1)
LATER = Retention(compress_after=1000 * DAY, archived=True)
"""The database's own workers have nothing to do that the test does itself."""
HISTORY = Path(__file__).parents[2] / "docs/history.md"


@dataclass
class Switched:
    """A private server that is started again as the one edition or the other."""

    programs: Programs

    @property
    def data_dir(self) -> Path:
        return self.programs.cache_dir / "data"

    def start(self, edition: Edition) -> Server:
        setting = f"timescaledb.license = '{edition}'\n"
        conf = self.data_dir / "postgres/cluster/postgresql.conf"
        if not conf.exists():
            embedded.start(self.data_dir, self.programs.cache_dir, stay=False)
            embedded.stop(self.data_dir, self.programs.cache_dir)
        with conf.open("a") as file:
            file.write(setting)
        return embedded.start(self.data_dir, self.programs.cache_dir, stay=False)

    @asynccontextmanager
    async def run(self, edition: Edition) -> AsyncIterator[Connection]:
        server = await asyncio.to_thread(self.start, edition)
        try:
            conn = await connect(server.url)
            yield conn
            await conn.close()
        finally:
            await asyncio.to_thread(embedded.stop, self.data_dir, self.programs.cache_dir)


@pytest.fixture
async def library(server_url: str) -> Path:
    """The library of the Community edition."""
    conn = await connect(server_url)
    folder = await conn.fetchval("SELECT setting FROM pg_config WHERE name = 'PKGLIBDIR'")
    await conn.close()
    return Path(folder)


@pytest.fixture
def switched(library: Path, request: pytest.FixtureRequest) -> Iterator[Switched]:
    with copy_programs() as programs:
        # Distributions build the one without the other: both have to be of one make.
        names = [f"timescaledb-{part}{programs.version}.so" for part in ("", "tsl-")]
        if not all((library / name).exists() for name in names):
            request.node.add_marker("skip")  # or pytest would tell of the mark, too
            pytest.skip("needs the Community edition of TimescaleDB (SEQPULSE_TEST_DSN)")
        for name in names:
            rewrite(library / name, programs.root / LIBRARIES / name)
        yield Switched(programs)


def steps_back() -> list[str]:
    """The statements that docs/history.md gives for the way back."""
    found = re.search(r"remove the policies and decompress:\n\n```sql\n(.*?)```",
                      HISTORY.read_text(), re.DOTALL)  # fmt: skip
    assert found is not None
    return [statement for statement in found[1].split(";") if statement.strip()]


@pytest.mark.community
async def test_there_and_back_with_everything_right(switched: Switched, vault: Vault) -> None:
    async with switched.run(Edition.APACHE) as conn:
        await migrate.migrate(conn)
        assert await edition.reconcile(conn, Retention()) is Edition.APACHE
        project, _ = await projects.create(conn, vault, name="shop")
        now = await bulk.read_clock(conn)
        ledger = Ledger(conn)
        await ledger.add(project.id, minutes(now - 25 * DAY, 24 * 25 * 12, 5))
        await rollups.roll(conn, now)
    soon = now + timedelta(hours=1)
    async with switched.run(Edition.COMMUNITY) as conn:
        ledger.conn = conn
        assert await edition.reconcile(conn, LATER) is Edition.COMMUNITY
        policies = await conn.fetch(
            "SELECT proc_name, hypertable_name FROM timescaledb_information.jobs "
            "WHERE proc_name IN ('policy_compression', 'policy_retention')"
        )
        kept = ("samples_5m", "samples_1h", "samples_fleet_1h", "job_runs")
        assert sorted(map(tuple, policies)) == sorted(
            [("policy_compression", table) for table in edition.COMPRESSED]
            + [("policy_retention", table) for table in kept]
        )
        for table in edition.COMPRESSED:
            await conn.execute(f"SELECT compress_chunk(c, true) FROM show_chunks('{table}') AS c")
        late = [at + timedelta(seconds=1) for at in minutes(now - 20 * DAY, 50, 60)]
        assert await ledger.add(project.id, late) == len(late)
        await rollups.roll(conn, soon)
        await assert_rolled(ledger, soon)
    async with switched.run(Edition.APACHE) as conn:
        with pytest.raises(DatabaseError, match="Community edition compressed"):
            await edition.reconcile(conn, LATER)
    async with switched.run(Edition.COMMUNITY) as conn:
        for statement in steps_back():
            await conn.execute(statement)
    async with switched.run(Edition.APACHE) as conn:
        ledger.conn = conn
        assert await edition.reconcile(conn, Retention()) is Edition.APACHE
        await ledger.add(project.id, [now - timedelta(days=19, seconds=7)])
        await rollups.roll(conn, soon)
        await assert_rolled(ledger, soon)
