"""The nouns of the scheduler: a job to be written, and a job that was claimed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from core.types import Phase, Slot


class JobKind(StrEnum):
    """What a job does; one handler each in `scheduler.tasks`."""

    COLLECT = "collect"
    JUDGE = "judge"


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be written.

    Attributes:
        deadline_at: After this moment the job is no longer worth doing; None: never.
        awaiting: How many post slots must settle before `scheduled_at` is brought forward to now.
        repeat: For a recurring job, the distance to its next occurrence.
        dedupe_key: At most one pending or running job carries it.
    """

    kind: JobKind
    project_id: UUID
    env: str
    scheduled_at: datetime
    deployment_id: UUID | None = None
    phase: Phase | None = None
    sequence_index: int | None = None
    deadline_at: datetime | None = None
    awaiting: int = 0
    repeat: timedelta | None = None
    dedupe_key: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A claimed job row.

    Attributes:
        slot_at: When the job was first planned; retries move only the row's `scheduled_at`.
        attempt: How often it was claimed; the fencing token of this claim.
        seconds_left: Time to the deadline by the database's clock at the claim; None: no deadline.
    """

    id: int
    kind: JobKind
    project_id: UUID
    env: str
    deployment_id: UUID | None
    phase: Phase | None
    sequence_index: int | None
    slot_at: datetime
    attempt: int
    seconds_left: float | None

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
