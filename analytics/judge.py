"""Judge deployments: compare their windows under a policy and say what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from functools import partial
from math import isnan
from typing import Any, Final, TypeVar
from uuid import UUID

import numpy as np
import polars as pl
from numpy.typing import NDArray

from analytics.compare import ATTRIBUTIONS, DIRECTIONS, NONE, PATTERNS, Comparison, Decision
from analytics.policy import Policy
from analytics.profile import ServiceProfile, stack
from analytics.reasons import CODES, CONCLUSIVE, VERDICTS, Penalty
from analytics.windows import Windows
from core.judgement import Evidence, Judgement
from core.types import METRICS, Metric

MEMBERS: Final[Mapping[str, Sequence[Any]]] = {
    "attribution": ATTRIBUTIONS,
    "direction": DIRECTIONS,
    "pattern": PATTERNS,
}
"""What the numbers in these columns of a `Comparison` stand for."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """Judgements of many deployments as columns; nothing is made an object.

    Attributes:
        verdicts: One row per deployment, in their order: deployment_id, policy, the scalar
            fields of `Judgement` but as_of, and failed_metrics (a list); enumerations and ids
            are text.
    """

    verdicts: pl.DataFrame
    _evidence: Callable[[], pl.DataFrame]

    @property
    def evidence(self) -> pl.DataFrame:
        """Five rows per deployment, in their order, made when asked for.

        deployment_id and the fields of `Evidence`; enumerations are text.
        """
        return self._evidence()


def judge(
    windows: Windows,
    policy: Policy[Any],
    as_of: datetime | Sequence[datetime],
    profiles: Mapping[str, ServiceProfile] | None = None,
) -> list[Judgement]:
    """Judge every deployment of `windows`.

    Args:
        windows: What `analytics.windows.split` returned.
        policy: The rule.
        as_of: The moment of the judgement, of all or of each; it is written down and used for
            nothing else.
        profiles: What is known of the services' history, by deployment id; see
            `analytics.profile`.

    Returns:
        One judgement per deployment, in the order of `windows.deployments`.
    """
    comparison, decision = _run(windows, policy, profiles or {})
    moments = [as_of] * windows.deployments.height if isinstance(as_of, datetime) else as_of
    facts = windows.deployments["deployment_id", "baseline_source", "coverage_ratio", "confounders"]
    return [
        _judgement(fact, moment, policy, _pick(comparison, place), _pick(decision, place), profiles)
        for place, (fact, moment) in enumerate(
            zip(facts.iter_rows(named=True), moments, strict=True)
        )
    ]


def assess(
    windows: Windows,
    policy: Policy[Any],
    profiles: Mapping[str, ServiceProfile] | None = None,
) -> Assessment:
    """Judge every deployment of `windows` without making objects of it; see `judge`."""
    comparison, decision = _run(windows, policy, profiles or {})
    ids = windows.deployments["deployment_id"]
    found = map((profiles or {}).get, ids.to_list())
    until = [profile and profile.until for profile in found]
    verdicts = pl.DataFrame(
        [
            ids,
            pl.Series("policy", [policy.name]).new_from_index(0, ids.len()),
            windows.deployments["coverage_ratio"],
            windows.deployments["confounders"],
            *_verdicts(decision),
            pl.Series("profile_until", until, dtype=pl.Datetime("us", "UTC")),
            _list("failed_metrics", METRICS, comparison.failed),
        ]
    )
    return Assessment(verdicts, partial(_evidence, windows, comparison, policy))


def _run(
    windows: Windows, policy: Policy[Any], profiles: Mapping[str, ServiceProfile]
) -> tuple[Comparison, Decision]:
    """Compare and decide block by block; rows come out in the order of the deployments."""
    ids = windows.deployments["deployment_id"].to_list()
    outcomes = []
    # Huge values may overflow and missing ones give NaN; both are meant, neither is an accident.
    with np.errstate(all="ignore"):
        for block in windows.blocks:
            known = stack(profiles, [ids[row] for row in block.rows])
            comparison = policy.compare(block, known)
            outcomes.append((comparison, policy.decide(block, comparison)))
    order = np.argsort(np.concatenate([block.rows for block in windows.blocks]))
    comparisons, decisions = zip(*outcomes, strict=True)
    return _gather(comparisons, order), _gather(decisions, order)


C = TypeVar("C", Comparison, Decision)


def _gather(parts: Sequence[C], order: NDArray[np.int64]) -> C:
    """Put the columns of `parts` one after another and into `order`."""
    kind = type(parts[0])
    return kind(
        **{
            field.name: np.concatenate([getattr(part, field.name) for part in parts])[order]
            for field in fields(kind)
        }
    )


def _pick(columns: Comparison | Decision, place: int) -> dict[str, Any]:
    """One row of all columns as plain values."""
    return {field.name: getattr(columns, field.name)[place].tolist() for field in fields(columns)}


def _judgement(
    fact: dict[str, Any],
    as_of: datetime,
    policy: Policy[Any],
    compared: dict[str, Any],
    decided: dict[str, Any],
    profiles: Mapping[str, ServiceProfile] | None,
) -> Judgement:
    reason = CODES[decided["reason"]]
    profile = (profiles or {}).get(fact["deployment_id"])
    flags = zip(Penalty, decided["penalties"], strict=True)
    return Judgement(
        deployment_id=UUID(fact["deployment_id"]),
        policy=policy.name,
        verdict=VERDICTS[reason],
        conclusive=reason in CONCLUSIVE,
        reason_code=reason.value,
        confidence=decided["confidence"],
        coverage_ratio=fact["coverage_ratio"],
        evidence=tuple(
            _piece(metric, {name: five[place] for name, five in compared.items()}, fact, policy)
            for place, metric in enumerate(Metric)
        ),
        as_of=as_of,
        quality_ratio=decided["quality_ratio"],
        penalties=tuple(penalty.value for penalty, there in flags if there),
        confounders=tuple(UUID(each) for each in fact["confounders"]),
        decided_at=None if decided["decided_at"] == NONE else decided["decided_at"],
        profile_until=None if profile is None else profile.until,
    )


def _piece(
    metric: Metric, row: dict[str, Any], fact: dict[str, Any], policy: Policy[Any]
) -> Evidence:
    plain: dict[str, Any] = {
        name: None if isinstance(value, float) and isnan(value) else value
        for name, value in row.items()
    }
    for name, members in (*MEMBERS.items(), ("test", policy.method.tests)):
        plain[name] = None if row[name] == NONE else members[row[name]]
    source = fact["baseline_source"] if row["baseline_n"] else "none"
    return Evidence(metric=metric, baseline_source=source, **plain)


def _verdicts(decision: Decision) -> Iterator[pl.Series]:
    yield _names("verdict", [VERDICTS[code] for code in CODES], decision.reason)
    yield pl.Series("conclusive", np.array([code in CONCLUSIVE for code in CODES])[decision.reason])
    yield _names("reason_code", CODES, decision.reason)
    yield pl.Series("confidence", decision.confidence)
    yield pl.Series("quality_ratio", decision.quality_ratio)
    yield _list("penalties", [penalty.value for penalty in Penalty], decision.penalties)
    yield pl.Series("decided_at", decision.decided_at).replace(NONE, None)


def _list(name: str, members: Sequence[str], flags: NDArray[np.bool_]) -> pl.Series:
    """The members that are set in each row of `flags`."""
    kinds, which = np.unique(flags @ (1 << np.arange(len(members))), return_inverse=True)
    lists = [[each for bit, each in enumerate(members) if kind >> bit & 1] for kind in kinds]
    return pl.Series(name, lists, dtype=pl.List(pl.String)).gather(which)


def _evidence(windows: Windows, comparison: Comparison, policy: Policy[Any]) -> pl.DataFrame:
    size = windows.deployments.height
    every = np.repeat(np.arange(size), len(METRICS))
    columns = [
        windows.deployments["deployment_id"].gather(every),
        _names("metric", METRICS, np.tile(np.arange(len(METRICS)), size)),
    ]
    for field in fields(Comparison):
        values = getattr(comparison, field.name).reshape(-1)
        if field.name in MEMBERS:
            columns.append(_names(field.name, MEMBERS[field.name], values))
        elif field.name == "test":
            columns.append(_names(field.name, policy.method.tests, values))
        else:
            columns.append(pl.Series(field.name, values, nan_to_null=True))
    source = windows.deployments["baseline_source"].gather(every)
    return pl.DataFrame(columns).with_columns(
        baseline_source=pl.when(pl.col("baseline_n") > 0).then(source).otherwise(pl.lit("none"))
    )


def _names(name: str, members: Sequence[str], numbers: NDArray[np.int64]) -> pl.Series:
    """The members of an enumeration by their numbers; null for `NONE`."""
    texts = pl.Series(name, [*map(str, members), None], dtype=pl.String)
    return texts.gather(np.where(numbers == NONE, len(members), numbers))
