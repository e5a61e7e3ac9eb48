"""Who runs: the peers in an environment of their own, SeqPulse in ours."""

from __future__ import annotations

import subprocess
import sys
import venv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

REQUIREMENTS = (
    "procrastinate==3.10.0",
    "pgqueuer==1.6.0",
    "chancy==0.26.0",
    "asyncpg==0.32.0",
    "psycopg[binary,pool]==3.3.9",
    "uvloop==0.23.0",
)


@dataclass(frozen=True)
class Contender:
    """A job queue in the race.

    Attributes:
        driver: Name of its module in tests/benchmarks/peers.
        unfinished: Query of one number: jobs that are due and not yet written down as finished.
        env: Added to the environment of its driver.
        ours: Whether it runs in our environment.
        recovers: Whether the recovery stage makes sense for it.
    """

    name: str
    driver: str
    unfinished: str
    env: Mapping[str, str] = field(default_factory=dict, hash=False)
    ours: bool = False
    recovers: bool = True


SEQPULSE = Contender(
    "seqpulse",
    "seqpulse_driver",
    # The priorities are listed so that the index leads to the due rows alone.
    "SELECT count(*) FROM scheduled_jobs "
    "WHERE priority = ANY('{0,1,2,3,4}') AND scheduled_at <= now()",
    ours=True,
)
PGQUEUER = Contender(
    "pgqueuer", "pgqueuer_driver", "SELECT count(*) FROM pgqueuer WHERE execute_after <= now()"
)
CONTENDERS = (
    SEQPULSE,
    Contender(
        "procrastinate",
        "procrastinate_driver",
        "SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing') "
        "AND task_name = 'job' AND (scheduled_at IS NULL OR scheduled_at <= now())",
    ),
    PGQUEUER,
    Contender(
        "pgqueuer-200",
        PGQUEUER.driver,
        PGQUEUER.unfinished,
        env={"PGQUEUER_BATCH_SIZE": "200"},
        recovers=False,  # the option has nothing to do with it
    ),
    Contender(
        "chancy",
        "chancy_driver",
        "SELECT count(*) FROM chancy_jobs "
        "WHERE state IN ('pending', 'running', 'retrying') AND scheduled_at <= now()",
    ),
)


def prepare_environment(folder: Path) -> Path:
    """Return the Python of the peers' environment, creating it in `folder` if it is not there."""
    python = folder / "bin" / "python"
    stamp = folder / "requirements.txt"
    wanted = "\n".join(REQUIREMENTS)
    if not stamp.exists() or stamp.read_text() != wanted:
        print("bench: creating the environment of the peers", file=sys.stderr)  # noqa: T201
        venv.create(folder, with_pip=True, clear=True)
        install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([python, *install, *REQUIREMENTS], check=True, stdout=sys.stderr)
        stamp.write_text(wanted)
    return python
