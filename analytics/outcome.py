"""Which failures make which verdict: any/all expressions over metrics, on many deployments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np

from analytics.compare import ATTRIBUTIONS, Comparison, Flags
from analytics.policy_file import Table, expect, parse_metric, show
from core.errors import InvalidInputError
from core.types import Attribution, Metric

ORDER: Final = tuple(Metric)

DEEPEST: Final = 8
"""Most levels of an expression."""

SEVERE: Final = ".severe"
"""What follows a metric's name in a file where only its severe failures are meant."""

BLAMED: Final = [
    ATTRIBUTIONS.index(each) for each in (Attribution.INTRODUCED, Attribution.WORSENED)
]


@dataclass(frozen=True, slots=True)
class Leaf:
    """A metric failed; or, if `severe`, failed badly enough for the method to roll back."""

    metric: Metric
    severe: bool = False


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one of the parts."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every part."""

    parts: tuple[Expression, ...]


Expression: TypeAlias = Leaf | AnyOf | AllOf


@dataclass(frozen=True, slots=True)
class Outcome:
    """What it takes to warn and to recommend a rollback; None leaves it to the method.

    Attributes:
        warning: A failure counts only where it helps to make this (or `rollback`) true.
        rollback: The failures that make this true are the severe ones; only those that are the
            deployment's doing can.
    """

    warning: Expression | None = None
    rollback: Expression | None = None


AS_THE_METHOD: Final = Outcome()
"""Everything is left to the method."""


def apply(outcome: Outcome, comparison: Comparison) -> Comparison:
    """Return `comparison` with the failures that count under `outcome`."""
    if outcome == AS_THE_METHOD:
        return comparison
    failed, severe = comparison.failed, comparison.severe
    counted = failed if outcome.warning is None else _witness(outcome.warning, failed, severe)
    harsh = severe & counted
    if outcome.rollback is not None:
        blamed = failed & np.isin(comparison.attribution, BLAMED)
        harsh = _witness(outcome.rollback, blamed, blamed & severe)
    counted = counted | harsh
    contribution = np.where(counted, comparison.contribution, 0.0)
    whole = contribution.sum(axis=1, keepdims=True)
    share = np.divide(contribution, whole, out=np.zeros_like(contribution), where=whole > 0)
    return replace(comparison, failed=counted, severe=harsh, contribution=share)


def _witness(expression: Expression, failed: Flags, severe: Flags) -> Flags:
    """The failures that make `expression` true, shape (d, 5); none where it is false."""
    if isinstance(expression, Leaf):
        chosen = np.array([metric is expression.metric for metric in ORDER])
        leaf: Flags = (severe if expression.severe else failed) & chosen
        return leaf
    parts = [_witness(part, failed, severe) for part in expression.parts]
    found: Flags = np.logical_or.reduce(parts)
    if isinstance(expression, AllOf):
        found = found & np.logical_and.reduce([part.any(axis=1) for part in parts])[:, None]
    return found


def list_metrics(expression: Expression | None) -> frozenset[Metric]:
    """Return every metric `expression` speaks of."""
    if expression is None:
        return frozenset()
    if isinstance(expression, Leaf):
        return frozenset({expression.metric})
    return frozenset().union(*map(list_metrics, expression.parts))


def parse_outcome(table: Table, where: str) -> Mapping[str, Expression]:
    """Return the expressions of a file's table by their key, `warning` or `rollback`.

    Raises:
        InvalidInputError: A key is unknown, or an expression is none.
    """
    known = ("warning", "rollback")
    for key in table:
        if key not in known:
            raise InvalidInputError(f"{where}.{show(key)}: unknown; one of {', '.join(known)}")
    return {key: _parse(value, f"{where}.{key}") for key, value in table.items()}


def _parse(value: object, where: str) -> Expression:
    if where.count(".") > DEEPEST:
        raise InvalidInputError(f"{where}: nested too deeply")
    if isinstance(value, str):
        severe = value.endswith(SEVERE)
        return Leaf(parse_metric(value.removesuffix(SEVERE), where), severe)
    table = expect(dict, value, where)
    if len(table) != 1 or not table.keys() <= {"any", "all"}:
        raise InvalidInputError(f"{where}: must be a metric, or a table of one key: any or all")
    ((key, inner),) = table.items()
    parts = tuple(_parse(each, f"{where}.{key}") for each in expect(list, inner, f"{where}.{key}"))
    if not parts or len(set(parts)) < len(parts):
        raise InvalidInputError(f"{where}.{key}: must not be empty, nor name a part twice")
    return AnyOf(parts) if key == "any" else AllOf(parts)


def write(expression: Expression | None) -> object:
    """Return `expression` as a file has it."""
    match expression:
        case Leaf():
            return f"{expression.metric}{SEVERE if expression.severe else ''}"
        case AnyOf():
            return {"any": [write(part) for part in expression.parts]}
        case AllOf():
            return {"all": [write(part) for part in expression.parts]}
    return None
