"""Explain a judgement: which composite of signals it is, in numbers, and what to do first.

The catalogue is data. A rule fires when its signals are there, and takes them: what a composite
explains is not said again by a simpler rule further down. See docs/hints.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from analytics.catalogue import CATALOGUE
from analytics.phrases import phrase
from analytics.signals import LASTING, Rule, Signal, Trait, read_signals
from analytics.surroundings import NOTHING_KNOWN, Surroundings
from core.judgement import Judgement
from core.types import Hint, Metric, Severity

RANKS = {severity: -rank for rank, severity in enumerate(Severity)}


def diagnose(judgement: Judgement, surroundings: Surroundings = NOTHING_KNOWN) -> tuple[Hint, ...]:
    """Return the hints of `judgement`, most important first; none if there is nothing to say.

    Whatever the policy: a hint is critical if and only if a rollback is recommended, and an ok
    deployment has none above info.

    Args:
        judgement: What the judge said.
        surroundings: What it could not know, see `analytics.surroundings`.
    """
    seen = read_signals(judgement, surroundings)
    left = seen
    fired = []
    for rule in CATALOGUE:
        if explained := _match(rule, left, seen):
            left -= _taken(explained, left)
            fired.append((rule, explained))
    words = phrase(judgement, surroundings) if fired else {}
    hints = [_hint(rule, explained, seen, words) for rule, explained in fired]
    return tuple(sorted(hints, key=lambda hint: RANKS[hint.severity]))


def _match(rule: Rule, left: AbstractSet[Signal], seen: AbstractSet[Signal]) -> frozenset[Signal]:
    """The signals `rule` explains; none if it does not fire."""
    found = rule.some & left
    fires = (
        rule.signals <= left
        and rule.given <= seen
        and not rule.unless & seen
        and bool(found or not rule.some)
    )
    return rule.signals | found if fires else frozenset()


def _taken(explained: AbstractSet[Signal], left: AbstractSet[Signal]) -> frozenset[Signal]:
    """What no later rule may explain again: the signals themselves and all else of the metrics."""
    metrics = {signal[0] for signal in explained if isinstance(signal, tuple)}
    others = {
        signal
        for signal in left
        if isinstance(signal, tuple) and signal[0] in metrics and signal[1] not in LASTING
    }
    return frozenset(explained | others)


def _hint(
    rule: Rule,
    explained: AbstractSet[Signal],
    seen: AbstractSet[Signal],
    words: Mapping[str, str],
) -> Hint:
    named = {signal[0] for signal in explained if isinstance(signal, tuple)}
    metrics = tuple(metric for metric in Metric if metric in named)
    severity = rule.severity or _severity(metrics, seen)
    found = ". And ".join(words[metric] for metric in metrics if metric in words)
    diagnosis = rule.diagnosis.format(found=found, **words)
    first = (rule.rollback,) if severity is Severity.CRITICAL else ()
    return Hint(rule.id, severity, rule.title, diagnosis, first + rule.actions, metrics)


def _severity(metrics: tuple[Metric, ...], seen: AbstractSet[Signal]) -> Severity:
    if any((metric, Trait.SEVERE) in seen for metric in metrics):
        return Severity.CRITICAL
    if any((metric, Trait.FAILED) in seen for metric in metrics):
        return Severity.WARNING
    return Severity.INFO
