"""The wire contract of looking back: revisions, lists, and what people say afterwards."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from api.schemas import Body


class RejudgeBody(Body):
    """Judge again."""

    policy: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = Field(
        None, description="name of a shipped or configured policy; None: the one that judges live"
    )
