"""The nouns of SeqPulse, as plain frozen values.

One word per thing: these names are used in the code, the tables, the API and the docs alike
(see docs/glossary.md). Nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from core.codes import CollectCode as CollectCode
from core.codes import SourceKind


class Metric(StrEnum):
    """The five numbers read from a service."""

    REQUESTS_PER_SEC = "requests_per_sec"
    LATENCY_P95 = "latency_p95"
    ERROR_RATE = "error_rate"
    CPU_USAGE = "cpu_usage"
    MEMORY_USAGE = "memory_usage"


METRICS: Final = tuple(metric.value for metric in Metric)
"""Metric names in the order of the wire contract."""

SHARES: Final = frozenset({Metric.ERROR_RATE, Metric.CPU_USAGE, Metric.MEMORY_USAGE})
"""Metrics that are shares of one, hence never above 1."""


class DeploymentState(StrEnum):
    """Life of a deployment: pending -> running -> finished -> analyzed."""

    PENDING = "pending"  # triggered, the `pre` slot has not settled yet
    RUNNING = "running"  # being rolled out by CI
    FINISHED = "finished"  # rolled out, the post window is observed
    ANALYZED = "analyzed"  # a verdict is stored


class DeploymentResult(StrEnum):
    """What CI said of its own pipeline at `finish`."""

    SUCCESS = "success"
    FAILED = "failed"


class Phase(StrEnum):
    """Where a slot stands relative to a deployment; the continuous baseline has no phase."""

    PRE = "pre"
    POST = "post"


class Verdict(StrEnum):
    """What to do, from harmless to harmful."""

    OK = "ok"
    WARNING = "warning"
    ROLLBACK_RECOMMENDED = "rollback_recommended"


class Attribution(StrEnum):
    """Whether a deviation belongs to this deployment."""

    INTRODUCED = "introduced"
    WORSENED = "worsened"
    PRE_EXISTING = "pre_existing"
    RECOVERED = "recovered"
    UNKNOWN = "unknown"


class Severity(StrEnum):
    """How much a hint matters."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class Scope(StrEnum):
    """What an API key may do, from least to most; each may do what those before it may."""

    READ = "read"  # look at everything of its project
    CI = "ci"  # trigger, finish, push samples, say whether a verdict was right
    ADMIN = "admin"  # judge again; keys, channels and settings of its project

    def covers(self, needed: Scope) -> bool:
        """Return whether a key of this scope may do what needs another one."""
        return _SCOPES.index(self) >= _SCOPES.index(needed)


_SCOPES: Final = tuple(Scope)

NAME_PATTERN: Final = r"^[^\x00-\x1f\x7f\s]([^\x00-\x1f\x7f]{0,98}[^\x00-\x1f\x7f\s])?$"
"""Of a project: up to 100 characters, no control characters, no space at the ends."""

ENV_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,63}$"
"""Of an environment."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a project may use.

    Attributes:
        name: `free` or `pro`.
        post_slots: Allowed lengths of the post window, in slots; the last one is the default.
        reads_per_slot: Reads of one target per slot length (baseline, pre, post, retries).
    """

    name: str
    post_slots: tuple[int, ...]
    reads_per_slot: int

    @property
    def default_post_slots(self) -> int:
        """Length of the post window when the project does not choose one."""
        return self.post_slots[-1]


_FREE = Plan("free", post_slots=(5,), reads_per_slot=6)
_PRO = Plan("pro", post_slots=(5, 15), reads_per_slot=12)

PLANS: Final = {plan.name: plan for plan in (_FREE, _PRO)}


@dataclass(frozen=True, slots=True)
class Project:
    """A service whose deployments are verified."""

    id: UUID
    name: str
    plan: Plan
    post_slots: int
    hmac: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Target:
    """Where one project and environment is read, with what it takes to read it.

    Attributes:
        endpoint: URL of the SDK's endpoint, or the base URL of a Prometheus.
        queries: One PromQL expression per metric, for a Prometheus.
        hmac_secret, header: Prove to the target who we are: a key to sign with, a name and value.
        failures, rests: Slots missed in a row, and whether its baseline is left out for them.
    """

    project_id: UUID
    env: str
    endpoint: str
    plan: Plan
    hmac_secret: str | None = field(default=None, repr=False)
    source: SourceKind = SourceKind.SEQPULSE
    queries: Mapping[str, str] = field(default_factory=dict)
    header: tuple[str, str] | None = field(default=None, repr=False)
    failures: int = 0
    rests: bool = False


@dataclass(frozen=True, slots=True)
class Deployment:
    """One rollout of a project in one environment.

    `post_slots` and `slot_seconds` are frozen at `finish`, so that a verdict stays explainable
    after settings change; only an extension, at `extended_at`, doubles `post_slots`.
    """

    id: UUID
    project_id: UUID
    env: str
    branch: str
    idempotency_key: str | None
    state: DeploymentState
    triggered_at: datetime
    result: DeploymentResult | None = None
    finished_at: datetime | None = None
    analyzed_at: datetime | None = None
    post_slots: int | None = None
    slot_seconds: float | None = None
    extended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Slot:
    """One planned reading of a target.

    Attributes:
        slot_at: Planned moment; the identity of the slot within project and environment.
        phase: `pre`, `post`, or None for the continuous baseline.
        sequence_index: Position in the post window from 0, else None.
    """

    project_id: UUID
    env: str
    slot_at: datetime
    deployment_id: UUID | None = None
    phase: Phase | None = None
    sequence_index: int | None = None


MAX_EXTRA: Final = 32
"""Numbers a reading may carry beside the five."""

EXTRA_PATTERN: Final = r"^[A-Za-z_][A-Za-z0-9_.:-]{0,63}$"
"""Of the name of such a number."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Five numbers as a target reported them, validated; and `extra` ones the judge ignores.

    requests_per_sec in req/s (>= 0), latency_p95 in ms (>= 0), the others shares in 0..1.

    Attributes:
        extra: Further finite numbers by name (`EXTRA_PATTERN`), at most `MAX_EXTRA`, kept for
            analysts; None where there are none. The judge does not look at them.
    """

    requests_per_sec: float
    latency_p95: float
    error_rate: float
    cpu_usage: float
    memory_usage: float
    extra: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """A slot that was collected; the database writes down when (`collected_at`)."""

    slot: Slot
    reading: Reading


@dataclass(frozen=True, slots=True)
class MissedSlot:
    """A slot that was not collected, and why."""

    slot: Slot
    code: CollectCode
    detail: str


@dataclass(frozen=True, slots=True)
class Hint:
    """One composite diagnosis (SDH hint) with what to do about it."""

    rule: str
    severity: Severity
    title: str
    diagnosis: str
    actions: tuple[str, ...]
    metrics: tuple[Metric, ...]
