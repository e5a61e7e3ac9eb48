"""The sources a target can be read from; a new one is a module with `collect` and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from core.codes import SourceKind
from core.types import Reading, Target
from ingest import prometheus, seqpulse
from ingest.web import Occasion, Route, Web


class Source(Protocol):
    """Reads a target once, by one request.

    Raises:
        CollectError: The answer is not an agreed one.
        httpx.HTTPError: No complete answer came.
    """

    async def __call__(self, web: Web, route: Route, target: Target, occasion: Occasion) -> Reading:
        """Return the five numbers."""


SOURCES: Final[Mapping[SourceKind, Source]] = {
    SourceKind.SEQPULSE: seqpulse.collect,
    SourceKind.PROMETHEUS: prometheus.collect,
}
