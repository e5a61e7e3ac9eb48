"""Find the numbers of a policy that keep false alarms under a target, on labelled history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any, Final

import polars as pl

from analytics.judge import assess
from analytics.policy import Policy
from analytics.profile import ServiceProfile
from analytics.windows import Windows
from core.errors import InvalidInputError
from core.types import Verdict

FOUND: Final = pl.Schema(
    {
        "place": pl.Int64(),
        "alarms": pl.Int64(),
        "false_alarm_ratio": pl.Float64(),
        "recall_ratio": pl.Float64(),
        "holds": pl.Boolean(),
    }
)
"""What a candidate did: its place among the candidates, conclusive verdicts other than ok, their
share among the harmless (0..1), their share among the harmful (0..1; null if there are none), and
whether the first share is within the target."""


def vary(policy: Policy[Any], numbers: Mapping[str, Sequence[object]]) -> list[Policy[Any]]:
    """Return `policy` with every combination of `numbers`, in the order of `itertools.product`.

    Args:
        policy: What to vary.
        numbers: Values to try by the name of a field of its rules.

    Raises:
        InvalidInputError: The rules have no such field, or refuse a value.
    """
    for name in numbers:
        if not hasattr(policy.rules, name):
            raise InvalidInputError(f"{name}: the rules of {policy.name} have no such number")
    return [
        replace(policy, rules=replace(policy.rules, **dict(zip(numbers, values, strict=True))))
        for values in product(*numbers.values())
    ]


def search(
    candidates: Iterable[Policy[Any]],
    windows: Windows,
    harmful: Sequence[bool],
    most_false_alarms: float,
    profiles: Mapping[str, ServiceProfile] | None = None,
) -> pl.DataFrame:
    """Judge labelled deployments by every candidate.

    Args:
        candidates: Policies, say from `vary`.
        windows: The deployments.
        harmful: Whether each did harm, in the order of `windows.deployments`.
        most_false_alarms: Greatest share of the harmless that may alarm, 0..1.
        profiles: As in `analytics.judge.judge`.

    Returns:
        Frame of `FOUND`, best first: those within the target before the others; among them the
        greatest recall, then the fewest false alarms, then the earlier candidate.

    Raises:
        InvalidInputError: There is not one label per deployment, or no harmless deployment.
    """
    harm = pl.Series("harmful", harmful, dtype=pl.Boolean)
    if harm.len() != windows.deployments.height or harm.all():
        raise InvalidInputError("harmful: must say of each deployment, and of some say no")
    rows = []
    for place, candidate in enumerate(candidates):
        said = assess(windows, candidate, profiles).verdicts
        alarm = said["conclusive"] & (said["verdict"] != Verdict.OK)
        false_alarms = alarm.filter(~harm).mean()
        rows.append((place, alarm.sum(), false_alarms, alarm.filter(harm).mean()))
    found = pl.DataFrame(rows, schema=FOUND.names()[:-1], orient="row")
    return (
        found.with_columns(holds=pl.col("false_alarm_ratio") <= most_false_alarms)
        .cast(FOUND)
        .sort(
            "holds",
            "recall_ratio",
            "false_alarm_ratio",
            "place",
            descending=[True, True, False, False],
            nulls_last=True,
        )
    )
