"""The nouns of the scheduler: a job to be written, a job that was claimed, and how a claim ends."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from core.types import MissedSlot, Phase, Sample, Slot


class JobKind(StrEnum):
    """What a job of SeqPulse does; one handler each in `scheduler.tasks`."""

    COLLECT = "collect"
    BACKFILL = "backfill"
    JUDGE = "judge"
    NOTIFY = "notify"
    PROFILE = "profile"
    REMOVE_SAMPLES = "remove_samples"


class Priority(IntEnum):
    """What is claimed first. A lower one is not starved: see `queue.claim_around`."""

    POST = 0
    JUDGE = 1
    NOTIFY = 2
    BASELINE = 3
    UPKEEP = 4


class Status(StrEnum):
    """How a claim ends."""

    COMPLETED = "completed"
    FAILED = "failed"
    RETRY = "retry"


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be written.

    Attributes:
        kind: Says to the handler what to do.
        deadline_at: After this moment the job is no longer worth doing; None: never.
        awaiting: How many post slots must settle before `scheduled_at` is brought forward to now.
        repeat: For a recurring job, the distance to its next occurrence.
        dedupe_key: At most one live job carries it.
        payload: Further arguments; JSON, never a secret.
    """

    kind: str
    project_id: UUID
    env: str
    scheduled_at: datetime
    priority: Priority = Priority.BASELINE
    deployment_id: UUID | None = None
    phase: Phase | None = None
    sequence_index: int | None = None
    deadline_at: datetime | None = None
    awaiting: int = 0
    repeat: timedelta | None = None
    dedupe_key: str | None = None
    payload: dict[str, Any] | None = None


class Job(NamedTuple):
    """A claimed job row; a tuple, because tens of thousands are made in a second.

    Attributes:
        slot_at: When the job was first planned; retries move only `scheduled_at`.
        attempt: How often it was claimed; the fencing token of this claim.
        seconds_left: Time to the deadline by the database's clock at the claim; None: no deadline.
        late_seconds: Time since it was due, by the same clock.
    """

    id: int
    kind: str
    project_id: UUID
    env: str
    deployment_id: UUID | None
    phase: Phase | None
    sequence_index: int | None
    payload: dict[str, Any] | None
    slot_at: datetime
    scheduled_at: datetime
    attempt: int
    seconds_left: float | None
    late_seconds: float = 0.0

    @property
    def slot(self) -> Slot:
        """The slot a collect job fills."""
        return Slot(
            project_id=self.project_id,
            env=self.env,
            slot_at=self.slot_at,
            deployment_id=self.deployment_id,
            phase=self.phase,
            sequence_index=self.sequence_index,
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a handler made of a job, and what is to be stored with it."""

    status: Status
    retry_in_seconds: float = 0.0
    last_error: str | None = None
    sample: Sample | None = None
    missed: MissedSlot | None = None


class Settlement(NamedTuple):
    """A claimed job and its outcome."""

    job: Job
    outcome: Outcome
