"""Judge deployments: compare their windows under a policy and say what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import numpy as np
import polars as pl
from numpy.typing import NDArray

from analytics.blocks import Block
from analytics.compare import ATTRIBUTIONS, DIRECTIONS, PATTERNS, Comparison, Decision
from analytics.policy import Policy
from analytics.profile import ServiceProfile, stack
from analytics.reasons import CODES, CONCLUSIVE, VERDICTS, Penalty
from analytics.windows import Windows
from core.judgement import Direction, Evidence, Judgement, Pattern
from core.types import METRICS, Attribution, Metric, Verdict

ENUMS: Final[Mapping[str, type[StrEnum]]] = {
    "metric": Metric,
    "attribution": Attribution,
    "direction": Direction,
    "pattern": Pattern,
}


@dataclass(frozen=True, slots=True)
class Assessment:
    """Judgements of many deployments as columns; nothing is made an object.

    Attributes:
        verdicts: One row per deployment, in their order: deployment_id, policy, and the scalar
            fields of `Judgement` but as_of; enumerations and ids are text.
        evidence: Five rows per deployment, in their order: deployment_id and the fields of
            `Evidence`; enumerations are text.
    """

    verdicts: pl.DataFrame
    evidence: pl.DataFrame


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
    assessment = assess(windows, policy, profiles)
    moments = [as_of] * windows.deployments.height if isinstance(as_of, datetime) else as_of
    verdicts = assessment.verdicts.iter_rows(named=True)
    evidence = _five_by_five(assessment.evidence.drop("deployment_id"))
    return [
        _judgement(fields, five, moment)
        for fields, five, moment in zip(verdicts, evidence, moments, strict=True)
    ]


def assess(
    windows: Windows,
    policy: Policy[Any],
    profiles: Mapping[str, ServiceProfile] | None = None,
) -> Assessment:
    """Judge every deployment of `windows` without making objects of it; see `judge`."""
    known = profiles or {}
    ids = windows.deployments["deployment_id"]
    comparisons, decisions = [], []
    # Huge values may overflow and missing ones give NaN; both are meant, neither is an accident.
    with np.errstate(all="ignore"):
        for block in windows.blocks:
            mine = stack(known, ids.gather(block.rows).to_list())
            comparison = policy.method.compare(block, policy.rules, mine)
            comparisons.append(comparison)
            decisions.append(policy.method.decide(block, comparison, policy.rules))
    until = [known[each].until if each in known else None for each in ids]
    verdicts = windows.deployments.select("deployment_id").with_columns(
        pl.lit(policy.name).alias("policy"),
        *_verdicts(windows, decisions),
        windows.deployments["coverage_ratio"],
        windows.deployments["confounders"],
        pl.Series("profile_until", until, dtype=pl.Datetime("us", "UTC")),
    )
    return Assessment(verdicts, _evidence(windows, comparisons, policy))


def _verdicts(windows: Windows, decisions: Sequence[Decision]) -> Iterator[pl.Series]:
    order = _order(windows.blocks)
    reason = _gather([each.reason for each in decisions], order)
    yield _names("verdict", [VERDICTS[code] for code in CODES], reason)
    yield pl.Series("conclusive", np.array([code in CONCLUSIVE for code in CODES])[reason])
    yield _names("reason_code", CODES, reason)
    for name in ("confidence", "quality_ratio"):
        yield pl.Series(name, _gather([getattr(each, name) for each in decisions], order))
    yield _penalties(_gather([each.penalties for each in decisions], order))
    decided_at = _gather([each.decided_at for each in decisions], order)
    yield pl.Series("decided_at", decided_at).replace(-1, None)


def _penalties(flags: NDArray[np.bool_]) -> pl.Series:
    """The names of the penalties set in each row of `flags`."""
    names = [penalty.value for penalty in Penalty]
    kinds, which = np.unique(flags.reshape(-1, len(names)), axis=0, return_inverse=True)
    lists = [[name for name, there in zip(names, kind, strict=True) if there] for kind in kinds]
    kind_lists = pl.Series("penalties", lists, dtype=pl.List(pl.String))
    return kind_lists.gather(which.reshape(-1))


def _evidence(
    windows: Windows, comparisons: Sequence[Comparison], policy: Policy[Any]
) -> pl.DataFrame:
    order = _order(windows.blocks)
    size = windows.deployments.height
    names = {"attribution": ATTRIBUTIONS, "direction": DIRECTIONS, "pattern": PATTERNS}
    columns = [
        windows.deployments["deployment_id"].gather(np.repeat(np.arange(size), len(METRICS))),
        pl.Series("metric", list(METRICS), dtype=pl.String).gather(
            np.tile(np.arange(len(METRICS)), size)
        ),
    ]
    for field in fields(Comparison):
        values = _gather([getattr(each, field.name) for each in comparisons], order).reshape(-1)
        if field.name in names:
            columns.append(_names(field.name, names[field.name], values))
        elif field.name == "test":
            columns.append(_names(field.name, policy.method.tests, values))
        else:
            columns.append(pl.Series(field.name, values, nan_to_null=True))
    frame = pl.DataFrame(columns)
    source = windows.deployments["baseline_source"].gather(np.repeat(np.arange(size), len(METRICS)))
    return frame.with_columns(
        baseline_source=pl.when(frame["baseline_n"] > 0).then(source).otherwise(pl.lit("none"))
    )


def _order(blocks: Sequence[Block]) -> NDArray[np.int64]:
    """Where each deployment stands when the blocks are put one after another."""
    return np.argsort(np.concatenate([block.rows for block in blocks]))


def _gather(parts: Sequence[NDArray[Any]], order: NDArray[np.int64]) -> NDArray[Any]:
    return np.concatenate(parts)[order]


def _names(name: str, members: Sequence[str], numbers: NDArray[np.int64]) -> pl.Series:
    """The members of an enumeration by their numbers; null for -1."""
    texts = pl.Series(name, [*map(str, members), None], dtype=pl.String)
    return texts.gather(np.where(numbers < 0, len(members), numbers).astype(np.int64))


def _five_by_five(evidence: pl.DataFrame) -> Iterator[tuple[Evidence, ...]]:
    rows = evidence.iter_rows(named=True)
    while five := tuple(_piece(fields) for _, fields in zip(METRICS, rows, strict=False)):
        yield five


def _piece(row: dict[str, Any]) -> Evidence:
    for name, enum in ENUMS.items():
        if row[name] is not None:
            row[name] = enum(row[name])
    return Evidence(**row)


def _judgement(row: dict[str, Any], evidence: tuple[Evidence, ...], as_of: datetime) -> Judgement:
    row["deployment_id"] = UUID(row["deployment_id"])
    row["verdict"] = Verdict(row["verdict"])
    row["penalties"] = tuple(row["penalties"])
    row["confounders"] = tuple(UUID(each) for each in row["confounders"])
    return Judgement(**row, evidence=evidence, as_of=as_of)
