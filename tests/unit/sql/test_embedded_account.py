from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import EmbeddedError
from sql.embedded.account import Account, check_entry, choose_account, make_folder

STRANGER = Account("stranger", 54_321, 54_321)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Two open folders below each other; pytest's own lie below a closed one."""
    outer = Path(tempfile.mkdtemp(prefix="seqpulse-account-"))
    inner = outer / "inner"
    inner.mkdir()
    for step in (outer, inner):
        step.chmod(0o755)
    yield inner
    shutil.rmtree(outer)


def test_the_closed_step_is_named(folder: Path) -> None:
    folder.parent.chmod(0o750)
    with pytest.raises(EmbeddedError, match=rf"stranger, .* {folder.parent}: .*SEQPULSE_DATA_DIR"):
        check_entry(STRANGER, folder, "SEQPULSE_DATA_DIR")


def test_an_open_way_is_fine(folder: Path) -> None:
    check_entry(STRANGER, folder, "SEQPULSE_DATA_DIR")


def test_owner_and_group_have_their_own_bits(folder: Path) -> None:
    found = folder.stat()
    folder.chmod(0o701)
    check_entry(Account("owner", found.st_uid, 54_321), folder, "X")
    with pytest.raises(EmbeddedError):
        check_entry(Account("group", 54_321, found.st_gid), folder, "X")


def test_ourselves_need_no_check(folder: Path) -> None:
    folder.parent.chmod(0o700)
    check_entry(None, folder, "X")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root steps down")
def test_root_steps_down(tmp_path: Path) -> None:
    account = choose_account(tmp_path / "missing")
    assert account is not None
    assert account.uid != 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root steps down")
def test_the_owner_of_the_files_stays_the_owner(tmp_path: Path) -> None:
    os.chown(tmp_path, 54_321, 54_322)
    account = choose_account(tmp_path)
    assert account is not None
    assert (account.uid, account.gid) == (54_321, 54_322)


@pytest.mark.skipif(os.geteuid() != 0, reason="others keep their umask")
def test_root_s_umask_does_not_lock_the_server_out(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        make_folder(tmp_path / "a" / "b")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o755
