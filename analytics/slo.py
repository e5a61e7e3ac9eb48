"""Fixed objectives: a metric fails when k of n slots in a row miss its objective.

For teams that have agreed on numbers. See docs/policies.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from analytics.blocks import Array, Block
from analytics.compare import ATTRIBUTIONS, NONE, Comparison, Decision, Flags, Numbers, mark
from analytics.profile import Stack
from analytics.reasons import ReasonCode
from analytics.simple import Means, Needs, describe, find_usable, measure
from analytics.simple import decide as decide_plainly
from core.errors import InvalidInputError
from core.types import SHARES, Attribution, Metric

ORDER: Final = tuple(Metric)
TRAFFIC: Final = ORDER.index(Metric.REQUESTS_PER_SEC)


@dataclass(frozen=True, slots=True)
class Objective:
    """What one metric must keep to.

    Attributes:
        limit: Level a slot must not cross, in the metric's unit: a floor for traffic, else a
            ceiling.
        bad_slots: Slots beyond the limit that make the metric fail (k).
        of_slots: Among how many planned slots in a row (n); a shorter window counts as a whole.
    """

    limit: float
    bad_slots: int
    of_slots: int

    def __post_init__(self) -> None:
        if not 1 <= self.bad_slots <= self.of_slots:
            raise InvalidInputError("bad_slots: must be at least 1 and at most of_slots")


@dataclass(frozen=True, slots=True)
class Rules:
    """The numbers of a policy of fixed objectives.

    Attributes:
        objectives: By metric; a metric without one is not judged.
        severe: Metrics whose failure recommends a rollback if the deployment introduced it.
        min_coverage_ratio: Share of planned post slots that must carry a value, 0..1.
    """

    objectives: Mapping[Metric, Objective]
    severe: frozenset[Metric]
    min_coverage_ratio: float = 0.6

    def __post_init__(self) -> None:
        if not self.objectives:
            raise InvalidInputError("objectives: at least one metric needs an objective")
        for metric in sorted(SHARES & self.objectives.keys()):
            if not self.objectives[metric].limit <= 1:
                raise InvalidInputError(f"objectives.{metric}.limit: a share must be in 0..1")
        for metric in sorted(self.severe - self.objectives.keys()):
            raise InvalidInputError(f"severe: {metric} has no objective, it can never fail")
        if not 0 < self.min_coverage_ratio <= 1:
            raise InvalidInputError("min_coverage_ratio: must be above 0 and at most 1")


def list_judged(rules: Rules) -> frozenset[Metric]:
    """Return the metrics that can fail."""
    return frozenset(rules.objectives)


def compare(block: Block, rules: Rules, profiles: Stack) -> Comparison:
    """Compare every metric of every deployment of `block`; `profiles` are of no use here."""
    del profiles
    means = measure(block)
    bad = _miss(block.after, rules)
    usable = find_usable(block, rules.min_coverage_ratio)[:, None]
    failed = _fail(bad, rules) & usable
    breached = _fail(_miss(block.before, rules), rules)
    attribution = np.where(usable, _attribute(failed, breached, means), NONE)
    introduced = attribution == ATTRIBUTIONS.index(Attribution.INTRODUCED)
    known = mark(list_judged(rules)) & (means.post_n > 0)
    share = bad.sum(axis=-1).T / np.maximum(means.post_n, 1)
    return describe(
        means,
        failed,
        failed & introduced & mark(rules.severe),
        threshold=np.broadcast_to(_limits(rules), failed.shape),
        exceedance_ratio=np.where(known, share, np.nan),
        tolerance_ratio=np.broadcast_to(_tolerances(rules), failed.shape),
        attribution=attribution,
    )


def decide(block: Block, comparison: Comparison, rules: Rules) -> Decision:
    """Make one decision of each deployment's comparisons."""
    return decide_plainly(
        block,
        comparison,
        Needs(rules.min_coverage_ratio, list_judged(rules), baseline=False),
        severe=ReasonCode.SEVERE_REGRESSION,
        failed=ReasonCode.THRESHOLD_EXCEEDED,
        harmless=ReasonCode.WITHIN_LIMITS,
    )


def _limits(rules: Rules) -> Array:
    return np.array([rules.objectives[m].limit if m in rules.objectives else np.nan for m in ORDER])


def _tolerances(rules: Rules) -> Array:
    """Share of slots in a row that may be beyond the limit, 0..1."""
    held = [rules.objectives.get(metric, Objective(0, 1, 1)) for metric in ORDER]
    return np.array([(each.bad_slots - 1) / each.of_slots for each in held])


def _miss(values: Array, rules: Rules) -> Flags:
    """Which slots are beyond the limit; neither a missing value nor a metric without one is."""
    limit = _limits(rules)[:, None, None]
    missed: Flags = values > limit
    missed[TRAFFIC] = values[TRAFFIC] < limit[TRAFFIC]
    return missed


def _fail(bad: Flags, rules: Rules) -> Flags:
    """Whether k of n slots in a row are bad, shape (d, 5)."""
    failed = np.zeros(bad.shape[:-1], dtype=np.bool_)
    for place, metric in enumerate(ORDER):
        if objective := rules.objectives.get(metric):
            width = min(objective.of_slots, bad.shape[-1])
            so_far = np.pad(np.cumsum(bad[place], axis=-1), ((0, 0), (1, 0)))
            most = (so_far[:, width:] - so_far[:, :-width]).max(axis=-1)
            failed[place] = most >= objective.bad_slots
    return np.ascontiguousarray(failed.T)


def _attribute(failed: Flags, breached: Flags, means: Means) -> Numbers:
    """Whose the deviation is; `NONE` if there is none."""
    number = {whose: place for place, whose in enumerate(ATTRIBUTIONS)}
    unknown = failed & (means.baseline_n == 0)
    whose: Numbers = np.select(
        [unknown, failed & breached, failed, breached & (means.post_n > 0)],
        [
            number[Attribution.UNKNOWN],
            number[Attribution.PRE_EXISTING],
            number[Attribution.INTRODUCED],
            number[Attribution.RECOVERED],
        ],
        NONE,
    )
    return whose
