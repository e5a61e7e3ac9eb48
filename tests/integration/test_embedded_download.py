"""Installing the private TimescaleDB from the machine's own mirror into fresh folders."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import EmbeddedError
from sql import embedded
from sql.embedded import apt
from sql.embedded.install import BUILD, MAJOR, SUITE, find_installation, program
from sql.embedded.psql import connect_with
from sql.embedded.sources import DEBIAN_KEYRING, Source, debian_mirrors, read_sources

INSTALLER = """
import sys
from functools import partial
from pathlib import Path
from sql.embedded.install import install
install(Path(sys.argv[1]), partial(print, flush=True))
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder the server's account may enter, unlike pytest's own; with a blank in its name."""
    made = Path(tempfile.mkdtemp(prefix="seqpulse embedded-"))
    made.chmod(0o755)
    yield made
    embedded.stop(made / "data", made)
    shutil.rmtree(made)


@pytest.fixture
def shop(folder: Path) -> Iterator[apt.Workshop]:
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT)
    yield apt.Workshop(folder, lock)
    os.close(lock)


def begin(cache_dir: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", INSTALLER, str(cache_dir)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_killed_then_two_at_once_then_a_server(folder: Path) -> None:
    cache_dir = folder / "cache"
    with begin(cache_dir) as killed:
        assert killed.stdout is not None
        for line in killed.stdout:
            if line.startswith("downloading"):
                break
        killed.send_signal(signal.SIGKILL)
    assert killed.returncode == -signal.SIGKILL
    assert find_installation(cache_dir) is None
    draft = cache_dir / f"{BUILD}.draft"
    assert draft.exists()

    with begin(cache_dir) as one, begin(cache_dir) as two:
        said = one.communicate()[0] + two.communicate()[0]
    assert (one.returncode, two.returncode) == (0, 0)
    assert said.count("(only once)") == 1
    assert not draft.exists()

    root = find_installation(cache_dir)
    assert root is not None
    packages = json.loads((root / "manifest.json").read_text())["packages"]
    assert {f"postgresql-{MAJOR}", f"postgresql-{MAJOR}-timescaledb", "libc6"} <= packages.keys()
    for name in ("psql", "pg_dump", "pg_restore", "pgbench"):
        done = subprocess.run(
            [program(root, name), "--version"], env={}, capture_output=True, text=True, check=True
        )
        assert f"(PostgreSQL) {MAJOR}." in done.stdout
    with embedded.running(folder / "data", cache_dir) as server:
        database, password = connect_with(server.url)
        dump = [str(program(root, "pg_dump")), "--schema-only", database]
        done = subprocess.run(dump, env=password, capture_output=True, text=True, check=True)
        assert "CREATE EXTENSION IF NOT EXISTS timescaledb" in done.stdout
        assert loaded_from(server.pid) == {root}


def loaded_from(pid: int) -> set[Path]:
    """The roots of the installations whose libraries the process has loaded."""
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    libraries = {line.split(maxsplit=5)[5] for line in lines if ".so" in line}
    assert any("timescaledb" in library for library in libraries)
    return {Path(library.partition("/usr/")[0]) for library in libraries}


def test_what_is_not_signed_by_debian_is_refused(shop: apt.Workshop, tmp_path: Path) -> None:
    (mirror, *_) = debian_mirrors(read_sources())
    key = tmp_path / "empty.gpg"
    key.touch()
    impostor = Source(mirror.uri, mirror.suites, mirror.components, str(key))
    with pytest.raises(EmbeddedError, match="SEQPULSE_DATABASE_URL") as caught:
        apt.choose_mirror(shop, SUITE, [impostor])
    assert "signed" in str(caught.value) or "signatures" in str(caught.value)


def test_a_mirror_that_does_not_answer_is_passed_over(shop: apt.Workshop) -> None:
    mirrors = debian_mirrors(read_sources())
    dead = Source("http://127.0.0.1:9/debian", ("sid",), ("main",), str(DEBIAN_KEYRING))
    apt.choose_mirror(shop, SUITE, [dead, *mirrors])
    assert "postgresql-17-timescaledb" in apt.resolve(shop, (f"postgresql-{MAJOR}-timescaledb",))


def test_a_machine_without_a_mirror_is_told_the_alternatives(shop: apt.Workshop) -> None:
    with pytest.raises(EmbeddedError, match=r"no Debian mirror .*SEQPULSE_DATABASE_URL.*Docker"):
        apt.choose_mirror(shop, SUITE, [])
