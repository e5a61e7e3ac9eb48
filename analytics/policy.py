"""The policies: a method, its numbers and the name that is stored with every verdict.

A published policy never changes; a better one gets a new name. See docs/policies.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Generic, TypeVar

import numpy as np

from analytics import evidence, fixed, kayenta, relative, slo
from analytics.blocks import Block
from analytics.compare import NONE, Comparison, Decision
from analytics.outcome import AS_THE_METHOD, Outcome, apply, list_metrics, parse_outcome, write
from analytics.policy_file import Table, expect, fill, merge, plain, read_table, show
from analytics.profile import Stack
from core.errors import InvalidInputError
from core.types import Metric

R = TypeVar("R")

NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")

KEYS: Final = ("name", "extends", "method", "rules", "verdict")


def _judge_all(rules: object) -> AbstractSet[Metric]:
    del rules
    return frozenset(Metric)


@dataclass(frozen=True, slots=True)
class Method(Generic[R]):
    """How to judge: two plain functions over a block and the numbers of type `R` they take.

    Attributes:
        rules: The type of the numbers.
        compare: Sets post window against baseline, metric by metric.
        decide: Makes one decision of each deployment's comparisons.
        tests: Names of the tests `Comparison.test` counts.
        judged: Which metrics can fail with these numbers.
    """

    rules: type[R]
    compare: Callable[[Block, R, Stack], Comparison]
    decide: Callable[[Block, Comparison, R], Decision]
    tests: tuple[str, ...] = ()
    judged: Callable[[R], AbstractSet[Metric]] = _judge_all


@dataclass(frozen=True, slots=True)
class Policy(Generic[R]):
    """A method with its numbers.

    Attributes:
        name: Stored with every verdict.
        method: How to judge.
        rules: The numbers of the method.
        outcome: Which failures make which verdict, where the method is not to decide that.
    """

    name: str
    method: Method[R]
    rules: R
    outcome: Outcome = AS_THE_METHOD

    def compare(self, block: Block, profiles: Stack) -> Comparison:
        """Compare every metric of every deployment of `block`."""
        return apply(self.outcome, self.method.compare(block, self.rules, profiles))

    def decide(self, block: Block, comparison: Comparison) -> Decision:
        """Make one decision of each deployment's comparisons."""
        decision = self.method.decide(block, comparison, self.rules)
        if self.outcome == AS_THE_METHOD:
            return decision
        # When a verdict was final the method only knows of its own.
        return replace(decision, decided_at=np.full_like(decision.decided_at, NONE))

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that stand for method, numbers and outcome."""
        method = next((name for name, method in METHODS.items() if method is self.method), "")
        outcome = {
            "warning": write(self.outcome.warning),
            "rollback": write(self.outcome.rollback),
        }
        content = {"method": method, "rules": plain(self.rules), "verdict": outcome}
        return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


FIXED: Final = Method(fixed.Rules, fixed.compare, fixed.decide)
RELATIVE: Final = Method(relative.Rules, relative.compare, relative.decide, evidence.TESTS)
KAYENTA: Final = Method(
    kayenta.Rules, kayenta.compare, kayenta.decide, kayenta.TESTS, kayenta.list_judged
)
SLO: Final = Method(slo.Rules, slo.compare, slo.decide, judged=slo.list_judged)

METHODS: Final[Mapping[str, Method[Any]]] = MappingProxyType(
    {"relative": RELATIVE, "fixed": FIXED, "kayenta": KAYENTA, "slo": SLO}
)
"""Every method, as policy files call it."""


def load(path: Path, known: Mapping[str, Policy[Any]] | None = None) -> Policy[Any]:
    """Return the policy in a `.toml` or `.json` file; see docs/policies.md for its keys.

    Args:
        path: The file.
        known: Policies it may extend, by name; those that are shipped by default. Its own name
            must not be among them: a published policy never changes.

    Raises:
        InvalidInputError: The file cannot be read or is no policy; the text names file and key.
    """
    table = read_table(path)
    try:
        return parse(table, POLICIES if known is None else known)
    except InvalidInputError as error:
        raise InvalidInputError(f"{path.name}: {error}") from None


def parse(table: Table, known: Mapping[str, Policy[Any]]) -> Policy[Any]:
    """Return the policy in the content of a file; see `load`."""
    for key in table:
        if key not in KEYS:
            raise InvalidInputError(f"{show(key)}: unknown; one of {', '.join(KEYS)}")
    name = expect(str, table.get("name"), "name")
    if not NAME.fullmatch(name):
        raise InvalidInputError("name: must be 1 to 63 of a-z, 0-9, '.', '_', '-'")
    if name in known:
        raise InvalidInputError(f"name: {name} is published and never changes; choose another")
    parent = _parent(table, known)
    method = _choose("method", table, METHODS) if parent is None else parent.method
    inherited, outcome = (
        ({}, AS_THE_METHOD) if parent is None else (plain(parent.rules), parent.outcome)
    )
    rules = merge(inherited, expect(dict, table.get("rules", {}), "rules"))
    filled = fill(method.rules, rules, "rules")
    expressions = parse_outcome(expect(dict, table.get("verdict", {}), "verdict"), "verdict")
    for key, expression in expressions.items():
        for metric in sorted(list_metrics(expression) - method.judged(filled)):
            raise InvalidInputError(f"verdict.{key}: {metric} can never fail under these rules")
    return Policy(name, method, filled, replace(outcome, **expressions))


def _parent(table: Table, known: Mapping[str, Policy[Any]]) -> Policy[Any] | None:
    if "extends" not in table:
        return None
    if "method" in table:
        raise InvalidInputError("method: comes from the policy that is extended")
    return _choose("extends", table, known)


V = TypeVar("V")


def _choose(key: str, table: Table, options: Mapping[str, V]) -> V:
    """The option a file names under `key`."""
    named = expect(str, table.get(key), key)
    if named not in options:
        raise InvalidInputError(f"{key}: not one of {', '.join(sorted(options))}")
    return options[named]


def _load_shipped(*names: str) -> Mapping[str, Policy[Any]]:
    folder = Path(__file__).parent / "policies"
    return MappingProxyType({name: load(folder / f"{name}.toml", {}) for name in names})


POLICIES: Final = _load_shipped("seqpulse-v1", "reference-v2", "kayenta-compatible", "slo")
"""Every shipped policy by its name."""

SEQPULSE_V1: Final = POLICIES["seqpulse-v1"]
"""Against the service's own baseline and history; the default."""

REFERENCE_V2: Final = POLICIES["reference-v2"]
"""The fixed-threshold rule of the first SeqPulse, kept for compatibility."""


def find(name: str) -> Policy[Any]:
    """Return the shipped policy called `name`.

    Raises:
        InvalidInputError: There is none; the text names those there are.
    """
    try:
        return POLICIES[name]
    except KeyError:
        raise InvalidInputError(f"policy: not one of {', '.join(sorted(POLICIES))}") from None


def choose(chosen: str) -> Policy[Any]:
    """Return the shipped policy of this name, or the one in this `.toml` or `.json` file.

    Raises:
        InvalidInputError: There is none, or the file is no policy.
    """
    path = Path(chosen)
    return load(path) if path.suffix in (".toml", ".json") else find(chosen)
