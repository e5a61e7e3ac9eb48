"""Judgements of the past, made again, counted against the record."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import polars as pl

EXAMPLES: Final = 3
"""Deployments named for each kind of difference."""

CHANGE: Final = ("project", "recorded_verdict", "verdict")

TALLY: Final = pl.Schema(
    {
        **dict.fromkeys(CHANGE, pl.String()),
        "deployments": pl.Int64(),
        "examples": pl.List(pl.String()),
    }
)
"""How often which verdict (null: none) on record became which; examples are deployment ids."""


def tally(results: pl.DataFrame) -> pl.DataFrame:
    """Count the verdicts of `results` against those on record.

    Args:
        results: deployment_id, project, recorded_verdict (null: none) and verdict.

    Returns:
        Frame of `TALLY`.
    """
    counted = results.group_by(CHANGE, maintain_order=True).agg(
        deployments=pl.len().cast(pl.Int64), examples=pl.col("deployment_id").head(EXAMPLES)
    )
    return counted.select(TALLY.names())


def add_up(tallies: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Return one tally of several lots; by project, the most frequent first."""
    together = pl.concat([TALLY.to_frame(), *tallies])
    summed = together.group_by(CHANGE, maintain_order=True).agg(
        pl.col("deployments").sum(),
        pl.col("examples").explode().drop_nulls().head(EXAMPLES),
    )
    return summed.sort(
        "project", "deployments", *CHANGE[1:], descending=[False, True, False, False]
    )


def select_changed(tallied: pl.DataFrame) -> pl.DataFrame:
    """Leave out what stayed as it was."""
    return tallied.filter(pl.col("recorded_verdict").ne_missing(pl.col("verdict")))
