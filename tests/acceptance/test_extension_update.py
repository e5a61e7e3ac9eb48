"""ALTER EXTENSION timescaledb UPDATE under a running installation.

Machines have one version of the extension. So a copy of the private server gets a second one: the
same library under the next number, with the update script of the distribution. What the update does
to open sessions is real: each of them is ended at its next use of the extension.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from core import settings as configuration
from core.database import connect
from demo.stage import environment
from sql import embedded, migrate
from sql.embedded.install import BUILD, MAJOR, find_installation
from sql.embedded.psql import execute
from sql.texts import query
from tests.acceptance.installation import Installation
from tests.acceptance.test_sdk import verdict_of

POOL = 10
"""Connections of the API."""
EXTENSIONS = f"usr/share/postgresql/{MAJOR}/extension"
LIBRARIES = f"usr/lib/postgresql/{MAJOR}/lib"


def link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)


def rewrite(source: Path, target: Path, *changes: tuple[str, str]) -> None:
    """Write `target` as `source` with some texts changed; it may be a link to that."""
    content = source.read_bytes()
    for old, new in changes:
        assert old.encode() in content
        content = content.replace(old.encode(), new.encode())
    target.unlink(missing_ok=True)
    target.write_bytes(content)


class Programs:
    """A copy of the private installation that can be given another version of the extension."""

    def __init__(self, cache_dir: Path, original: Path) -> None:
        self.cache_dir = cache_dir
        self.root = cache_dir / BUILD
        shutil.copytree(original, self.root, symlinks=True, copy_function=link)
        manifest = self.root / "manifest.json"
        rewrite(manifest, manifest, (str(original), str(self.root)))

    def bring_next_version(self) -> tuple[str, str]:
        """Put the next version beside the present one, as a package would; return both."""
        folder, libraries = self.root / EXTENSIONS, self.root / LIBRARIES
        control = folder / "timescaledb.control"
        present = control.read_text().partition("default_version = '")[2].partition("'")[0]
        series, _, last = present.rpartition(".")
        before, following = f"{series}.{int(last) - 1}", f"{series}.{int(last) + 1}"
        assert len(following) == len(present)  # or the library would break
        library = libraries / f"timescaledb-{present}.so"
        rewrite(library, libraries / f"timescaledb-{following}.so", (present, following))
        rewrite(
            folder / f"timescaledb--{before}--{present}.sql",
            folder / f"timescaledb--{present}--{following}.sql",
            (present, following),
            (before, present),
        )
        rewrite(control, control, (present, following))
        return present, following


@pytest.fixture
def programs() -> Iterator[Programs]:
    original = find_installation(configuration.load().cache_dir)
    if original is None:
        pytest.skip("there is no private server on this machine (seqpulse db start)")
    folder = Path(tempfile.mkdtemp(prefix="seqpulse-update-"))
    folder.chmod(0o755)  # the server runs under another account when we are root
    yield Programs(folder, original)
    shutil.rmtree(folder, ignore_errors=True)


async def test_processes_carry_on_after_an_update_of_the_extension(
    programs: Programs, tmp_path: Path
) -> None:
    with contextlib.ExitStack() as stack:
        data = programs.cache_dir / "data"
        server = stack.enter_context(embedded.running(data, programs.cache_dir))
        conn = await connect(server.url)
        await migrate.migrate(conn)
        async with httpx.AsyncClient(trust_env=False) as http:
            log = tmp_path / "processes.log"
            installation = Installation(environment(server.url), log, http, stack)
            await installation.start_api()
            installation.start("worker")
            shop = await installation.start_shop()
            first = installation.pipeline("trigger", shop, branch="v1")["deployment_id"]
            installation.pipeline("finish", shop, deployment_id=first, result="success")
            assert (await verdict_of(installation, first))["coverage_ratio"] == 1.0
            await conn.close()

            present, following = programs.bring_next_version()
            second = installation.pipeline("trigger", shop, branch="v2")["deployment_id"]
            execute(programs.root, server.url, query("embedded.update_extension"))
            conn = await connect(server.url)
            version = await conn.fetchval(query("migrations.extension_version"))
            assert version == following != present
            # Every open session ends when it is next used: so often a request may meet a 503.
            for _ in range(POOL):
                if installation.pipeline("finish", shop, deployment_id=second)["ok"]:
                    break
            assert (await verdict_of(installation, second))["coverage_ratio"] > 0
            await installation.logged("worker_lost_database")
            third = installation.pipeline("trigger", shop, branch="v3")["deployment_id"]
            installation.pipeline("finish", shop, deployment_id=third, result="success")
            assert (await verdict_of(installation, third))["coverage_ratio"] == 1.0
            assert "worker_stopped" not in installation.log
            counts = await conn.fetch(
                "SELECT count(*) FROM metric_samples WHERE phase = 'post' GROUP BY deployment_id"
            )
            assert len(counts) == 3
            await conn.close()
