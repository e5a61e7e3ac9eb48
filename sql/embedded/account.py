"""Who the server runs as: PostgreSQL refuses root, so root lends it an unprivileged account."""

from __future__ import annotations

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.errors import EmbeddedError

NAMES: Final = ("postgres", "nobody")


@dataclass(frozen=True, slots=True)
class Account:
    """An account root can hand a process to."""

    name: str
    uid: int
    gid: int


def choose_account(home: Path) -> Account | None:
    """Return the account the server must run as, or None to run as ourselves.

    Args:
        home: The server's folder; if it exists its owner is chosen.

    Raises:
        EmbeddedError: We are root and there is no account to step down to.
    """
    if os.geteuid() != 0:
        return None
    if home.exists():
        found = home.stat()
        return Account(f"user {found.st_uid}", found.st_uid, found.st_gid)
    for name in NAMES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise EmbeddedError(
        "PostgreSQL refuses to run as root, and this machine has neither an account postgres "
        "nor an account nobody it could run as"
    )


def check_entry(account: Account | None, folder: Path, setting: str) -> None:
    """Make sure the account can reach `folder`.

    Args:
        account: Who wants to; None: ourselves, nothing to check.
        folder: An absolute path without symbolic links.
        setting: The setting that moves the folder, for the error text.

    Raises:
        EmbeddedError: A folder on the way is closed to the account.
    """
    for step in (*reversed(folder.parents), folder):
        if account and not _may_enter(account, step.stat()):
            raise EmbeddedError(
                f"the server runs as {account.name}, who may not enter {step}: "
                f"choose another place with {setting}, or open it (chmod o+x {step})"
            )


def _may_enter(account: Account, found: os.stat_result) -> bool:
    if found.st_uid == account.uid:
        return bool(found.st_mode & stat.S_IXUSR)
    if found.st_gid == account.gid:
        return bool(found.st_mode & stat.S_IXGRP)
    return bool(found.st_mode & stat.S_IXOTH)


def make_folder(folder: Path) -> None:
    """Create `folder`; as root also make what was created passable, whatever the umask."""
    missing = [step for step in (folder, *folder.parents) if not step.exists()]
    for step in reversed(missing):
        step.mkdir(exist_ok=True)
        if os.geteuid() == 0:
            step.chmod(0o755)
