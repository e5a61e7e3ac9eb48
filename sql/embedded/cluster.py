"""The files of a private server: where they are, and what they say of the server.

<data_dir>/postgres.lock    held by the server and its children as long as one of them lives
<data_dir>/postgres.port    the port to prefer at the next start
<data_dir>/postgres.out     what the server said before it opened its log
<data_dir>/postgres/        belongs to the server's account; appears complete, by one rename
    password                of the superuser `seqpulse`
    cluster/                PGDATA; the log is in cluster/log
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.errors import EmbeddedError
from sql.embedded.apt import ALTERNATIVES
from sql.embedded.process import find_complaint

NAME: Final = "seqpulse"
"""Of the superuser and of the database."""

FIXED: Final = {
    "cluster_name": NAME,
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_preload_libraries": "timescaledb",
    "timescaledb.telemetry_level": "off",
    "jit": "off",
    "logging_collector": "on",
    "log_directory": "log",
    "log_filename": "server-%a.log",  # a week of logs, each day over the one of a week ago
    "log_rotation_age": "1d",
    "log_rotation_size": "0",
    "log_truncate_on_rotation": "on",
}
"""Given on the command line of every start: what this code relies on."""

ZONES: Final = Path("/usr/share/zoneinfo/UTC")
"""PostgreSQL looks for time zones there and nowhere else; Debian compiles the path in."""

TAIL_BYTES: Final = 65_536


@dataclass(frozen=True, slots=True)
class Place:
    """Where a private server lives."""

    data_dir: Path

    @property
    def home(self) -> Path:
        """Folder of the server's account."""
        return self.data_dir / "postgres"

    @property
    def cluster(self) -> Path:
        """PGDATA."""
        return self.home / "cluster"

    @property
    def password(self) -> Path:
        """The file with the password of the superuser."""
        return self.home / "password"

    @property
    def lock(self) -> Path:
        """The lock file."""
        return self.data_dir / "postgres.lock"

    @property
    def port(self) -> Path:
        """The file with the port to prefer."""
        return self.data_dir / "postgres.port"

    @property
    def stay(self) -> Path:
        """The mark of a server that stays."""
        return self.data_dir / "postgres.stay"

    @property
    def output(self) -> Path:
        """What the server says before it opens its log."""
        return self.data_dir / "postgres.out"

    def url(self, port: int, database: str = NAME) -> str:
        """Return the URL of a database of the server, password included.

        Raises:
            OSError: The password cannot be read.
        """
        password = self.password.read_text().strip()
        return f"postgresql://{NAME}:{password}@127.0.0.1:{port}/{database}"


@dataclass(frozen=True, slots=True)
class PidFile:
    """What a running server writes into postmaster.pid."""

    pid: int
    port: int
    ready: bool


def read_pid_file(place: Place) -> PidFile | None:
    """Return the content of postmaster.pid, or None if there is none or it is half written."""
    try:
        lines = (place.cluster / "postmaster.pid").read_text().splitlines()
        return PidFile(int(lines[0]), int(lines[3]), lines[7:] != [] and "ready" in lines[7])
    except (OSError, ValueError, LookupError):
        return None


def read_complaint(place: Place) -> str:
    """Return in one line the last the server complained of."""
    said = _read(place.output)
    logs = sorted((place.cluster / "log").glob("*.log"), key=lambda path: path.stat().st_mtime)
    if "redirecting log output" in said and logs:
        said = _read(logs[-1]).rpartition("starting PostgreSQL")[2]
    return find_complaint(said)


def _read(path: Path) -> str:
    """Return the end of a file, which may be long; nothing if there is none."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL_BYTES))
        return file.read().decode(errors="replace")


def check_machine() -> None:
    """Make sure a server can run and be stopped here.

    Raises:
        EmbeddedError: The machine has no time zones.
        OSError: Its kernel does not know pidfds (Linux before 5.3).
    """
    os.close(os.pidfd_open(os.getpid()))
    if not ZONES.exists():
        raise EmbeddedError(
            f"{ZONES.parent} is missing, where PostgreSQL looks for time zones: install the "
            f"package tzdata, or {ALTERNATIVES}"
        )
