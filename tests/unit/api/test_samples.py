"""How much of a push is read."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from api import samples
from api.problems import ProblemError
from ingest.documents import LINES, Form
from ingest.rows import Bounds

BOUNDS = Bounds(datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 5, 2, tzinfo=UTC))


def test_rows_beyond_the_most_are_not_looked_at() -> None:
    looked_at = []

    def split(text: bytes) -> Iterator[tuple[int, object]]:
        for number in range(1, len(text)):
            looked_at.append(number)
            yield number, {}

    with pytest.raises(ProblemError, match="more than 10,000 rows"):
        samples._read_carefully(b"\n" * 90_000, Form(LINES.load, split), "prod", BOUNDS)
    assert len(looked_at) == samples.MAX_ROWS + 1


@pytest.mark.parametrize("text", [b"[" * 900 + b"]" * 900, b"{}", b"no JSON"])
async def test_what_must_be_read_carefully_does_not_keep_others_waiting(text: bytes) -> None:
    threads = []

    def split(text: bytes) -> Iterator[tuple[int, object]]:
        threads.append(threading.current_thread())
        return iter(LINES.split(text))

    batch = await samples._parse(text, Form(LINES.load, split), "prod", BOUNDS)
    assert len(batch.refusals) == 1
    assert threads != [threading.current_thread()]


def test_lines_are_not_read_quickly_if_there_are_too_many_of_them() -> None:
    with pytest.raises(ValueError, match="too many"):
        LINES.load(b"no JSON\n" * 11, 10)
    assert LINES.load(b"1\n" * 10, 10) == [1] * 10
