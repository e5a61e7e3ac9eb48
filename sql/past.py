"""A past written down as it would have been at the time: when samples came, when verdicts fell.

`sql.bulk` stamps what it is given with the present, which is right for people who bring a file:
no deployment of the past was judged by it. Here samples bring the moment they were collected.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import polars as pl

from core.database import Connection
from core.errors import ConflictError
from sql.texts import query

_MOMENT: Final = "%Y-%m-%dT%H:%M:%S%.6fZ"


async def read_room(conn: Connection) -> tuple[int, datetime]:
    """Return how many projects there are, and before which moment samples are not stored."""
    row = await conn.fetchrow(query("past.others"))
    if row is None:  # the table has one row, always
        raise AssertionError
    return row["projects"], row["samples_since"].replace(tzinfo=UTC)


async def check_new(conn: Connection, ids: Sequence[UUID], names: Sequence[str]) -> None:
    """Make sure that none of these projects is there.

    Raises:
        ConflictError: One is.
    """
    known = await conn.fetchval(query("past.known"), ids, names)
    if known is not None:
        raise ConflictError(f"a project called {known!r} exists already; nothing was written")


async def insert(
    conn: Connection, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]
) -> None:
    """Write rows of a small table."""
    await conn.copy_records_to_table(table, records=list(rows), columns=columns)


async def write_slots(
    conn: Connection, samples: pl.DataFrame, missed: pl.DataFrame, project_ids: Sequence[UUID]
) -> None:
    """Write what was collected and what was missed, of one span of time, in one transaction.

    Args:
        conn: Connection.
        samples: Columns of `metric_samples`, in the order of slots, none of them there yet.
        missed: Columns of `missed_slots`, the same.
        project_ids: Whose they are.
    """
    async with conn.transaction():
        for table, rows in (("metric_samples", samples), ("missed_slots", missed)):
            text = io.BytesIO()
            rows.write_csv(text, include_header=False, datetime_format=_MOMENT)
            text.seek(0)
            await conn.copy_to_table(table, source=text, columns=rows.columns, format="csv")
        since, until = samples["slot_at"].min(), samples["slot_at"].max()
        await conn.execute(query("past.note_late"), since, until, project_ids)


async def extend(conn: Connection, ids: Sequence[UUID]) -> None:
    """Double the post windows of deployments, as if it had been done at their end."""
    await conn.execute(query("past.extend"), ids)


async def settle(conn: Connection, ids: Sequence[UUID]) -> None:
    """Note that deployments were analyzed when their verdicts fell."""
    await conn.execute(query("past.settle"), ids)


async def backdate_profile(conn: Connection, deployment_id: UUID) -> None:
    """Let a profile that was made for a deployment be as old as its finish."""
    await conn.execute(query("past.backdate_profiles"), deployment_id)


async def write_runs(conn: Connection, ids: Sequence[UUID]) -> None:
    """Write the jobs that deployments had, which are done."""
    await conn.execute(query("past.write_runs"), ids)


async def analyze(conn: Connection) -> None:
    """Tell the planner what there is now."""
    await conn.execute(query("past.analyze"))
