"""What the API counts, and what it knows of the installation, for Prometheus.

The numbers of the installation (`seqpulse_jobs`, ...) are those of the last look in the background:
a scrape asks the database nothing and is answered as fast while it hangs. What could not be found
out is left out. Every API process tells the same, so take the `max`, not the `sum`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from prometheus_client import Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from api import checks
from api.checks import Status
from api.lookout import Lookout
from core import telemetry
from core.database import Pool

PATH: Final = "/metrics"
UNMATCHED: Final = "unmatched"
"""Route of requests that meet none."""
METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
OTHER: Final = "other"
CLASSES: Final = ("1xx", "2xx", "3xx", "4xx", "5xx")
BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Telemetry:
    """The metrics of one API process."""

    def __init__(self) -> None:
        self.registry = telemetry.create_registry("api")
        self._requests = Counter(
            "seqpulse_http_requests_total",
            "Requests that were answered, by route template and class of the status",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._duration = Histogram(
            "seqpulse_http_request_duration_seconds",
            "Time to answer a request, by route template",
            ("method", "route"),
            buckets=BOUNDS,
            registry=self.registry,
        )

    def expect(self, routes: Iterable[tuple[str, Iterable[str]]]) -> None:
        """Make the series of routes, each with its methods, exist from the start."""
        for route, methods in routes:
            telemetry.preset(self._requests, methods, (route,), CLASSES)
            telemetry.preset(self._duration, methods, (route,))

    def watch(self, lookout: Lookout, pool: Pool) -> None:
        """Tell of the installation and of the pool from now on."""
        self.registry.register(Installation(lookout))
        telemetry.watch_pool(self.registry, pool)

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        method = method if method in METHODS else OTHER
        self._requests.labels(method, route, CLASSES[status // 100 - 1]).inc()
        self._duration.labels(method, route).observe(seconds)


class Installation(Collector):
    """What the lookout saw, as metrics."""

    def __init__(self, lookout: Lookout) -> None:
        self._lookout = lookout

    def describe(self) -> Iterable[Metric]:
        """Return the same whatever was seen: the registry wants no look for it."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Return what is known."""
        view = self._lookout.view
        facts = view.facts
        yield _gauge(
            "database_up",
            "1 if the database answered the last look, else 0",
            float(facts.latency_seconds is not None),
        )
        yield _gauge(
            "database_latency_seconds",
            "What the simplest question to the database takes",
            facts.latency_seconds,
        )
        jobs = GaugeMetricFamily("seqpulse_jobs", "Live jobs by state", labels=["state"])
        queue = facts.queue
        if queue is not None:
            for state in ("planned", "due", "running"):
                jobs.add_metric([state], getattr(queue, state))
        yield jobs
        yield _gauge(
            "jobs_overdue",
            "Jobs that have been due for more than 30 s",
            getattr(queue, "overdue", None),
        )
        yield _gauge(
            "jobs_stuck",
            "Jobs held for too long, or that failed again and again",
            getattr(queue, "stuck", None),
        )
        yield _gauge(
            "jobs_oldest_due_seconds",
            "For how long the oldest due job has been due",
            getattr(queue, "oldest_due_seconds", None),
        )
        workers = facts.workers
        yield _gauge("workers", "Workers that live", getattr(workers, "workers", None))
        yield _gauge(
            "scheduler_heartbeat_age_seconds",
            "Time since a worker last spoke to the database",
            getattr(workers, "heartbeat_age_seconds", None),
        )
        slots = GaugeMetricFamily(
            "seqpulse_recent_slots", "Slots of the last 15 minutes", labels=["result"]
        )
        if facts.collection is not None:
            slots.add_metric(["collected"], facts.collection.collected)
            slots.add_metric(["missed"], facts.collection.missed)
        yield slots
        status = GaugeMetricFamily(
            "seqpulse_check_status",
            "1 for the status each check of /health has, else 0",
            labels=["check", "status"],
        )
        for name in checks.NAMES:
            now = view.checks[name].status if name in view.checks else Status.UNKNOWN
            for each in Status:
                status.add_metric([name, each], float(each is now))
        yield status


def _gauge(name: str, meaning: str, value: float | None) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"seqpulse_{name}", meaning)
    if value is not None:
        family.add_metric([], value)
    return family
