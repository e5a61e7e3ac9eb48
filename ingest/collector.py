"""One read of a target, from its stored endpoint to five numbers."""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Self, TypeVar

from core.errors import CollectError
from core.types import Reading, Target
from ingest import prometheus
from ingest.guard import parse_rules
from ingest.limiter import Limiter, TakeTurn, take_alone
from ingest.prometheus import Span
from ingest.sources import SOURCES
from ingest.web import Occasion, Route, Web, explain

T = TypeVar("T")


class Collector:
    """Reads targets. Belongs to one event loop; leave its `async with` block to close it."""

    def __init__(
        self,
        *,
        timeout_seconds: float,
        slot_seconds: float,
        target_allow: Sequence[str] = (),
        target_hosts: Sequence[str] = (),
        target_ports: Sequence[str] = ("1-65535",),
        max_concurrency: int = 100,
        host_reads_per_second: float | None = None,
        take_turn: TakeTurn = take_alone,
    ) -> None:
        """Prepare to read; nothing is sent yet.

        Args:
            timeout_seconds: Total time for one read; up to half of it may go to waiting for a turn.
            slot_seconds: The time in which a target may have `Plan.reads_per_slot` reads.
            target_allow: Networks (CIDR) that may be read although they are not public.
            target_hosts: Names that may be read wherever they lead.
            target_ports: Ports that may be read, like `443` or `8000-9000`.
            max_concurrency: Reads at the same time.
            host_reads_per_second: Reads of one host by all workers together; None: any number.
            take_turn: Knows what other workers read of a target (`ingest.turns`).
        """
        self._timeout_seconds = timeout_seconds
        self._web = Web(parse_rules(target_allow, target_hosts, target_ports))
        self._limiter = Limiter(
            slot_seconds=slot_seconds,
            max_concurrency=max_concurrency,
            host_reads_per_second=host_reads_per_second,
            take_turn=take_turn,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._web.close()

    async def collect(
        self,
        target: Target,
        *,
        slot_at: datetime | None = None,
        within_seconds: float = math.inf,
        now: datetime | None = None,
        nonce: str | None = None,
    ) -> Reading:
        """Read `target` once.

        Args:
            target: What to read.
            slot_at: Moment the numbers should be of, if the source knows others than now.
            within_seconds: Time left for it, if that is less than the timeout.
            now: Moment the read is signed with; by default the clock's.
            nonce: Nonce the read is signed with; by default 128 random bits.

        Raises:
            CollectError: The target could not be read; nothing else is raised.
        """
        now = now or datetime.now(UTC)
        occasion = Occasion(slot_at or now, now, nonce or secrets.token_urlsafe(16))

        async def read(route: Route) -> Reading:
            return await SOURCES[target.source](self._web, route, target, occasion)

        return await self._within(within_seconds, target, read)

    async def collect_range(self, target: Target, span: Span) -> dict[datetime, Reading]:
        """Read what a Prometheus knows of past moments; those it does not know are left out.

        Raises:
            CollectError: The target could not be read; nothing else is raised.
        """

        async def read(route: Route) -> dict[datetime, Reading]:
            return await prometheus.collect_range(self._web, route, target, span)

        return await self._within(math.inf, target, read)

    async def _within(
        self, within_seconds: float, target: Target, read: Callable[[Route], Awaitable[T]]
    ) -> T:
        """Find the target, wait for a turn, read; whatever goes wrong is one of ours."""
        seconds = min(self._timeout_seconds, within_seconds)
        try:
            async with asyncio.timeout(seconds):
                route = await self._web.find(target.endpoint, target.project_id)
                # Last of all, so that nothing lies between a turn and the request it is for.
                async with self._limiter.admit(target, route.host, seconds / 2):
                    return await read(route)
        except CollectError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a hostile peer provokes in a library
            raise explain(error) from None
