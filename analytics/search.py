"""Find the numbers of a policy that keep false alarms under a target, on labelled history."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from math import prod
from typing import Any, Final, NamedTuple

import polars as pl

from analytics.judge import assess
from analytics.policy import Policy
from analytics.policy_file import Table, fill, merge, plain, show
from analytics.profile import ServiceProfile
from analytics.windows import Windows
from core.errors import InvalidInputError
from core.types import Verdict

MOST: Final = 10_000
"""Most combinations of a grid."""

TALLY: Final = pl.Schema(
    {
        "place": pl.Int64(),
        "harmless": pl.Int64(),
        "false_alarms": pl.Int64(),
        "harmful": pl.Int64(),
        "found": pl.Int64(),
    }
)
"""What a candidate, by its place among all, said of labelled deployments: how many did no harm, how
many of these it alarmed of, how many did harm, and how many of those it alarmed of. An alarm is a
conclusive verdict other than ok."""

RANKING: Final = pl.Schema(
    {
        **TALLY,
        "false_alarm_ratio": pl.Float64(),
        "recall_ratio": pl.Float64(),
        "holds": pl.Boolean(),
    }
)
"""Shares of the harmless and of the harmful with an alarm, 0..1 (null: there are none), and whether
the first is within the target."""


class Candidate(NamedTuple):
    """A policy, and those of its numbers that a grid chose, by dotted key."""

    numbers: Mapping[str, object]
    policy: Policy[Any]


def vary(policy: Policy[Any], grid: Table) -> list[Candidate]:
    """Return `policy` with every combination of the values in `grid`, the last one changing first.

    Args:
        policy: What to vary.
        grid: As the rules in a policy's file, with a list of values to try in place of each value.

    Raises:
        InvalidInputError: There are too many combinations, a list has no values, or the rules have
            no such number or refuse a value.
    """
    axes = dict(_flatten(grid, ""))
    if (combinations := prod(map(len, axes.values()))) > MOST:
        raise InvalidInputError(f"{combinations:,} combinations: at most {MOST:,} can be tried")
    rules = plain(policy.rules)
    candidates = []
    for values in product(*axes.values()):
        numbers = dict(zip(axes, values, strict=True))
        varied = rules
        for key, value in numbers.items():
            varied = merge(varied, _nest(key, value))
        filled = fill(policy.method.rules, varied, "rules")
        candidates.append(Candidate(numbers, replace(policy, rules=filled)))
    return candidates


def _flatten(grid: Table, where: str) -> Iterator[tuple[str, list[object]]]:
    """Every list of the grid by its dotted key."""
    for name, below in grid.items():
        key = f"{where}{name}"
        if isinstance(below, dict):
            yield from _flatten(below, f"{key}.")
        elif isinstance(below, list) and below and not any(isinstance(v, dict) for v in below):
            yield key, below
        else:
            raise InvalidInputError(f"{show(key)}: must be a list of values to try")


def _nest(key: str, value: object) -> dict[str, object]:
    """`value` in the tables its dotted key names."""
    first, *rest = key.split(".", 1)
    return {first: _nest(rest[0], value) if rest else value}


def count_alarms(
    candidates: Iterable[Candidate],
    windows: Windows,
    harmful: Sequence[bool],
    profiles: Mapping[str, ServiceProfile] | None = None,
) -> pl.DataFrame:
    """Judge labelled deployments by every candidate.

    Args:
        candidates: What `vary` returned.
        windows: The deployments.
        harmful: Whether each did harm, in the order of `windows.deployments`.
        profiles: As in `analytics.judge.judge`.

    Returns:
        Frame of `TALLY`.
    """
    harm = pl.Series("harmful", harmful, dtype=pl.Boolean)
    rows = []
    for place, candidate in enumerate(candidates):
        said = assess(windows, candidate.policy, profiles).verdicts
        alarm = said["conclusive"] & (said["verdict"] != Verdict.OK)
        rows.append((place, (~harm).sum(), (alarm & ~harm).sum(), harm.sum(), (alarm & harm).sum()))
    return pl.DataFrame(rows, schema=TALLY, orient="row")


def rank(tallies: Iterable[pl.DataFrame], most_false_alarms: float) -> pl.DataFrame:
    """Add tallies of several lots of deployments up and put the best candidate first.

    Args:
        tallies: Frames of `TALLY`.
        most_false_alarms: Greatest share of the harmless that may alarm, 0..1.

    Returns:
        Frame of `RANKING`: those within the target before the others; among them the greatest
        recall, then the fewest false alarms, then the earlier candidate.

    Raises:
        InvalidInputError: No deployment is known to be harmless.
    """
    together = pl.concat([TALLY.to_frame(), *tallies]).group_by("place").sum()
    if not together["harmless"].sum():
        raise InvalidInputError("no deployment is known to be harmless: nothing to rank by")
    return (
        together.with_columns(
            false_alarm_ratio=pl.col("false_alarms") / pl.col("harmless"),
            recall_ratio=pl.when(pl.col("harmful") > 0).then(pl.col("found") / pl.col("harmful")),
        )
        .with_columns(holds=pl.col("false_alarm_ratio") <= most_false_alarms)
        .select(RANKING.names())
        .sort(
            "holds",
            "recall_ratio",
            "false_alarm_ratio",
            "place",
            descending=[True, True, False, False],
            nulls_last=True,
        )
    )
