"""The catalogue, part two: what was missing, and what is worth knowing without an alarm.

Data only, see `analytics.catalogue`.
"""

from __future__ import annotations

from typing import Final

from analytics.signals import Fact, Rule, Trait
from core.types import Metric, Severity

NOTICES: Final = (
    Rule(
        "collector_fault",
        Severity.WARNING,
        "SeqPulse itself did not look",
        "Samples for {coverage} of the planned slots after the deploy; the others were missed on "
        "our side, and that says nothing of the deploy.{missed}",
        (
            "Look at the service yourself: nobody watched this deploy.",
            "Run `seqpulse workers` and `seqpulse jobs list`: is a worker alive, is it behind?",
            "Look for job_crashed and job_impossible in the worker's log.",
            "If other services went dark as well: check DNS and network as seen from the workers.",
            "Start another worker if the machine could not keep up.",
        ),
        some=frozenset({Fact.SILENT, Fact.UNCOVERED}),
        given=frozenset({Fact.OUR_FAULT}),
    ),
    Rule(
        "endpoint_died",
        Severity.WARNING,
        "The metrics stopped with this deploy",
        "There were samples before the deploy, and for {coverage} of the planned slots after it; "
        "no verdict can rest on that.{missed}",
        (
            "Check that the new version is running at all: it may crash at start.",
            "Read the metrics endpoint by hand from where the workers run.",
            "Look up the codes in report.missed_slots: they say why every slot was missed.",
            "Check that the release kept the endpoint's path, port and HMAC secret.",
            "If the service pushes its samples: check that it still does, and what was refused.",
        ),
        signals=frozenset({Fact.SILENT}),
    ),
    Rule(
        "stale_source",
        Severity.WARNING,
        "The target repeats old numbers",
        "The metrics endpoint answers, but what it says does not move on: samples for {coverage} "
        "of the planned slots, with a clock that stands still or numbers from before the deploy.",
        (
            "Look at the service yourself: these numbers are not those of the new version.",
            "Check for a cache or proxy between the workers and the metrics endpoint.",
            "Check that the metrics thread of the service is alive.",
            "Check that the endpoint leads to the new instances, not to an old one left behind.",
        ),
        signals=frozenset({Fact.STALE}),
    ),
    Rule(
        "data_too_thin",
        Severity.WARNING,
        "Too little data for a verdict",
        "{reason}: samples for {coverage} of the planned slots after the deploy; "
        "values per metric {values}.{missed}",
        (
            "Look at the service yourself: nothing here says that this deploy is harmless.",
            "Look up the codes in report.missed_slots: they say why a slot was missed.",
            "Check that the metrics endpoint reports all five numbers.",
            "Let the baseline run for some minutes before the next deploy.",
        ),
        some=frozenset({Fact.THIN, Fact.UNCOVERED}),
    ),
    Rule(
        "low_power",
        Severity.INFO,
        "No harm seen, but little could have been",
        "Nothing points at harm, but there were too few requests to tell, or none: "
        "{requests_per_sec}. Smallest changes that would have been seen nine times of ten: "
        "{detectable}.",
        (
            "Look at what cannot be seen here: the logs, a request by hand.",
            "Use a longer post window, or deploy when there is more traffic.",
        ),
        signals=frozenset({Fact.UNPROVEN}),
    ),
    Rule(
        "bad_end",
        Severity.INFO,
        "It got bad at the very end",
        "The last two slots are far worse than anything before the deploy, too few to tell whether "
        "that lasts. The window was extended before, if that was possible.",
        (
            "Look at the service now: what began this late may still go on.",
            "Judge it again by hand before you call the deploy harmless.",
        ),
        signals=frozenset({Fact.UNSETTLED}),
    ),
    Rule(
        "cold_start",
        Severity.INFO,
        "A rough start that is over",
        "Right after the deploy it was worse, then it recovered. Over the whole window: {found}.",
        (
            "Nothing is to be done for this deploy.",
            "Warm up caches, pools and compiled code before an instance takes traffic.",
            "Let the readiness probe wait for the warm-up, and roll out in smaller steps.",
        ),
        some=frozenset((metric, Trait.OVER) for metric in Metric),
    ),
    Rule(
        "improvement",
        Severity.INFO,
        "It got better",
        "Better than before the deploy: {found}.",
        (
            "Keep it: this is the new baseline the next deploy is measured against.",
            "If nobody meant it, make sure that no work was lost: skipped calls are fast, too.",
        ),
        some=frozenset(
            (metric, trait)
            for metric in Metric
            for trait in (Trait.BETTER, Trait.RECOVERED)
            # More traffic is nothing a release does by being good.
            if metric is not Metric.REQUESTS_PER_SEC
        ),
        given=frozenset({Fact.HARMLESS}),
    ),
    Rule(
        "pre_existing_breach",
        Severity.INFO,
        "It was like this before the deploy",
        "Bad, or on its way there, before this deploy already: {found}.",
        (
            "Do not expect a rollback to help with this part.",
            "Treat it as an incident of its own, older than this deploy.",
        ),
        some=frozenset((metric, Trait.PRE_EXISTING) for metric in Metric),
    ),
    Rule(
        "cumulative_drift",
        Severity.INFO,
        "A little worse with every deploy",
        "No single deploy failed, together they add up: {drifts}.",
        (
            "Compare with the oldest of these releases, not with the last one.",
            "Look for growth: data, indexes, dependencies, work added to every request.",
            "Set a budget for this metric and check it at release time.",
        ),
        some=frozenset((metric, Trait.DRIFTING) for metric in Metric),
    ),
    Rule(
        "overlapping_deploys",
        Severity.INFO,
        "Another deploy was about at the same time",
        "The harm may be another deploy's. Overlapping with this one: {confounders}.",
        (
            "Look at the other deploys before you roll back this one.",
            "Leave a post window between two deploys of the same environment.",
        ),
        signals=frozenset({Fact.OVERLAPPING}),
    ),
)
"""None of these is critical, and what is above info only fires without a verdict."""
