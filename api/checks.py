"""What is judged of the installation: facts in, checks out. Pure.

Each check compares one value with one limit. What nobody could find out is `unknown`: it makes
nothing worse, because the check of the database says why.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sql.health import COLLECTION_SECONDS, OVERDUE_SECONDS, Collection, Queue, Upkeep, Workers


class Status(StrEnum):
    """How something is, from well to broken."""

    OK = "ok"
    UNKNOWN = "unknown"
    DEGRADED = "degraded"
    FAILING = "failing"


SLOW_SECONDS: Final = 0.5
SILENT_SECONDS: Final = 30.0
"""As the workers see it: who is silent for longer is cut off (`scheduler.worker.Options`)."""
FULL_RATIO: Final = 0.9
COLLECTED_RATIO: Final = 0.8
LEAST_SLOTS: Final = 10
"""Fewer slots say nothing of collecting."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found out; None: could not be.

    Attributes:
        latency_seconds: What the simplest question to the database takes.
        writable: Whether it takes writes.
        schema_fault: What is wrong with the schema, "" for nothing.
        queue, workers, collection, upkeep: See `sql.health`.
        upkeep_fault: Why the edition of TimescaleDB cannot be used, "" for no reason.
        pool_ratio: Connections of this process's pool in use, of all it may open.
    """

    latency_seconds: float | None = None
    writable: bool | None = None
    schema_fault: str | None = None
    queue: Queue | None = None
    workers: Workers | None = None
    collection: Collection | None = None
    upkeep: Upkeep | None = None
    upkeep_fault: str = ""
    pool_ratio: float = 0.0


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: What.
        status: How it is.
        value: What was found; None: unknown, or nothing to count.
        limit: Where it stops being ok; None: any value is.
        unit: Of both.
        detail: Why it is not ok, or what the value means.
    """

    name: str
    status: Status
    value: float | str | None
    limit: float | None
    unit: str
    detail: str


NAMES: Final = (
    "database",
    "writable",
    "schema",
    "pool",
    "heartbeat",
    "pending",
    "overdue",
    "stuck",
    "collection",
    "timescaledb",
    "policies",
)
"""All checks, in the order of reading."""


def judge(facts: Facts) -> dict[str, Check]:
    """Return every check by name."""
    found = (
        _database(facts.latency_seconds),
        _writable(facts.writable),
        _schema(facts.schema_fault),
        _pool(facts.pool_ratio),
        _heartbeat(facts.workers),
        *_queue(facts.queue),
        _collection(facts.collection),
        *_upkeep(facts.upkeep, facts.upkeep_fault),
    )
    return {check.name: check for check in found}


def overall(checks: dict[str, Check]) -> Status:
    """Return the worst of all; unknown counts as ok."""
    found = {check.status for check in checks.values()}
    return next((each for each in (Status.FAILING, Status.DEGRADED) if each in found), Status.OK)


def _grade(exceeded: bool, worse: Status = Status.DEGRADED) -> Status:
    return worse if exceeded else Status.OK


def _unknown(name: str, limit: float | None, unit: str) -> Check:
    return Check(name, Status.UNKNOWN, None, limit, unit, "could not be found out")


def _database(seconds: float | None) -> Check:
    detail = "what the simplest question takes"
    if seconds is None:
        return Check(
            "database", Status.FAILING, None, SLOW_SECONDS, "seconds", "it does not answer"
        )
    status = _grade(seconds > SLOW_SECONDS)
    return Check("database", status, round(seconds, 6), SLOW_SECONDS, "seconds", detail)


def _writable(writable: bool | None) -> Check:
    if writable is None:
        return _unknown("writable", None, "")
    detail = "it takes writes" if writable else "the database is read-only"
    return Check("writable", _grade(not writable, Status.FAILING), None, None, "", detail)


def _schema(fault: str | None) -> Check:
    if fault is None:
        return _unknown("schema", None, "")
    detail = fault or "it is that of this version"
    return Check("schema", _grade(bool(fault), Status.FAILING), None, None, "", detail)


def _pool(ratio: float) -> Check:
    detail = "connections in use, of all this process may open; the least of the last looks"
    return Check("pool", _grade(ratio > FULL_RATIO), round(ratio, 3), FULL_RATIO, "ratio", detail)


def _heartbeat(workers: Workers | None) -> Check:
    name, unit = "heartbeat", "seconds"
    if workers is None:
        return _unknown(name, SILENT_SECONDS, unit)
    if not workers.workers:
        return Check(name, Status.FAILING, None, SILENT_SECONDS, unit, "no worker is running")
    age = workers.heartbeat_age_seconds
    if age is None:
        return _unknown(name, SILENT_SECONDS, unit)
    status = _grade(age > SILENT_SECONDS, Status.FAILING)
    detail = f"since one of {workers.workers} worker(s) last spoke to the database"
    return Check(name, status, round(max(age, 0.0), 3), SILENT_SECONDS, unit, detail)


def _queue(queue: Queue | None) -> tuple[Check, Check, Check]:
    if queue is None:
        return (
            _unknown("pending", None, "jobs"),
            _unknown("overdue", 0, "jobs"),
            _unknown("stuck", 0, "jobs"),
        )
    late = f"due for more than {OVERDUE_SECONDS:.0f} s and not claimed"
    stuck = "held for more than ten minutes, or failed again and again"
    pending = queue.planned + queue.due
    return (
        Check("pending", Status.OK, pending, None, "jobs", "planned or due"),
        Check("overdue", _grade(queue.overdue > 0), queue.overdue, 0, "jobs", late),
        Check("stuck", _grade(queue.stuck > 0), queue.stuck, 0, "jobs", stuck),
    )


def _collection(collection: Collection | None) -> Check:
    if collection is None:
        return _unknown("collection", COLLECTED_RATIO, "ratio")
    slots = collection.collected + collection.missed
    if slots < LEAST_SLOTS:
        detail = f"only {slots} slots in {COLLECTION_SECONDS / 60:.0f} minutes"
        return Check("collection", Status.OK, None, COLLECTED_RATIO, "ratio", detail)
    ratio = collection.collected / slots
    detail = f"of {slots} slots in {COLLECTION_SECONDS / 60:.0f} minutes"
    status = _grade(ratio < COLLECTED_RATIO)
    return Check("collection", status, round(ratio, 4), COLLECTED_RATIO, "ratio", detail)


def _upkeep(upkeep: Upkeep | None, fault: str) -> tuple[Check, Check]:
    if upkeep is None:
        broken = Check("timescaledb", Status.DEGRADED, None, None, "edition", fault)
        first = broken if fault else _unknown("timescaledb", None, "edition")
        return first, _unknown("policies", 0, "jobs")
    ours = f"{upkeep.policies} jobs of the database's own on our tables; these failed last time"
    return (
        Check("timescaledb", Status.OK, upkeep.edition, None, "edition", "the edition"),
        Check("policies", _grade(upkeep.failed > 0), upkeep.failed, 0, "jobs", ours),
    )
