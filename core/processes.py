"""Processes of ours: how they are started, found alive, and stopped together."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO

from core.errors import SeqPulseError

PR_SET_PDEATHSIG = 1
STOP_SECONDS = 25.0


def die_with_parent(signal_number: int = signal.SIGTERM) -> Callable[[], None]:
    """Return a `preexec_fn` that makes a child receive a signal when its parent dies.

    Without it a parent killed by SIGKILL leaves its children running. The kernel watches the
    thread that forked: start such children from a thread that lives as long as the process.
    """
    libc = ctypes.CDLL(None, use_errno=True)  # loaded before the fork, where it is safe
    parent = os.getpid()

    def prepare() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal_number)
        if os.getppid() != parent:  # it died in between: no signal will come any more
            os.kill(os.getpid(), signal_number)

    return prepare


def start(
    arguments: Sequence[str], env: Mapping[str, str], output: IO[bytes] | None = None
) -> subprocess.Popen[bytes]:
    """Start `seqpulse ARGUMENTS` (or another module with `-m`) as a child that dies with us.

    Args:
        arguments: Arguments of `python -m`, the module first.
        env: Added to our environment.
        output: Where standard output and error go; None: where ours go.
    """
    return subprocess.Popen(  # noqa: S603 - our own interpreter and modules
        [sys.executable, "-m", *arguments],
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        preexec_fn=die_with_parent(),
    )


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask a child to stop, and end it if it does not in time."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


@contextmanager
def together(
    children: Mapping[str, Callable[[], subprocess.Popen[bytes]]],
) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Start children by name, and stop them all at the end, the last one first."""
    with contextlib.ExitStack() as stack:
        running = {}
        for name, begin in children.items():
            running[name] = begin()
            stack.callback(stop, running[name])
        yield running


def runs(process: subprocess.Popen[bytes]) -> bool:
    """Return whether a child has not ended."""
    return process.poll() is None


async def watch(alive: Mapping[str, Callable[[], bool]], ended: asyncio.Event) -> None:
    """Wait until `ended` is set.

    Args:
        alive: By name: says whether it still runs.
        ended: Set to end the watch.

    Raises:
        SeqPulseError: One of them ended before that.
    """
    while not ended.is_set():
        for name, is_alive in alive.items():
            if not is_alive():
                raise SeqPulseError(f"{name} ended unexpectedly")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), 0.5)
