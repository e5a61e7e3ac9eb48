"""Channels of a project: who is told of its verdicts. Secrets go in and never come out again."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Final, Literal, TypeAlias
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import AfterValidator, BaseModel, Field, StringConstraints

from api.auth import AdminDep, Guard, ReaderDep
from api.limits import Limit
from api.routes import Route
from api.schemas import Body, EnvName
from api.state import ConnectionDep, StateDep
from core.codes import ChannelKind
from core.errors import InvalidInputError
from core.types import NAME_PATTERN, Scope, Verdict
from ingest.outbound import REPOSITORY_PATTERN, check_receiver
from scheduler import notifying
from sql import channels
from sql.callers import Caller
from sql.channels import Access, Changes, Channel, Interest

MAX_OVERLAP_HOURS: Final = 168
TesterDep: TypeAlias = Annotated[Caller, Depends(Guard(Scope.ADMIN, Limit("channel-tests", 10)))]
"""Not more often: every test is a message to somebody."""

router = APIRouter(
    prefix="/projects/{project_id}/channels", tags=["notifications"], route_class=Route
)


def _check(url: str) -> str:
    try:
        check_receiver(url)
    except InvalidInputError as error:
        raise ValueError(str(error).removeprefix("url: ")) from None
    return url


Name: TypeAlias = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=100, pattern=NAME_PATTERN)
]
Url: TypeAlias = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=2048),
    AfterValidator(_check),
    Field(
        examples=["https://hooks.example.com/deploys"],
        json_schema_extra={"pattern": r"^\s*https?://[^\s@#]+\s*$", "format": "metrics-endpoint"},
    ),
]
Repository: TypeAlias = Annotated[str, StringConstraints(pattern=REPOSITORY_PATTERN)]
Token: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,255}$")]
Verdicts: TypeAlias = Annotated[list[Verdict], Field(min_length=1, max_length=3)]
Envs: TypeAlias = Annotated[list[EnvName], Field(max_length=50)]


class ChannelBody(Body):
    """What every channel has."""

    name: Name = Field(examples=["deploy bot"])
    verdicts: Verdicts = Field(list(Verdict), description="it is told of these")
    conclusive_only: bool = False
    envs: Envs = Field([], description="it is told of these environments; none: all")


class UrlChannelBody(ChannelBody):
    """A receiver of signed JSON, or of messages as Slack has them."""

    kind: Literal["webhook", "slack"]
    url: Url


class GithubChannelBody(ChannelBody):
    """A repository whose deployments get a status."""

    kind: Literal["github"]
    repository: Repository = Field(description="owner/name", examples=["acme/shop"])
    token: Token = Field(
        description="may write deployments of the repository", examples=["github_pat_11AB"]
    )


NewChannelBody: TypeAlias = Annotated[
    UrlChannelBody | GithubChannelBody, Field(discriminator="kind")
]


class ChangesBody(Body):
    """What is to be changed; the rest stays as it is."""

    name: Name | None = None
    url: Url | None = None
    repository: Repository | None = None
    token: Token | None = None
    verdicts: Verdicts | None = None
    conclusive_only: bool | None = None
    envs: Envs | None = None
    enabled: bool | None = None


class RotationBody(Body):
    """A new secret."""

    overlap_hours: float = Field(
        24, ge=0, le=MAX_OVERLAP_HOURS, description="for so long the secret before signs, too"
    )


class ChannelAnswer(BaseModel):
    """A channel."""

    id: UUID
    kind: ChannelKind
    name: str
    address: str = Field(description="scheme and host of its URL, or its repository")
    verdicts: list[Verdict]
    conclusive_only: bool
    envs: list[str]
    enabled: bool
    disabled_reason: str | None
    created_at: datetime
    secret_before_until: datetime | None


class NewChannelAnswer(ChannelAnswer):
    """A channel with the secret that signs its messages, which is shown this once."""

    secret: str | None


class SecretAnswer(BaseModel):
    """A new secret, shown this once."""

    secret: str


class TestAnswer(BaseModel):
    """A message that was planned; see what becomes of it in the deliveries of the project."""

    delivery_id: UUID


@router.get("")
async def list_all(
    project_id: UUID, _caller: ReaderDep, conn: ConnectionDep
) -> list[ChannelAnswer]:
    """Return the channels of the project by name."""
    return [_answer(each) for each in await channels.list_of(conn, project_id)]


@router.post("", status_code=HTTPStatus.CREATED)
async def create(
    project_id: UUID, body: NewChannelBody, _caller: AdminDep, conn: ConnectionDep, state: StateDep
) -> NewChannelAnswer:
    """Tell somebody of every verdict from now on."""
    access = (
        Access(body.token, body.repository)
        if isinstance(body, GithubChannelBody)
        else Access(body.url, check_receiver(body.url))
    )
    interest = Interest(list(dict.fromkeys(body.verdicts)), body.conclusive_only, body.envs)
    channel, secret = await channels.create(
        conn, state.vault, project_id, ChannelKind(body.kind), body.name, access, interest
    )
    return NewChannelAnswer(**_answer(channel).model_dump(), secret=secret)


@router.patch("/{channel_id}")
async def change(
    project_id: UUID,
    channel_id: UUID,
    body: ChangesBody,
    _caller: AdminDep,
    conn: ConnectionDep,
    state: StateDep,
) -> ChannelAnswer:
    """Change a channel, turn it off, or on again."""
    kind = (await channels.find(conn, project_id, channel_id)).kind
    github = kind is ChannelKind.GITHUB
    for name in ("url",) if github else ("repository", "token"):
        if getattr(body, name) is not None:
            raise InvalidInputError(f"{name}: a channel of the kind {kind} has none")
    shown = check_receiver(body.url) if body.url is not None else body.repository
    changes = Changes(
        name=body.name,
        secret=body.token if github else body.url,
        shown=shown,
        verdicts=body.verdicts and list(dict.fromkeys(body.verdicts)),
        conclusive_only=body.conclusive_only,
        envs=body.envs,
        enabled=body.enabled,
    )
    return _answer(await channels.change(conn, state.vault, project_id, channel_id, changes))


@router.delete("/{channel_id}", status_code=HTTPStatus.NO_CONTENT)
async def delete(
    project_id: UUID, channel_id: UUID, _caller: AdminDep, conn: ConnectionDep
) -> None:
    """Delete a channel with the log of its deliveries."""
    await channels.delete(conn, project_id, channel_id)


@router.post("/{channel_id}/rotate-secret")
async def rotate_secret(
    project_id: UUID,
    channel_id: UUID,
    _caller: AdminDep,
    conn: ConnectionDep,
    state: StateDep,
    body: RotationBody | None = None,
) -> SecretAnswer:
    """Give a webhook a new secret; for a while both sign."""
    overlap_seconds = (body or RotationBody()).overlap_hours * 3600
    secret = await channels.rotate_secret(
        conn, state.vault, project_id, channel_id, overlap_seconds
    )
    return SecretAnswer(secret=secret)


@router.post("/{channel_id}/test", status_code=HTTPStatus.ACCEPTED)
async def test(
    project_id: UUID, channel_id: UUID, _caller: TesterDep, conn: ConnectionDep, state: StateDep
) -> TestAnswer:
    """Send a channel a message that tells of nothing, the way all others go."""
    delivery_id = await notifying.test(conn, project_id, channel_id)
    state.waker.wake()
    return TestAnswer(delivery_id=delivery_id)


def _answer(channel: Channel) -> ChannelAnswer:
    return ChannelAnswer(
        id=channel.id,
        kind=channel.kind,
        name=channel.name,
        address=channel.shown,
        verdicts=list(channel.interest.verdicts),
        conclusive_only=channel.interest.conclusive_only,
        envs=list(channel.interest.envs),
        enabled=channel.enabled,
        disabled_reason=channel.disabled_reason,
        created_at=channel.created_at,
        secret_before_until=channel.secret_before_until,
    )
