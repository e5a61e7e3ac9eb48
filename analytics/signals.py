"""What can be seen of a judgement, as signs that a rule of the catalogue may ask for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from analytics.reasons import ReasonCode
from analytics.surroundings import Surroundings
from core.judgement import Direction, Evidence, Judgement, Pattern
from core.types import Attribution, Metric, Severity, Verdict

STEADY_RATIO: Final = 0.2
"""Change of a level, as a share of what was expected, up to which it is called the same."""

SURGE_RATIO: Final = 1.5
"""Traffic as a multiple of what was expected from which on it may itself explain the rest: more
than the headroom services usually have."""

SURGE_RPS: Final = 1.0
"""Traffic under which nothing is overloaded by it, req/s."""


class Trait(StrEnum):
    """What can be seen of one metric."""

    FAILED = "failed"  # it contributes to the alarm
    SEVERE = "severe"  # failed, and badly enough for a rollback
    INTRODUCED = "introduced"  # failed, and the deployment's doing
    PRE_EXISTING = "pre_existing"  # no better before
    RECOVERED = "recovered"  # bad before, good now
    BETTER = "better"  # surely moved for the better
    STEADY = "steady"  # known, and about as before
    SURGED = "surged"  # far above what was expected
    STEP = "step"  # up from the start
    RAMP = "ramp"  # growing while watched
    FLAPPING = "flapping"  # coming and going
    OVER = "over"  # was there and is over
    DRIFTING = "drifting"  # worse deployment by deployment


class Fact(StrEnum):
    """What can be seen of a deployment as a whole."""

    HARMLESS = "harmless"  # ok and conclusive
    UNPROVEN = "unproven"  # ok, but harm could not have been seen
    UNSETTLED = "unsettled"  # ok, but bad at the very end
    SILENT = "silent"  # (nearly) no post samples, but there was a baseline
    UNCOVERED = "uncovered"  # (nearly) no post samples, and no baseline either
    STALE = "stale"  # the target repeats old numbers
    THIN = "thin"  # inconclusive for any other reason
    OUR_FAULT = "our_fault"  # the missed slots were missed on our side
    OVERLAPPING = "overlapping"  # something failed while another deployment was about


Signal: TypeAlias = tuple[Metric, Trait] | Fact

LASTING: Final = frozenset({Trait.PRE_EXISTING, Trait.DRIFTING})
"""Traits worth a word of their own even if another rule explains the metric."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the catalogue.

    Attributes:
        id: Stable name, stored with the hint.
        severity: None: critical if a metric it explains failed severely, warning if one failed,
            else info.
        title: What it is, in a few words.
        diagnosis: Template; a metric's name stands for the sentence about it, `found` for the
            sentences about all metrics the rule explains; for other words see `analytics.phrases`.
        actions: What to do, most useful first; in harmony with a verdict that only warns.
        rollback: What comes before all that if the hint is critical.
        signals: All of them must be there; the rule explains them.
        some: At least one of them must be there; the rule explains those that are.
        given: All of them must be there; other rules may still explain them.
        unless: None of them may be there.
    """

    id: str
    severity: Severity | None
    title: str
    diagnosis: str
    actions: tuple[str, ...]
    signals: frozenset[Signal] = frozenset()
    some: frozenset[Signal] = frozenset()
    given: frozenset[Signal] = frozenset()
    unless: frozenset[Signal] = frozenset()
    rollback: str = "Roll back: this is too bad to look for the cause first."


def read_signals(judgement: Judgement, surroundings: Surroundings) -> frozenset[Signal]:
    """Return everything that can be seen of `judgement`."""
    metrics = {(each.metric, trait) for each in judgement.evidence for trait in _traits(each)}
    drifting = {(drift.metric, Trait.DRIFTING) for drift in surroundings.drifts}
    return frozenset(metrics | drifting | set(_facts(judgement, surroundings)))


def _traits(evidence: Evidence) -> Iterator[Trait]:
    if evidence.failed:
        yield Trait.FAILED
        if evidence.severe:
            yield Trait.SEVERE
        if evidence.attribution in (Attribution.INTRODUCED, Attribution.WORSENED):
            yield Trait.INTRODUCED
    if evidence.pattern is Pattern.TRANSIENT:
        yield Trait.OVER
    if evidence.attribution in (Attribution.PRE_EXISTING, Attribution.RECOVERED):
        yield Trait(evidence.attribution)
    if evidence.direction is Direction.BETTER:
        yield Trait.BETTER
    if evidence.pattern in (Pattern.STEP, Pattern.RAMP, Pattern.FLAPPING):
        yield Trait(evidence.pattern)
    yield from _level_traits(evidence)


def _level_traits(evidence: Evidence) -> Iterator[Trait]:
    if evidence.expected is None or evidence.observed is None:
        return
    if evidence.observed >= max(SURGE_RATIO * evidence.expected, SURGE_RPS):
        yield Trait.SURGED
    change = abs(evidence.observed - evidence.expected)
    # A share of few errors says nothing: what did not fail and did not surely move is steady. Nor
    # does one of no traffic: nothing can be said of every request.
    same = (
        not _matters(evidence)
        if evidence.metric is Metric.ERROR_RATE
        else evidence.expected > 0 and change <= STEADY_RATIO * evidence.expected
    )
    if same and not evidence.failed and evidence.direction is not Direction.WORSE:
        yield Trait.STEADY


def _matters(evidence: Evidence) -> bool:
    """Whether the change is as large as one that matters, even if it did not fail."""
    effect, least = evidence.effect, evidence.minimum_effect
    return effect is not None and least is not None and effect >= least


def _facts(judgement: Judgement, surroundings: Surroundings) -> Iterator[Fact]:
    if judgement.verdict is Verdict.OK:
        bad_end = judgement.reason_code == ReasonCode.BAD_END
        doubt = Fact.UNSETTLED if bad_end else Fact.UNPROVEN
        yield Fact.HARMLESS if judgement.conclusive else doubt
    elif not judgement.conclusive:
        yield _gap(judgement)
    if surroundings.our_fault:
        yield Fact.OUR_FAULT
    if judgement.confounders and any(each.failed for each in judgement.evidence):
        yield Fact.OVERLAPPING


def _gap(judgement: Judgement) -> Fact:
    """Why the data could not carry a verdict."""
    match judgement.reason_code:
        case ReasonCode.NO_POST_SAMPLES | ReasonCode.INSUFFICIENT_POST_SAMPLES:
            known = any(each.baseline_n for each in judgement.evidence)
            return Fact.SILENT if known else Fact.UNCOVERED
        case ReasonCode.STALE_SOURCE:
            return Fact.STALE
    return Fact.THIN
