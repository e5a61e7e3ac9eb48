"""Race the scheduler against Python's other job queues on Postgres; README.md explains it.

    python tests/benchmarks/scheduler.py [--rounds N] [--stages a,b] [--contenders a,b] [--quick]

A table goes to standard error; the last line of standard output is one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from core import settings
from core.database import connect
from sql import embedded
from tests.benchmarks.race.contenders import CONTENDERS, prepare_environment
from tests.benchmarks.race.drivers import Driver, tell
from tests.benchmarks.race.idle import idle
from tests.benchmarks.race.results import Results, report, table
from tests.benchmarks.race.stages import ONCE, QUICK, STAGES, Sizes, Track

TEST_DSN = "SEQPULSE_TEST_DSN"
IDLE = "idle"
NAMES = tuple(contender.name for contender in CONTENDERS)


def read_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    add = parser.add_argument
    add("--rounds", type=int, help="rounds, each with every contender in turn (5; quick: 1)")
    add("--stages", type=_choice((*STAGES, IDLE)), default=(*STAGES, IDLE))
    add("--contenders", type=_choice(NAMES), default=NAMES)
    add("--quick", action="store_true", help="a tenth of the work, for development")
    add(
        "--recovery-peers",
        action=argparse.BooleanOptionalAction,
        help="kill the peers' workers, too: minutes, once (on, quick: off)",
    )
    add("--peers-python", type=Path, help="interpreter of a ready environment with the peers")
    return parser.parse_args()


class _choice:  # noqa: N801 - reads as a function in the parser
    """Names separated by commas, each of which must be known."""

    def __init__(self, known: Sequence[str]) -> None:
        self.known = known

    def __call__(self, text: str) -> tuple[str, ...]:
        names = tuple(text.split(","))
        if unknown := set(names) - set(self.known):
            wrong = ", ".join(sorted(unknown))
            raise argparse.ArgumentTypeError(f"{wrong}: choose from {', '.join(self.known)}")
        return names


@contextmanager
def server() -> Iterator[str]:
    """The server of SEQPULSE_TEST_DSN, else a private one."""
    if given := os.environ.get(TEST_DSN):
        yield given
        return
    folder = Path(tempfile.mkdtemp(prefix="seqpulse-bench-"))
    folder.chmod(0o755)  # the server runs under another account when we are root
    try:
        with embedded.running(folder, settings.load().cache_dir, tell) as private:
            yield private.url
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def describe(url: str) -> dict[str, str]:
    """Return what the figures depend on, and refuse a server that cheats on durability.

    Raises:
        SystemExit: The server does not wait for its disk.
    """
    conn = await connect(url)
    found = {
        name: await conn.fetchval(f"SHOW {name}")
        for name in ("server_version", "fsync", "synchronous_commit", "shared_buffers")
    }
    await conn.close()
    if (found["fsync"], found["synchronous_commit"]) != ("on", "on"):
        raise SystemExit("bench: fsync and synchronous_commit must be on")
    return found


def order(drivers: Sequence[Driver], turn: int) -> Sequence[Driver]:
    """Return the drivers with another one first in every turn."""
    first = turn % len(drivers)
    return [*drivers[first:], *drivers[:first]]


def takes_part(stage: str, driver: Driver, turn: int, recovery_peers: bool) -> bool:
    """Say whether a contender runs a stage in this round."""
    if stage == "recovery" and not driver.contender.ours:
        return recovery_peers and driver.contender.recovers and turn == 0
    return turn == 0 or stage not in ONCE


async def race(url: str, drivers: Sequence[Driver], arguments: argparse.Namespace) -> Results:
    """Run every round and tell the figures as they come."""
    track = Track(url, QUICK if arguments.quick else Sizes())
    rounds = arguments.rounds or (1 if arguments.quick else 5)
    with_peers = arguments.recovery_peers
    if with_peers is None:
        with_peers = not arguments.quick
    results = Results()
    for turn in range(rounds):
        for stage in (name for name in STAGES if name in arguments.stages):
            for driver in order(drivers, turn):
                if takes_part(stage, driver, turn, with_peers):
                    figures = await STAGES[stage](track, driver)
                    results.add(driver.contender.name, figures)
                    shown = ", ".join(f"{name} {value[0]:,.2f}" for name, value in figures.items())
                    tell(f"round {turn + 1}/{rounds} {driver.contender.name}: {shown}")
    if IDLE in arguments.stages:
        for contender, figures in (await idle(track, drivers)).items():
            results.add(contender, figures)
    return results


def main() -> None:
    """Run the benchmark and print its results."""
    arguments = read_arguments()
    chosen = [contender for contender in CONTENDERS if contender.name in arguments.contenders]
    peers = arguments.peers_python
    if peers is None and any(not contender.ours for contender in chosen):
        peers = prepare_environment(settings.load().cache_dir / "bench")
    drivers = [
        Driver(contender, Path(sys.executable) if contender.ours else peers) for contender in chosen
    ]
    with server() as url:
        about = asyncio.run(describe(url))
        results = asyncio.run(race(url, drivers, arguments))
    tell(table(results.medians()))
    summary = report(results, benchmark="scheduler", quick=arguments.quick, server=about)
    for name, holds in judge_lines(summary):
        tell(f"{'holds' if holds else 'FAILS'}  {name}")
    print(json.dumps(summary))  # noqa: T201 - the result


def judge_lines(summary: dict[str, object]) -> list[tuple[str, bool]]:
    """Return the bounds and whether they hold, in the order of their names."""
    holds = summary["holds"]
    assert isinstance(holds, dict)
    return sorted(holds.items())


if __name__ == "__main__":
    main()
