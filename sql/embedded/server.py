"""Starts, joins, finds and stops the private server of a data folder.

One lock file decides everything. Whoever starts a server takes the lock and hands the open file on
to it, so the lock is held exactly as long as any process of that server lives, and nobody has to
guess from pids: a postmaster.pid beside a free lock is stale, whoever may have its number now, and
no two processes (or containers) can ever run servers on the same files.

    free                             not running: start
    held, postmaster lives, ready    running: join
    held otherwise                   starting, stopping or dying: wait
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from core.errors import EmbeddedError
from sql.embedded.account import check_entry, choose_account, make_folder
from sql.embedded.cluster import Place, check_machine, read_pid_file
from sql.embedded.create import create
from sql.embedded.install import MAJOR, Say, install
from sql.embedded.keeper import shut_down
from sql.embedded.launch import START_SECONDS, hang_up, launch
from sql.embedded.psql import execute
from sql.texts import query

STOP_SECONDS: Final = 150.0
"""Longer than `shut_down` may take."""
LOOK_SECONDS: Final = 0.05

_leashes: dict[int, int] = {}
"""By pid: what keeps the servers this process owns alive; see `launch`."""


@dataclass(frozen=True, slots=True)
class Server:
    """A private server that runs.

    Attributes:
        url: Of its database, password included.
        data_dir: The folder it was started for.
        pid: Process id of the postmaster.
        port: On 127.0.0.1.
        started: Whether the call that returned this started it, rather than found it running.
        stays: Whether it may outlive the process that started it.
    """

    url: str = field(repr=False)
    data_dir: Path
    pid: int
    port: int
    started: bool
    stays: bool

    def runs(self) -> bool:
        """Return whether it still does."""
        return _serves(Place(self.data_dir), self.pid)


def be_silent(_line: str) -> None:
    """Say nothing."""


def start(data_dir: Path, cache_dir: Path, *, stay: bool, say: Say = be_silent) -> Server:
    """Start the server of `data_dir`, or join the one that runs.

    Installs and creates what is missing. Blocks until the server takes connections.

    Args:
        data_dir: Keeps the data; created if missing.
        cache_dir: Keeps the programs; created if missing.
        stay: Whether a server started here outlives this process. If not, it stops with this
            process, however that ends.
        say: Told what is being done, a line at a time.

    Returns:
        The server. One that was joined keeps the life it was given: see its `stays`.

    Raises:
        EmbeddedError: It cannot be done here; the text says why and what else could be done.
    """
    with _explained():
        if found := _find(Place(data_dir.resolve())):
            return found
        check_machine()
        root = install(cache_dir, say)
        make_folder(data_dir)
        place = Place(data_dir.resolve())
        give_up_at = time.monotonic() + START_SECONDS
        while time.monotonic() < give_up_at:
            with _try_lock(place) as lock:
                if lock is not None:
                    return _start(place, root, lock, stay, say)
            if found := _find(place):
                return found
            time.sleep(LOOK_SECONDS)
        raise EmbeddedError(f"another process has been busy with {place.home} for too long")


def status(data_dir: Path, cache_dir: Path) -> Server | None:  # noqa: ARG001 - as for `start`
    """Return the server of `data_dir` if it runs and takes connections.

    Raises:
        EmbeddedError: We may not look.
    """
    with _explained():
        return _find(Place(data_dir.resolve()))


def stop(data_dir: Path, cache_dir: Path) -> bool:  # noqa: ARG001 - as for `start`
    """Stop the server of `data_dir`, whoever started it; return whether there was one.

    Open transactions are rolled back. Blocks until the server is gone.

    Raises:
        EmbeddedError: It does not stop, or we may not stop it.
    """
    with _explained():
        return _stop(Place(data_dir.resolve()))


@contextmanager
def running(data_dir: Path, cache_dir: Path, say: Say = be_silent) -> Iterator[Server]:
    """Provide the server of `data_dir`; stop it afterwards if it was started for this.

    Raises:
        EmbeddedError: As `start`.
    """
    server = start(data_dir, cache_dir, stay=False, say=say)
    try:
        yield server
    finally:
        if server.started:
            with _explained():
                _stop(Place(server.data_dir), server.pid)


def _start(place: Place, root: Path, lock: int, stay: bool, say: Say) -> Server:
    account = choose_account(place.home)
    check_entry(account, place.data_dir, "SEQPULSE_DATA_DIR")
    check_entry(account, root, "SEQPULSE_CACHE_DIR")
    if not place.home.exists():
        say(f"creating the database in {place.home}")
        create(place, root, account, lock)
    version = (place.cluster / "PG_VERSION").read_text().strip()
    if version != str(MAJOR):
        raise EmbeddedError(
            f"{place.home} was made by PostgreSQL {version} and this is {MAJOR}: move it away, or "
            "dump it with the version it was made by and restore the dump here"
        )
    (place.cluster / "postmaster.pid").unlink(missing_ok=True)  # stale, for we have the lock
    if stay:
        place.stay.touch()
    else:
        place.stay.unlink(missing_ok=True)
    found, leash = launch(place, root, account, lock, stay=stay)
    try:
        url = place.url(found.port)
        # The programs may be newer than the data. The extension refuses to be updated in a session
        # that has used it already, so this is the only statement of its own.
        execute(root, url, query("embedded.update_extension"))
    except BaseException:
        hang_up(leash)
        raise
    if stay:
        os.write(leash, b"stay")
        os.close(leash)
    else:
        _leashes[found.pid] = leash
    return Server(url, place.data_dir, found.pid, found.port, started=True, stays=stay)


def _stop(place: Place, pid: int | None = None) -> bool:
    """Stop the server with this pid, or whichever runs; return whether there was one."""
    if _is_free(place):
        return False
    give_up_at = time.monotonic() + STOP_SECONDS
    while time.monotonic() < give_up_at:
        if found := read_pid_file(place):
            pid = pid or found.pid
            if found.pid == pid:
                _end(place, pid)
        # Free: it is gone. Another pid: it is gone, and somebody has started the next one.
        if _is_free(place) or (found and found.pid != pid):
            if pid in _leashes:
                os.close(_leashes.pop(pid))
            return True
        time.sleep(LOOK_SECONDS)
    raise EmbeddedError(f"the server of {place.home} does not stop")


def _end(place: Place, pid: int) -> None:
    """Make the postmaster end and wait for it."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if _serves(place, pid):  # asked with the handle open: from here on it is this process
            shut_down(handle)
    finally:
        os.close(handle)


def _serves(place: Place, pid: int) -> bool:
    """Whether the process lives and works in the cluster, rather than having inherited a number."""
    try:
        return Path(f"/proc/{pid}/cwd").readlink() == place.cluster
    except (FileNotFoundError, ProcessLookupError):
        return False


def _find(place: Place) -> Server | None:
    found = None if _is_free(place) else read_pid_file(place)
    if found is None or not found.ready or not _serves(place, found.pid):
        return None
    url = place.url(found.port)
    return Server(
        url, place.data_dir, found.pid, found.port, started=False, stays=place.stay.exists()
    )


def _is_free(place: Place) -> bool:
    """Whether no process of a server of `place` lives."""
    if not place.lock.exists():
        return True
    with _try_lock(place, fcntl.LOCK_SH) as lock:
        return lock is not None


@contextmanager
def _try_lock(place: Place, kind: int = fcntl.LOCK_EX) -> Iterator[int | None]:
    """Yield the descriptor of the lock, or None if somebody else holds it.

    It is closed afterwards, never unlocked: a server that inherited it keeps the lock.
    """
    lock = os.open(place.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield lock
    finally:
        os.close(lock)


@contextmanager
def _explained() -> Iterator[None]:
    """Turn what the operating system refuses into an error of ours."""
    try:
        yield
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        raise EmbeddedError(f"the private database: {error.strerror or error}{where}") from error
