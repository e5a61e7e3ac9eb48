"""The wire contract: what goes in and out, validated. Units and words as in docs/glossary.md."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StrictBool,
    StringConstraints,
)

from core.errors import InvalidInputError
from core.judgement import Direction, Pattern
from core.types import (
    ENV_PATTERN,
    Attribution,
    DeploymentResult,
    DeploymentState,
    Metric,
    Severity,
    Verdict,
)
from ingest import guard

EnvName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, pattern=ENV_PATTERN),
]
Line = StringConstraints(
    strip_whitespace=True, min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]*$"
)

HeaderKey = Annotated[str, StringConstraints(max_length=255, pattern=r"^[ -~]*$")]


def _check_endpoint(text: str) -> str:
    try:
        guard.check_url(text)
    except InvalidInputError as error:
        raise ValueError(str(error)) from None
    return text


Endpoint = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=2048),
    AfterValidator(_check_endpoint),
    Field(
        examples=["https://shop.example/seqpulse-metrics"],
        json_schema_extra={"pattern": r"^\s*https?://[^\s@#]+\s*$", "format": "metrics-endpoint"},
    ),
]


class Body(BaseModel):
    """A request body; unknown members are ignored, as the SDK may grow."""

    model_config = ConfigDict(extra="ignore")


def _example(**members: JsonValue) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [members]})


class TriggerBody(Body):
    """CI is about to deploy."""

    model_config = _example(
        env="prod",
        metrics_endpoint="https://shop.example/seqpulse-metrics",
        idempotency_key="run-4711",
        branch="main",
    )

    env: EnvName = "prod"
    metrics_endpoint: Endpoint | None = Field(
        None,
        description="the target; not needed where one is configured or samples are pushed, "
        "ignored by a Prometheus",
    )
    idempotency_key: Annotated[str, Line] | None = None
    branch: Annotated[str, Line] = "unknown"


class TriggerAnswer(BaseModel):
    """The deployment to finish later."""

    deployment_id: UUID
    status: Literal["created", "existing"]
    message: str


class FinishBody(Body):
    """CI has deployed."""

    model_config = _example(deployment_id="01a22f13-e897-75c3-9e19-768808a20f4c", result="success")

    deployment_id: Annotated[str, Line]
    result: DeploymentResult
    metrics_endpoint: Endpoint | None = None


class FinishAnswer(BaseModel):
    """What became of it."""

    status: Literal["accepted", "ignored", "not_found"]
    message: str


class DeploymentAnswer(BaseModel):
    """A deployment."""

    id: UUID
    env: str
    branch: str
    state: DeploymentState
    result: DeploymentResult | None
    triggered_at: datetime
    finished_at: datetime | None
    analyzed_at: datetime | None
    post_slots: int | None
    slot_seconds: float | None
    extended_at: datetime | None
    verdict: Verdict | None


class EvidenceAnswer(BaseModel):
    """What one metric contributed."""

    model_config = ConfigDict(from_attributes=True)

    metric: Metric
    baseline_source: str
    baseline_n: int
    post_n: int
    expected: float | None
    observed: float | None
    threshold: float | None
    exceedance_ratio: float | None
    tolerance_ratio: float
    failed: bool
    attribution: Attribution | None
    severe: bool
    direction: Direction | None
    pattern: Pattern | None
    effect: float | None
    effect_low: float | None
    effect_high: float | None
    minimum_effect: float | None
    smallest_detectable_effect: float | None
    test: str | None
    statistic: float | None
    p_value: float | None
    contribution: float
    distance_to_flip: float | None
    trend_per_hour: float | None


class HintAnswer(BaseModel):
    """One composite diagnosis."""

    model_config = ConfigDict(from_attributes=True)

    rule: str
    severity: Severity
    title: str
    diagnosis: str
    actions: list[str]
    metrics: list[Metric]


class ShadowAnswer(BaseModel):
    """What another policy would have said."""

    model_config = ConfigDict(from_attributes=True)

    policy: str
    verdict: Verdict
    conclusive: bool
    reason_code: str
    confidence: float
    failed_metrics: list[Metric]


class VerdictAnswer(BaseModel):
    """A verdict with everything it rests on."""

    model_config = ConfigDict(from_attributes=True)

    deployment_id: UUID
    revision: int = Field(description="from 1 on; one more each time it is judged again")
    verdict: Verdict
    conclusive: bool
    reason_code: str
    confidence: float
    coverage_ratio: float
    policy: str
    policy_digest: str | None
    as_of: datetime
    created_at: datetime
    quality_ratio: float
    penalties: list[str]
    confounders: list[UUID]
    decided_at: int | None
    profile_until: datetime | None
    evidence: list[EvidenceAnswer]
    hints: list[HintAnswer] = []
    shadows: list[ShadowAnswer] = []


class PendingAnswer(BaseModel):
    """There is no verdict yet."""

    deployment_id: UUID
    verdict: None = None
    state: DeploymentState
    message: str


class ProjectHintAnswer(BaseModel):
    """A hint with the deployment it belongs to."""

    deployment_id: UUID
    env: str
    branch: str
    finished_at: datetime
    verdict: Verdict
    hint: HintAnswer


class ProjectBody(Body):
    """A project to be created."""

    model_config = _example(name="shop", plan="pro", hmac=True)

    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
    plan: Literal["free", "pro"] = "free"
    post_slots: Literal[5, 15] | None = Field(None, description="None: as the plan has it")
    hmac: StrictBool = Field(
        default=False, description="sign reads of the target with a new secret"
    )
    env: EnvName = "prod"
    metrics_endpoint: Endpoint | None = Field(
        None, description="start collecting the baseline now instead of at the first trigger"
    )


class ProjectAnswer(BaseModel):
    """A project."""

    id: UUID
    name: str
    plan: str
    post_slots: int
    hmac: bool
    created_at: datetime
    targets: dict[str, str] | None = None


class NewProjectAnswer(ProjectAnswer):
    """A project with its secrets, which are shown this once."""

    api_key: str
    hmac_secret: str | None


class RefusalAnswer(BaseModel):
    """A row that was not taken."""

    model_config = ConfigDict(from_attributes=True)

    line: int
    reason: str


class PushAnswer(BaseModel):
    """What became of pushed rows; the three counts add up to their number."""

    stored: int
    known: int = Field(description="slots that had a sample already; it was left as it is")
    refused: int
    refusals: list[RefusalAnswer] = Field(description="the first 100, by line")


class MetricsAnswer(BaseModel):
    """The five numbers, as every target answers them."""

    metrics: dict[Metric, float]
