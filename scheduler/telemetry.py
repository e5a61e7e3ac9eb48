"""What a worker counts: attempts, slots, verdicts, and how long things take."""

from __future__ import annotations

import time
from collections import Counter as Count
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final
from uuid import UUID

from prometheus_client import Counter, Gauge, Histogram

from analytics.catalogue import CATALOGUE
from core import telemetry
from core.judgement import Judgement
from core.types import CollectCode, Hint, Verdict
from scheduler.jobs import Job, JobKind, Settlement, Status

KINDS: Final = frozenset(JobKind)
OTHER: Final = "other"
"""Kind of a job that this version does not know."""
SHORT: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
LONG: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
"""Bounds of histograms, in seconds."""


class Telemetry:
    """The metrics of one worker. Counting is cheap and may be done for every job.

    Attributes:
        registry: What is shown.
        collect_errors: Failed attempts at a slot, by code, also those that are tried again.
        analysis_duration: Time to judge a lot of deployments and store what was found.
        recovered: Jobs of dead workers that were put back into the queue.
        is_connected: Whether the worker has its session on the database.
        claims_lost: Results that were dropped because somebody else had taken over the job.
    """

    def __init__(self) -> None:
        self.is_connected = False
        self.registry = telemetry.create_registry("worker")
        self._count_slots()
        self._count_jobs()
        self._count_verdicts()
        self._turned_at = time.monotonic()
        self._settled_at: dict[UUID, float] = {}
        age = Gauge(
            "seqpulse_worker_turn_age_seconds",
            "Time since the loop of this worker last turned; it does at least every 10 s",
            registry=self.registry,
        )
        age.set_function(self.turn_age_seconds)

    def _count_slots(self) -> None:
        self._collected = Counter(
            "seqpulse_metrics_collected_total", "Slots that were filled", registry=self.registry
        )
        self.collect_errors = telemetry.preset(
            Counter(
                "seqpulse_collect_errors_total",
                "Attempts to fill a slot that failed, also those that are tried again",
                ("code",),
                registry=self.registry,
            ),
            CollectCode,
        )
        self._missed = telemetry.preset(
            Counter(
                "seqpulse_slots_missed_total",
                "Slots that were given up",
                ("code",),
                registry=self.registry,
            ),
            CollectCode,
        )

    def _count_jobs(self) -> None:
        self._attempts = telemetry.preset(
            Counter(
                "seqpulse_job_attempts_total",
                "Attempts at jobs that were settled, by how they ended",
                ("kind", "outcome"),
                registry=self.registry,
            ),
            (*JobKind, OTHER),
            Status,
        )
        self._start_delay = Histogram(
            "seqpulse_job_start_delay_seconds",
            "Time from when an attempt was due to when it was claimed",
            buckets=LONG,
            registry=self.registry,
        )
        self.recovered = Counter(
            "seqpulse_jobs_recovered_total",
            "Jobs of dead workers that this worker put back into the queue",
            registry=self.registry,
        )
        self.claims_lost = Counter(
            "seqpulse_claims_lost_total",
            "Results that were dropped because somebody else had taken over the job",
            registry=self.registry,
        )
        self._in_hand = Gauge(
            "seqpulse_jobs_in_hand", "Jobs this worker holds", registry=self.registry
        )
        connected = Gauge(
            "seqpulse_worker_connected",
            "1 while this worker has its session on the database, else 0",
            registry=self.registry,
        )
        connected.set_function(lambda: float(self.is_connected))

    def _count_verdicts(self) -> None:
        self.analysis_duration = Histogram(
            "seqpulse_analysis_duration_seconds",
            "Time to load, judge and store a lot of deployments",
            buckets=SHORT,
            registry=self.registry,
        )
        self._verdict_latency = Histogram(
            "seqpulse_verdict_latency_seconds",
            "Time from the settlement of the last post slot to the stored verdict",
            buckets=LONG,
            registry=self.registry,
        )
        self._verdicts = telemetry.preset(
            Counter(
                "seqpulse_verdicts_total",
                "Verdicts that were stored",
                ("verdict", "conclusive"),
                registry=self.registry,
            ),
            Verdict,
            ("true", "false"),
        )
        self._hints = telemetry.preset(
            Counter(
                "seqpulse_hints_total",
                "Hints that were stored with a verdict",
                ("rule",),
                registry=self.registry,
            ),
            [rule.id for rule in CATALOGUE],
        )

    def turn(self, in_hand: int) -> None:
        """Note that the loop is alive, and how many jobs it holds."""
        self._turned_at = time.monotonic()
        self._in_hand.set(in_hand)

    def turn_age_seconds(self) -> float:
        """Return the time since the loop last turned."""
        return time.monotonic() - self._turned_at

    def start(self, jobs: Sequence[Job]) -> None:
        """Count jobs that were claimed."""
        for job in jobs:
            self._start_delay.observe(max(0.0, job.late_seconds))

    def settle(self, settlements: Sequence[Settlement]) -> None:
        """Count claims that were settled, and the slots they filled or missed."""
        ends = Count((job.kind, outcome.status) for job, outcome in settlements)
        for (kind, status), count in ends.items():
            self._attempts.labels(kind if kind in KINDS else OTHER, status).inc(count)
        self._collected.inc(sum(outcome.sample is not None for _, outcome in settlements))
        missed = Count(outcome.missed.code for _, outcome in settlements if outcome.missed)
        for code, count in missed.items():
            self._missed.labels(code).inc(count)

    @contextmanager
    def awaiting_verdict(self, job: Job, deployment_id: UUID) -> Iterator[None]:
        """Keep in mind until the end of the block when the last slot of a deployment settled.

        That moment is when its judge became due.
        """
        self._settled_at[deployment_id] = time.monotonic() - job.late_seconds
        try:
            yield
        finally:
            self._settled_at.pop(deployment_id, None)

    def judge(self, judgement: Judgement, diagnosis: Sequence[Hint]) -> None:
        """Count a verdict that was stored."""
        self._verdicts.labels(judgement.verdict, str(judgement.conclusive).lower()).inc()
        for hint in diagnosis:
            self._hints.labels(hint.rule).inc()
        settled_at = self._settled_at.get(judgement.deployment_id)
        if settled_at is not None:
            self._verdict_latency.observe(time.monotonic() - settled_at)
