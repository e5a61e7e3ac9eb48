"""The catalogue of composite diagnoses, part one: what it looks like when a metric failed.

Data only. Composites stand before their parts; `analytics.notices` is part two. See docs/hints.md.
"""

from __future__ import annotations

from typing import Final

from analytics.notices import NOTICES
from analytics.signals import Rule, Trait
from core.types import Metric

TRAFFIC, LATENCY, ERRORS, CPU, MEMORY = Metric

ANY_SEVERE: Final = frozenset((metric, Trait.SEVERE) for metric in Metric)

FAILURES: Final = (
    Rule(
        "traffic_overload",
        None,
        "More traffic than usual, and the service feels it",
        "There is far more traffic than expected, and that alone may explain the rest: "
        "{requests_per_sec}. And {found}.",
        (
            "Add instances or CPU: this much traffic would have hurt the old version as well.",
            "Find out where the traffic comes from: a campaign, a crawler, clients that retry.",
            "Shed or limit what can wait.",
            "Roll back only if it stays bad once the traffic is back to normal.",
        ),
        some=frozenset((metric, Trait.FAILED) for metric in (LATENCY, ERRORS, CPU)),
        given=frozenset({(TRAFFIC, Trait.SURGED)}),
        # What is bad enough for a rollback is not to be excused by a busy hour.
        unless=ANY_SEVERE,
    ),
    Rule(
        "partial_outage",
        None,
        "Partial outage: errors while traffic falls",
        "Requests fail and fewer arrive: {error_rate}. And {requests_per_sec}.",
        (
            "Compare healthy instances with planned ones: look for crash loops and failing probes.",
            "Read the first error in the logs after the deploy; the later ones are echoes.",
            "Check that the load balancer routes to the new instances on the right port and path.",
        ),
        rollback="Roll back: the two together rarely have a harmless cause.",
        signals=frozenset({(ERRORS, Trait.FAILED), (TRAFFIC, Trait.FAILED)}),
    ),
    Rule(
        "service_degradation",
        None,
        "Degradation: errors while requests slow down",
        "Requests fail and slow down together: {error_rate}. And {latency_p95}.",
        (
            "Look for time-outs to a dependency: database, cache, downstream service.",
            "Check pools and limits the release changed: connections, threads, queue lengths.",
            "Look for a slow or locking query or migration that came with the release.",
        ),
        rollback="Roll back: errors and latency rising together rarely heal by themselves.",
        signals=frozenset({(ERRORS, Trait.FAILED), (LATENCY, Trait.FAILED)}),
    ),
    Rule(
        "compute_saturation",
        None,
        "Out of CPU, and users feel it",
        "Requests slow down while the CPU is busy: {latency_p95}. And {cpu_usage}.",
        (
            "Add instances or CPU to win time.",
            "Take a CPU profile of the new version and compare it with the old one.",
            "Look for work the release added to every request: serialisation, regexes, logging.",
            "Roll back if the load does not fall after scaling.",
        ),
        signals=frozenset({(LATENCY, Trait.FAILED), (CPU, Trait.FAILED)}),
    ),
    Rule(
        "memory_leak",
        None,
        "The memory fills up",
        "The memory grows while it is watched and would be full in about {time_to_limit}: "
        "{memory_usage}.",
        (
            "Plan a restart, or a rollback, well before the memory is full.",
            "Take two heap dumps some minutes apart: what grew between them is the leak.",
            "Look for caches without a bound, listeners never removed and tasks never awaited.",
            "If it levels off it was a warm-up: look again before you act.",
        ),
        rollback="Roll back, or restart, well before the memory is full.",
        signals=frozenset({(MEMORY, Trait.FAILED), (MEMORY, Trait.RAMP)}),
    ),
    Rule(
        "flapping",
        None,
        "It comes and goes",
        "Bad and good minutes take turns: {found}.",
        (
            "Compare the instances one by one: a bad one behind the balancer looks like this.",
            "Look for a restart loop: does the uptime of some instance keep starting over?",
            "Look for something periodic: a scheduled task, a cache that expires, a batch.",
            "Watch a second window before you decide.",
        ),
        some=frozenset((metric, Trait.FLAPPING) for metric in Metric),
        # Where a rollback is recommended, what fails is the news, not that it does so in bursts.
        unless=ANY_SEVERE,
    ),
    Rule(
        "routing_failure",
        None,
        "Fewer requests arrive, and those that do are fine",
        "Requests get lost before the service, not in it: {requests_per_sec}. And {error_rate}.",
        (
            "Check the health checks: instances that never became ready get no traffic.",
            "Check the routes: host, path, port and weight of the new version.",
            "Check what lies before it: DNS, certificate, firewall, load balancer.",
            "Rule out an outside cause: time of day, a paused client, a changed schedule.",
        ),
        rollback="Roll back unless something outside explains the fall.",
        signals=frozenset({(TRAFFIC, Trait.FAILED)}),
        given=frozenset({(ERRORS, Trait.STEADY)}),
    ),
    Rule(
        "traffic_drop",
        None,
        "Traffic is down",
        "Fewer requests arrive: {requests_per_sec}.",
        (
            "Send a request yourself, from outside: is the service reachable at all?",
            "Check that the new version is running and listens on the right port.",
            "Check whether requests are lost before the service: DNS, load balancer, certificate.",
            "Rule out an outside cause: time of day, a paused client, a changed route.",
        ),
        rollback="Roll back unless something outside explains the fall.",
        signals=frozenset({(TRAFFIC, Trait.FAILED)}),
    ),
    Rule(
        "error_burst",
        None,
        "Requests failed for a while",
        "Requests failed after the deploy and hardly do so any more at the end. Over the whole "
        "window: {error_rate}.",
        (
            "Watch the next minutes: is it over, or is this a pause?",
            "Group the errors by route and exception: clients have felt them.",
            "If it was the roll-out: drain connections before an instance stops, and let the "
            "readiness probe wait for the new one.",
            "If it was a migration: make it one that old and new version can live with.",
        ),
        signals=frozenset({(ERRORS, Trait.FAILED), (ERRORS, Trait.OVER)}),
        unless=frozenset({(ERRORS, Trait.SEVERE)}),
    ),
    Rule(
        "error_regression",
        None,
        "Too many requests fail",
        "Requests fail: {error_rate}.",
        (
            "Group the errors by route and exception: one new group points at the change.",
            "Check settings, secrets and feature flags the release expects in this environment.",
            "Check compatibility: schema, message formats and clients still on the old version.",
        ),
        rollback="Roll back unless the errors are known and harmless.",
        signals=frozenset({(ERRORS, Trait.FAILED)}),
    ),
    Rule(
        "latency_regression",
        None,
        "Requests are slow",
        "Requests take too long: {latency_p95}.",
        (
            "Trace a slow request and find the call it waits for.",
            "Count the queries of a request: a new call in a loop (N+1) or a missing index?",
            "Check the dependencies: did one of them get slower, or does the release call more?",
            "Check whether caches were emptied by the deploy; if so, watch it recover.",
        ),
        signals=frozenset({(LATENCY, Trait.FAILED)}),
    ),
    Rule(
        "cpu_regression",
        None,
        "The same traffic costs more CPU",
        "Every request costs more than before: {cpu_usage}. And {requests_per_sec}.",
        (
            "Take a CPU profile of the new version and compare it with the old one.",
            "Look for work the release added: serialisation, logging, regexes, a debug setting.",
            "Look beside the requests: a new background task, a loop that polls, retries.",
            "Add instances or CPU before the next peak, or roll back.",
        ),
        signals=frozenset({(CPU, Trait.FAILED), (CPU, Trait.INTRODUCED)}),
        given=frozenset({(TRAFFIC, Trait.STEADY)}),
    ),
    Rule(
        "cpu_saturation",
        None,
        "The CPU is too busy",
        "There is less CPU left for a peak: {cpu_usage}.",
        (
            "Compare CPU per request before and after: did the work grow or the traffic?",
            "Take a CPU profile of the new version.",
            "Add instances or CPU before the next peak.",
        ),
        signals=frozenset({(CPU, Trait.FAILED)}),
    ),
    Rule(
        "memory_step",
        None,
        "The release needs more memory",
        "The memory went up with the deploy and stays there: {memory_usage}.",
        (
            "Check that a peak still fits under the memory limit; raise it if not.",
            "Look for what the release loads at start: models, caches, more workers, bigger pools.",
            "Compare heap profiles of the old and the new version.",
        ),
        signals=frozenset({(MEMORY, Trait.FAILED), (MEMORY, Trait.STEP)}),
    ),
    Rule(
        "memory_pressure",
        None,
        "Too much memory is used",
        "At the limit waits the out-of-memory killer: {memory_usage}.",
        (
            "Watch whether it still grows: a steady climb is a leak, a plateau is a bigger need.",
            "Compare heap profiles of the old and the new version.",
            "Check caches, batch sizes and worker counts the release changed.",
            "Raise the memory limit to win time, or roll back if it climbs.",
        ),
        signals=frozenset({(MEMORY, Trait.FAILED)}),
    ),
)
"""Every failed metric is explained by exactly one of these: the first that fits."""

CATALOGUE: Final = (*FAILURES, *NOTICES)
"""Every rule, in the order they are tried."""
