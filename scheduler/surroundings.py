"""Look up what hints may mention but the judge cannot know: our own faults, and slow drifts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

import polars as pl

from analytics.surroundings import NOTHING_KNOWN, Surroundings, find_drifts
from core.database import Connection
from core.judgement import Judgement
from core.types import Verdict
from sql import collection, surroundings

DEPLOYMENTS: Final = 9
"""Harmless deployments a drift is looked for in, beside the one that was judged."""


async def look_around(
    conn: Connection, deployments: pl.DataFrame, judgements: Sequence[Judgement]
) -> Mapping[UUID, Surroundings]:
    """Return what is known around each judgement.

    Args:
        conn: Connection.
        deployments: Theirs, as in `sql.windows.Material`, in the same order.
        judgements: What was said.
    """
    ids = [judgement.deployment_id for judgement in judgements]
    post = pl.duration(microseconds=pl.col("post_slots") * pl.col("slot_seconds") * 1e6)
    span = deployments.select(pl.col("finished_at").min(), end=(pl.col("finished_at") + post).max())
    since, until = span.row(0)
    missed = await surroundings.count_missed(conn, ids, since, until + timedelta(seconds=1))
    projects = await collection.list_silent(conn, since, until) if missed else {}
    harmless = [each.deployment_id for each in judgements if each.verdict is Verdict.OK]
    levels = await surroundings.load_levels(conn, harmless, DEPLOYMENTS)
    found = {}
    for judgement, project_id in zip(judgements, deployments["project_id"], strict=True):
        mine = judgement.deployment_id
        observed = {e.metric: e.observed for e in judgement.evidence if e.observed is not None}
        if mine in missed or mine in levels:
            found[mine] = Surroundings(
                missed=missed.get(mine, {}),
                elsewhere_silent_ratio=collection.share_of_silent(projects, UUID(project_id)),
                drifts=find_drifts([*levels[mine], observed]) if mine in levels else (),
            )
    return {each: found.get(each, NOTHING_KNOWN) for each in ids}
