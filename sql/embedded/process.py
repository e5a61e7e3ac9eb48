"""Runs one program to its end."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.errors import EmbeddedError
from core.logs import redact
from sql.embedded.account import Account
from sql.embedded.keeper import ENVIRONMENT

_GRAVE = re.compile(r"^E:|\b(error|fatal|panic):", re.IGNORECASE)


def run(
    *command: str | Path,
    text: str = "",
    account: Account | None = None,
    lock: int | None = None,
    folder: Path = Path("/"),
    environment: Mapping[str, str] = ENVIRONMENT,
    umask: int = 0o077,
    seconds: float | None = None,
) -> str:
    """Run a program; return what it wrote to stdout.

    Args:
        *command: Absolute path or name of the program, then its arguments.
        text: Given to it on stdin.
        account: Who it runs as; None: ourselves.
        lock: A descriptor it inherits, so that the lock is held as long as it runs.
        folder: Where it runs.
        environment: All it sees of the environment.
        umask: The mode bits its files lack.
        seconds: How long it may take.

    Raises:
        EmbeddedError: It failed or took too long; the text quotes the gist of its complaint.
        OSError: It cannot be run.
    """
    name = Path(command[0]).name
    done: subprocess.CompletedProcess[str]
    try:
        done = subprocess.run(  # noqa: S603 - programs and arguments are ours
            command,
            input=text,
            capture_output=True,
            text=True,
            errors="replace",
            cwd=folder,
            env=environment,
            pass_fds=() if lock is None else (lock,),
            umask=umask,
            timeout=seconds,
            check=False,
            **_step_down(account),
        )
    except subprocess.TimeoutExpired:
        raise EmbeddedError(f"{name} did not finish in {seconds:.0f} s") from None
    if done.returncode:
        raise EmbeddedError(f"{name} failed: {find_complaint(done.stderr or done.stdout)}")
    return done.stdout


def _step_down(account: Account | None) -> dict[str, Any]:
    if account is None:
        return {}
    return {"user": account.uid, "group": account.gid, "extra_groups": []}


def find_complaint(output: str) -> str:
    """Return in one line what went wrong according to a program's output, without credentials."""
    lines = [" ".join(line.split()) for line in output.splitlines() if line.strip()]
    grave = [line[found.start() :] for line in lines if (found := _GRAVE.search(line))]
    return redact(" / ".join((grave or lines)[-3:])) or "it did not say why"
