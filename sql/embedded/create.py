"""Makes the files of a private server, all or nothing."""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path
from typing import Final

from sql.embedded.account import Account, make_folder
from sql.embedded.cluster import NAME, Place
from sql.embedded.install import program
from sql.embedded.launch import hang_up, launch
from sql.embedded.process import run
from sql.embedded.psql import execute
from sql.texts import query

INITIAL: Final = {
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_worker_processes": "32",
    "timescaledb.max_background_workers": "8",
    "min_wal_size": "80MB",
    "max_wal_size": "1GB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
    "log_checkpoints": "off",
}
"""Written to postgresql.conf once: a start, to be tuned by whoever likes to."""


def create(place: Place, root: Path, account: Account | None, lock: int) -> None:
    """Make cluster, password, database and extension.

    They are made elsewhere and moved into place at the end, so that what a killed attempt leaves is
    never taken for data. A real server makes the database: one made in PostgreSQL's single-user
    mode gets the numbers of system objects, and pg_dump leaves the extension out.

    Args:
        place: Where to.
        root: Folder of the installation.
        account: Whom the files belong to; None: ourselves.
        lock: Descriptor of the lock, kept open by what runs here.

    Raises:
        EmbeddedError: PostgreSQL refused; the text says why.
    """
    draft = Place(place.data_dir / "postgres.draft")
    shutil.rmtree(draft.data_dir, ignore_errors=True)
    make_folder(draft.data_dir)
    _make_home(draft, account)
    command = [str(program(root, "initdb")), f"--pgdata={draft.cluster}", "--data-checksums"]
    command += ["--encoding=UTF8", "--locale=C"]
    command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    command += ["--auth=scram-sha-256", f"--username={NAME}", f"--pwfile={draft.password}"]
    command += [f"--set={name}={value}" for name, value in INITIAL.items()]
    run(*command, account=account, lock=lock)
    found, leash = launch(draft, root, account, lock, stay=False)
    try:
        execute(root, draft.url(found.port, "postgres"), query("embedded.create_database"))
        execute(root, draft.url(found.port), query("embedded.create_extension"))
    finally:
        hang_up(leash)
    draft.home.rename(place.home)
    shutil.rmtree(draft.data_dir)


def _make_home(draft: Place, account: Account | None) -> None:
    """Make the account's folder with the password in it."""
    draft.home.mkdir(mode=0o700)
    draft.password.touch(mode=0o600)
    draft.password.write_text(secrets.token_hex(24))
    if account:
        for path in (draft.password, draft.home):  # the folder last: then it is no longer ours
            os.chown(path, account.uid, account.gid)
