"""API keys of a project, for the operator and for who has one of scope `admin`."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path
from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    FutureDatetime,
    StringConstraints,
)

from api.auth import AdminDep, OperatorDep
from api.routes import Route
from api.schemas import Body
from api.state import ConnectionDep, StateDep
from core.types import Scope
from sql import api_keys, projects

router = APIRouter(prefix="/projects/{project_id}", tags=["keys"], route_class=Route)

Label = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$"),
]


class KeyBody(Body):
    """A key to be made."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"scope": "read", "label": "Grafana"}]}
    )

    scope: Scope = Scope.CI
    label: Label = Field("", description="what it is for", examples=["GitHub Actions"])
    expires_at: Annotated[AwareDatetime, FutureDatetime] | None = Field(
        None, description="from then on it is refused; none: never"
    )


class KeyAnswer(BaseModel):
    """A key, without its secret."""

    model_config = ConfigDict(from_attributes=True)

    id: str
    scope: Scope
    label: str
    created_at: AwareDatetime
    expires_at: AwareDatetime | None
    last_used_at: AwareDatetime | None = Field(description="exact to about a minute")
    revoked_at: AwareDatetime | None


class NewKeyAnswer(KeyAnswer):
    """A new key with its secret, shown this once."""

    api_key: str


class RotatedKeyAnswer(BaseModel):
    """A new API key, shown this once; the earlier ones are revoked."""

    api_key: str


@router.get("/keys")
async def list_all(project_id: UUID, _caller: AdminDep, conn: ConnectionDep) -> list[KeyAnswer]:
    """Return the keys of the project, oldest first; those that died in the last 30 days, too."""
    return [KeyAnswer.model_validate(key) for key in await api_keys.list_of(conn, project_id)]


@router.post("/keys", status_code=201)
async def add(
    project_id: UUID, body: KeyBody, _caller: AdminDep, conn: ConnectionDep, state: StateDep
) -> NewKeyAnswer:
    """Make a key; it is shown in this answer and never again."""
    key, facts = await api_keys.add(
        conn,
        state.vault,
        project_id,
        scope=body.scope,
        label=body.label,
        expires_at=body.expires_at,
    )
    shown = KeyAnswer.model_validate(facts).model_dump()
    return NewKeyAnswer(**shown, api_key=str(key))


@router.delete("/keys/{key_id}", status_code=204)
async def revoke(
    project_id: UUID,
    key_id: Annotated[str, Path(pattern=r"^[0-9a-f]{12}$")],
    _caller: AdminDep,
    conn: ConnectionDep,
) -> None:
    """Revoke a key: it is refused from now on, also the one this call is made with."""
    await api_keys.revoke(conn, project_id, key_id)


@router.post("/rotate-key")
async def rotate(
    project_id: UUID, _operator: OperatorDep, conn: ConnectionDep, state: StateDep
) -> RotatedKeyAnswer:
    """Revoke every key of the project and return a new one of scope `ci`."""
    project = await projects.find(conn, project_id)
    return RotatedKeyAnswer(api_key=str(await api_keys.rotate(conn, state.vault, project.id)))
