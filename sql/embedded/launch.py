"""Starts one server process and waits until it takes connections."""

from __future__ import annotations

import os
import secrets
import select
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from core.errors import EmbeddedError
from sql.embedded import keeper
from sql.embedded.account import Account
from sql.embedded.cluster import FIXED, PidFile, Place, read_complaint, read_pid_file
from sql.embedded.install import program

PORTS: Final = range(20_000, 30_000)
"""Below the ports the kernel gives to outgoing connections, so one stays free while we are off."""
ATTEMPTS: Final = 5
START_SECONDS: Final = 300.0
"""Long, because a server that crashed replays its log first."""
LOOK_MS: Final = 20
OUTPUT: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
TAKEN: Final = "could not create any TCP/IP sockets"


def launch(
    place: Place, root: Path, account: Account | None, lock: int, *, stay: bool
) -> tuple[PidFile, int]:
    """Start the server of `place`.

    Args:
        place: Where its files are.
        root: Folder of the installation.
        account: Who it runs as; None: ourselves.
        lock: Descriptor of the lock; the server holds it from now on.
        stay: Whether it may outlive this process. It does not until `os.write(leash, b"stay")`.

    Returns:
        What it says of itself, and the leash: a descriptor that stops the server when it is closed,
        however that comes to pass.

    Raises:
        EmbeddedError: It does not start; the text carries the end of its log.
    """
    ports = candidate_ports(place)
    while True:
        port = ports.pop(0)
        leash = _spawn(place, root, account, lock, port, stay=stay)
        try:
            found = _await_ready(place, leash)
        except BaseException as error:
            hang_up(leash)
            if not ports or TAKEN not in str(error):
                raise
        else:
            place.port.write_text(str(port))
            return found, leash


def hang_up(leash: int) -> None:
    """Stop the server and wait until it and all its children are gone."""
    with socket.socket(fileno=leash) as line, suppress(OSError):
        line.shutdown(socket.SHUT_WR)
        while line.recv(32):
            pass


def candidate_ports(place: Place) -> list[int]:
    """Return the ports to try: the one of last time, then some at random.

    Nobody is asked beforehand whether a port is free: the server finds out, and nothing can come
    between.
    """
    drawn = [secrets.choice(PORTS) for _ in range(ATTEMPTS)]
    try:
        remembered = int(place.port.read_text())
    except (OSError, ValueError):
        return drawn
    return [remembered, *drawn] if remembered in range(1, 65_536) else drawn


def _spawn(
    place: Place, root: Path, account: Account | None, lock: int, port: int, *, stay: bool
) -> int:
    """Start keeper and server; return our end of the socket between us and the keeper."""
    command = [sys.executable, "-I", "-S", keeper.__file__, "stay" if stay else "leave"]
    command += [str(account.uid), str(account.gid)] if account else ["", ""]
    command += [str(program(root, "postgres")), "-D", str(place.cluster), "-p", str(port)]
    command += [part for name, value in FIXED.items() for part in ("-c", f"{name}={value}")]
    ours, theirs = socket.socketpair()
    with theirs, os.fdopen(os.open(place.output, OUTPUT, 0o600), "w") as output:
        try:
            subprocess.run(  # noqa: S603 - programs and arguments are ours
                command,
                stdin=theirs.fileno(),
                stdout=output,
                stderr=output,
                pass_fds=(lock,),
                check=True,
            )
        except subprocess.CalledProcessError:
            ours.close()
            raise EmbeddedError(f"cannot start a process: {read_complaint(place)}") from None
    return ours.detach()


def _await_ready(place: Place, leash: int) -> PidFile:
    """Wait until the server takes connections.

    Raises:
        EmbeddedError: It ended, or is not ready in time.
    """
    watch = select.poll()
    watch.register(leash, select.POLLIN)
    give_up_at = time.monotonic() + START_SECONDS
    pid = 0
    while time.monotonic() < give_up_at:
        if watch.poll(LOOK_MS):
            said = os.read(leash, 32)
            if not said:
                break
            pid = int(said)
        found = read_pid_file(place)
        if pid and found and found.pid == pid and found.ready:
            return found
    raise EmbeddedError(f"the private database does not start: {read_complaint(place)}")
