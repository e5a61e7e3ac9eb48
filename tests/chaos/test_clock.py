"""The clock of record is the database's: the scheduler looks at no wall clock of its host."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SCHEDULER = Path(__file__).parents[2] / "scheduler"
CLOCKS = {
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("datetime", "today"),
    ("date", "today"),
    ("time", "time"),
    ("time", "time_ns"),
    ("time", "localtime"),
    ("time", "gmtime"),
    ("time", "ctime"),
    ("time", "strftime"),
    ("time", "clock_gettime"),
}


def wall_clocks(source: str) -> Iterator[str]:
    """Yield what in a module names the wall clock: `datetime.now`, `from time import time`, ..."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Attribute(value=ast.Name(id=owner), attr=name) if (owner, name) in CLOCKS:
                yield f"{owner}.{name}"
            case ast.Attribute(value=ast.Attribute(attr=owner), attr=name):
                if (owner, name) in CLOCKS:
                    yield f"{owner}.{name}"
            case ast.ImportFrom(module="time", names=names):
                yield from (f"time.{item.name}" for item in names if ("time", item.name) in CLOCKS)


@pytest.mark.parametrize("path", sorted(SCHEDULER.glob("*.py")), ids=lambda path: path.name)
def test_the_scheduler_reads_no_wall_clock(path: Path) -> None:
    assert list(wall_clocks(path.read_text())) == []


@pytest.mark.parametrize(
    "source",
    [
        "datetime.now(UTC)",
        "datetime.datetime.utcnow()",
        "time.time()",
        "from time import monotonic, time",
        "x = time.time_ns",
    ],
)
def test_a_wall_clock_is_found(source: str) -> None:
    assert list(wall_clocks(source))


def test_the_steady_clock_is_no_wall_clock() -> None:
    assert list(wall_clocks("import time\ntime.monotonic()\nloop.time()")) == []
