"""The way to receivers of notifications: one request, and as much of its answer as it takes.

The same way out as reads have (`web`, `guard`): addresses are looked up once, checked and pinned,
redirects are not followed. A receiver may be as slow as it likes: how many are told at the same
time is bounded, in all and for each project.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, NamedTuple, Self
from uuid import UUID

from core.errors import CollectError
from ingest import guard
from ingest.guard import Rules
from ingest.payload import read_body
from ingest.web import Web, explain, parse_retry_after

AT_ONCE: Final = 100
AT_ONCE_EACH: Final = 4
"""Of one project."""
MAX_BODY_BYTES: Final = 1024 * 1024
REPOSITORY_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9-]{0,38}/\.?[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$"
"""Of a repository on GitHub; it becomes part of a path, so it is not `.` or `..`."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """What is sent.

    Attributes:
        url: Where to; may be a secret itself.
        headers: May hold secrets.
        body: By POST; None: GET.
    """

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = None


class Reply(NamedTuple):
    """What came back.

    Attributes:
        status: Of HTTP.
        retry_after_seconds: The pause the receiver asks for, at most an hour.
        body: Of a success, if it was wanted.
    """

    status: int
    retry_after_seconds: float | None
    body: bytes


class Outbound:
    """Tells receivers. Belongs to one event loop; leave its `async with` block to close it."""

    def __init__(self, rules: Rules | None = None, *, timeout_seconds: float = 10.0) -> None:
        """Prepare to send; nothing is sent yet.

        Args:
            rules: Where receivers may be; by default only where it is public.
            timeout_seconds: Total time for one request and its answer.
        """
        self._web = Web(rules or Rules())
        self._timeout_seconds = timeout_seconds
        self._busy: Counter[UUID] = Counter()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._web.close()

    @contextmanager
    def admit(self, project_id: UUID) -> Iterator[bool]:
        """Say whether there is room to tell a receiver of a project, and keep it for the block."""
        if self._busy.total() >= AT_ONCE or self._busy[project_id] >= AT_ONCE_EACH:
            yield False
            return
        self._busy[project_id] += 1
        try:
            yield True
        finally:
            self._busy[project_id] -= 1
            self._busy += Counter()  # forgets those who have none

    async def send(self, parcel: Parcel, project_id: UUID, *, wants_body: bool = False) -> Reply:
        """Send one request and return the answer, whatever its status.

        Args:
            parcel: What to send.
            project_id: For whom.
            wants_body: Read the body of a success, which must be JSON.

        Raises:
            CollectError: There was no answer, or not the body that was wanted; the text holds no
                address, URL or header.
        """
        try:
            async with asyncio.timeout(self._timeout_seconds):
                route = await self._web.find(parcel.url, project_id)
                async with self._web.answer(route, parcel.headers, body=parcel.body) as response:
                    pause = parse_retry_after(
                        response.headers.get("Retry-After", ""), datetime.now(UTC)
                    )
                    wanted = wants_body and response.is_success
                    body = await read_body(response, MAX_BODY_BYTES) if wanted else b""
                    return Reply(response.status_code, pause, body)
        except CollectError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a hostile peer provokes in a library
            raise explain(error) from None


def check_receiver(url: str) -> str:
    """Return what may be shown of a receiver's URL: scheme and host.

    Raises:
        InvalidInputError: It is none we would ever send to; the text never repeats it.
    """
    checked = guard.check_url(url, "url:")
    return f"{checked.scheme}://{checked.netloc.decode('ascii')}"
