"""The wire contract of looking back: revisions, lists, and what people say afterwards."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import BaseModel, Field, StrictBool, StringConstraints, model_validator

from api.schemas import (
    Body,
    DeploymentAnswer,
    EvidenceAnswer,
    HintAnswer,
    Line,
    ShadowAnswer,
)
from core.types import Verdict

Note = StringConstraints(
    strip_whitespace=True, min_length=1, max_length=2000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$"
)


class RejudgeBody(Body):
    """Judge again."""

    policy: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = Field(
        None, description="name of a shipped or configured policy; None: the one that judges live"
    )


class ListedAnswer(DeploymentAnswer):
    """A deployment in a list, with the essence of its verdict."""

    conclusive: bool | None
    reason_code: str | None
    confidence: float | None
    revision: int | None


class RevisionAnswer(BaseModel):
    """A verdict there is or was."""

    revision: int
    newest: bool = Field(description="whether it is the one that counts")
    verdict: Verdict
    conclusive: bool
    reason_code: str
    confidence: float
    coverage_ratio: float
    policy: str
    policy_digest: str | None
    as_of: datetime
    created_at: datetime
    superseded_at: datetime | None
    quality_ratio: float
    penalties: list[str]
    confounders: list[UUID]
    decided_at: int | None
    profile_until: datetime | None
    evidence: list[EvidenceAnswer]
    hints: list[HintAnswer]
    shadows: list[ShadowAnswer]


SlotPhase = Literal["baseline", "pre", "post"]


class SampleAnswer(BaseModel):
    """A slot that was collected; a number is null where a push or an import had none."""

    slot_at: datetime
    collected_at: datetime
    phase: SlotPhase
    sequence_index: int | None = Field(description="position in the post window, from 0")
    requests_per_sec: float | None
    latency_p95: float | None = Field(description="milliseconds")
    error_rate: float | None = Field(description="0..1")
    cpu_usage: float | None = Field(description="0..1")
    memory_usage: float | None = Field(description="0..1")


class MissedAnswer(BaseModel):
    """A slot that could not be collected, and why (docs/errors.md)."""

    slot_at: datetime
    phase: SlotPhase
    sequence_index: int | None
    code: str
    detail: str


class SlotsAnswer(BaseModel):
    """What was collected around a deployment, in order of time; of each the latest 5,000."""

    deployment_id: UUID
    samples: list[SampleAnswer]
    missed: list[MissedAnswer]


class FeedbackBody(Body):
    """What somebody says of a deployment afterwards: one of `harmful` and `right`."""

    harmful: StrictBool | None = Field(None, description="whether the deployment did harm")
    right: StrictBool | None = Field(None, description="whether the verdict was right")
    given_by: Annotated[str, Line] = "api"
    rolled_back_by: Annotated[str, Line] | None = Field(
        None, description="who or what rolled it back, if anybody did"
    )
    note: Annotated[str, Note] | None = None

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if (self.harmful is None) == (self.right is None):
            raise ValueError("say either harmful or right")
        return self


class FeedbackAnswer(BaseModel):
    """The word that counts now."""

    deployment_id: UUID
    harmful: bool
    revision: int | None = Field(description="the verdict it was said of")
    rolled_back_by: str | None
    note: str | None
    given_by: str
    given_at: datetime
