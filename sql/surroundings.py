"""What went on around deployments: slots that were missed, and how the deployments before went."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from core.database import Connection
from core.types import CollectCode, Metric
from sql.texts import query


async def count_missed(
    conn: Connection, ids: Sequence[UUID], since: datetime, until: datetime
) -> Mapping[UUID, Mapping[CollectCode, int]]:
    """Return the missed post slots of deployments by code; none is left out.

    Args:
        conn: Connection.
        ids: The deployments.
        since: A moment before their post windows.
        until: A moment after them.
    """
    found: dict[UUID, dict[CollectCode, int]] = defaultdict(dict)
    for row in await conn.fetch(query("surroundings.missed"), ids, since, until):
        found[row["deployment_id"]][CollectCode(row["code"])] = row["slots"]
    return found


async def load_levels(
    conn: Connection, ids: Sequence[UUID], most: int
) -> Mapping[UUID, Sequence[Mapping[Metric, float]]]:
    """Return the levels after the harmless deployments before each, oldest first, at most `most`.

    A level is `Evidence.observed`; those that are not known are left out.
    """
    found: dict[UUID, list[Mapping[Metric, float]]] = defaultdict(list)
    for row in await conn.fetch(query("surroundings.levels"), ids, most):
        known = {Metric(name): level for name, level in row["levels"].items() if level is not None}
        found[row["deployment_id"]].append(known)
    return found
