"""Stands between a server and its owner; run as a script of its own.

    keeper.py LIFE UID GID PROGRAM [ARGS...]

UID and GID may be empty. Stdin is one end of a socket pair whose other end the owner holds. The
keeper tells the owner the server's pid, and stops the server when the owner hangs up. With LIFE =
`stay` the owner says so again once the server is ready, and the keeper leaves it alone.

Why a process of its own: the kernel's parent-death signal belongs to the *thread* that forked, so a
server started from a worker thread would die with that thread; and it must be set between fork and
exec, which is not safe in a program with threads. The end of a socket is safe: the kernel closes it
however the owner ends, SIGKILL included. (Children the owner forks without exec hold it open too;
the server then stops with the last of them.) The keeper has one thread, so for its own death the
parent-death signal is right: `pkill -9 python` leaves no server behind either.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
from contextlib import suppress
from typing import Final

OWNER: Final = 0
PR_SET_PDEATHSIG: Final = 1
PR_SET_CHILD_SUBREAPER: Final = 36
PATIENCE_MS: Final = 60_000
ENVIRONMENT: Final = {"LC_ALL": "C", "PATH": os.defpath, "OPENSSL_CONF": os.devnull}
"""What the private programs see of the environment: nothing that could bend them."""


def main(life: str, uid: str, gid: str, *command: str) -> None:
    """Detach from the owner, start the server, keep it."""
    if os.fork():
        os._exit(0)  # the owner gets no child to reap
    os.setsid()  # nor the server the signals of the owner's terminal
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # we reap what the server leaves
    keeper = os.getpid()
    server = os.fork()
    if server == 0:
        become_server(life, uid, gid, command, keeper)
    os.closerange(1, os.sysconf("SC_OPEN_MAX"))  # the lock on the data belongs to the server alone
    keep(server)


def become_server(life: str, uid: str, gid: str, command: tuple[str, ...], keeper: int) -> None:
    """Turn this process into the server, without any right of root's."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), OWNER)
    if uid:
        os.setgroups([])
        os.setgid(int(gid))
        os.setuid(int(uid))
    os.umask(0o077)
    os.chdir("/")
    if life != "stay":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0)
        if os.getppid() != keeper:  # it died before the call above
            os._exit(1)
    os.execve(command[0], command, ENVIRONMENT)  # noqa: S606 - this is what it is for


def keep(server: int) -> None:
    """Wait until the owner lets the server stay, or until it and all its children have ended."""
    ended = os.pidfd_open(server)
    watch = select.poll()
    watch.register(OWNER, select.POLLIN)
    watch.register(ended, select.POLLIN)
    try:
        os.write(OWNER, f"{server}\n".encode())
        if all(source == OWNER for source, _ in watch.poll()) and os.read(OWNER, 16) == b"stay":
            return
    except OSError:
        pass  # the owner died in the middle of a word
    shut_down(ended)
    with suppress(ChildProcessError):
        while True:  # until the last one, which writes the log, has written it
            os.wait()


def shut_down(handle: int) -> None:
    """Stop the server whose pidfd is `handle`, and wait for its end.

    First a fast shutdown; should that take too long, an immediate one, which loses nothing either
    but makes the next start replay the log.
    """
    watch = select.poll()
    watch.register(handle, select.POLLIN)
    for urgency in (signal.SIGINT, signal.SIGQUIT):
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, urgency)
        if watch.poll(PATIENCE_MS):
            return


if __name__ == "__main__":
    main(*sys.argv[1:])
