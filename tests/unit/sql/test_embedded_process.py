from __future__ import annotations

import os
import sys

import pytest

from core.errors import EmbeddedError
from sql.embedded.process import find_complaint, run


def test_stdout_is_returned_and_our_environment_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPORT", "1")
    assert run("/bin/sh", "-c", "echo $PGPORT; cat; umask", text="said") == "\nsaid0077\n"


def test_failure_quotes_the_gist() -> None:
    with pytest.raises(EmbeddedError, match=r"^sh failed: E: it broke$"):
        run("/bin/sh", "-c", "echo W: careful >&2; echo E: it broke >&2; echo bye >&2; exit 3")


def test_too_slow_is_a_failure() -> None:
    with pytest.raises(EmbeddedError, match="did not finish"):
        run(sys.executable, "-c", "import signal; signal.pause()", seconds=0.1)


def test_the_lock_is_inherited() -> None:
    lock = os.open(os.devnull, os.O_RDONLY)
    try:
        assert run("/bin/sh", "-c", f"readlink /proc/self/fd/{lock}", lock=lock) == "/dev/null\n"
    finally:
        os.close(lock)


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("", "it did not say why"),
        ("one\ntwo", "one / two"),
        ("E: Failed to fetch http://u:secret@h/x", "E: Failed to fetch http://[redacted]@h/x"),
        ("2026-01-01 [1] LOG:  fine\n2026-01-01 [1] FATAL:  bad  luck\n", "FATAL: bad luck"),
        ("error: a\nerror: b\nerror: c\nerror: d", "error: b / error: c / error: d"),
    ],
)
def test_complaints(output: str, expected: str) -> None:
    assert find_complaint(output) == expected
