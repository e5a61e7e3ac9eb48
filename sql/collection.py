"""How collecting goes as a whole: whose fault it is that a target cannot be reached."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from core.database import Connection
from sql.texts import query

MIN_OTHERS: Final = 3
"""Fewer other projects prove nothing: two services may well share one broken network."""
MIN_SILENT_RATIO: Final = 0.5


@dataclass(frozen=True, slots=True)
class OtherProjects:
    """How the other projects fared meanwhile.

    Attributes:
        answering: Other projects with a sample in the equally long time before.
        silent: How many of those could not be reached a single time since, although we tried.
    """

    answering: int
    silent: int

    @property
    def blame_us(self) -> bool:
        """Whether our collector or network is failing rather than the one target.

        That is, when at least half of at least three other projects went silent with it.
        """
        return self.answering >= MIN_OTHERS and self.silent >= MIN_SILENT_RATIO * self.answering


async def look_at_others(
    conn: Connection, project_id: UUID, since: datetime, until: datetime
) -> OtherProjects:
    """Return how the other projects fared while one project was observed.

    Only what our own side could bring about counts as unreachable (`dns`, `refused`, `timeout`,
    `tls`, `network`, `deadline`, `internal`), not an answer we did not like.

    Args:
        conn: Connection.
        project_id: The project that was observed.
        since: Begin of that, say when its deployment was finished.
        until: End of that.
    """
    (row,) = await conn.fetch(query("collection.others"), project_id, since, until)
    return OtherProjects(row["answering"], row["silent"])
