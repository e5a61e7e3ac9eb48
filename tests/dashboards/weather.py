"""Days of an installation as Prometheus sees them, written for `promtool test rules`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

STEP_SECONDS: Final = 30
MINUTE: Final = 60 // STEP_SECONDS
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

Course = Callable[[int], float | None]
"""The value of a gauge, or the growth of a counter, at a step; None: nothing was scraped."""


def gone(_step: int) -> None:
    """Nothing was scraped."""


def always(value: float) -> Course:
    return lambda _: value


def spikes(value: float, high: float, every: int) -> Course:
    """A value that is `high` for one step in so many."""
    return lambda step: high if step % every == every // 2 else value


NEW: Final = 'job="seqpulse-api", instance="new:8080"'
API: Final = 'job="seqpulse-api", instance="api:8080"'
WORKERS: Final = tuple(f'job="seqpulse-worker", instance="worker-{n}:9090"' for n in (1, 2))
EVERYBODY: Final = (API, *WORKERS)
PROBLEMS: Final = {
    "writable": "failing",
    "database": "degraded",
    "schema": "failing",
    "timescaledb": "degraded",
    "policies": "degraded",
}


def _of_the_api() -> dict[str, Course]:
    requests = "seqpulse_http_requests_total"
    found = {
        f'seqpulse_build_info{{{API}, process="api", version="1"}}': always(1),
        f'seqpulse_build_info{{{NEW}, process="api", version="2"}}': gone,
        f'seqpulse_check_status{{{API}, check="heartbeat", status="ok"}}': always(1),
        f"seqpulse_database_up{{{API}}}": always(1),
        f'seqpulse_jobs{{{API}, state="due"}}': spikes(1, 300, HOUR // 2),
        f"seqpulse_jobs_overdue{{{API}}}": spikes(0, 5, HOUR),
        f"seqpulse_jobs_stuck{{{API}}}": spikes(0, 1, HOUR),
        f"seqpulse_workers{{{API}}}": always(2),
        f'{requests}{{{API}, method="GET", route="/sdh", status="2xx"}}': always(30),
        f'{requests}{{{API}, method="GET", route="/sdh", status="5xx"}}': spikes(0, 5, HOUR),
        f'{requests}{{{API}, method="GET", route="/health", status="5xx"}}': always(10),
    }
    for check, status in PROBLEMS.items():
        found[f'seqpulse_check_status{{{API}, check="{check}", status="{status}"}}'] = always(0)
    return found


def _of_a_worker(who: str) -> dict[str, Course]:
    latency = "seqpulse_verdict_latency_seconds"
    failed = f'{{{who}, kind="judge", outcome="failed"}}'
    return {
        f'seqpulse_build_info{{{who}, process="worker", version="1"}}': always(1),
        f"seqpulse_metrics_collected_total{{{who}}}": always(50),
        f'seqpulse_slots_missed_total{{{who}, code="timeout"}}': spikes(0, 20, HOUR // 2),
        f"{latency}_count{{{who}}}": always(1),
        f'{latency}_bucket{{{who}, le="2.0"}}': spikes(1, 0, 5 * HOUR),
        f"seqpulse_job_attempts_total{failed}": spikes(0, 1, 10 * HOUR),
        f"seqpulse_upkeep_failed_total{{{who}}}": spikes(0, 1, 2 * HOUR),
        f"seqpulse_readers_ended_total{{{who}}}": spikes(0, 1, 2 * HOUR),
        f"seqpulse_worker_turn_age_seconds{{{who}}}": always(3),
        f"seqpulse_worker_connected{{{who}}}": always(1),
    }


def normal() -> dict[str, Course]:
    """A good day with its small troubles: bursts, single misses, a late verdict now and then."""
    found = _of_the_api()
    for who in WORKERS:
        found |= _of_a_worker(who)
    for who in EVERYBODY:
        found[f"up{{{who}}}"] = always(1)
        found[f"process_start_time_seconds{{{who}}}"] = always(1_700_000_000)
        found[f"seqpulse_pool_in_use{{{who}}}"] = spikes(2, 10, HOUR // 4)
        found[f"seqpulse_pool_max_size{{{who}}}"] = always(10)
    return found


def is_counter(series: str) -> bool:
    return series.partition("{")[0].endswith(("_total", "_count", "_bucket"))


@dataclass(frozen=True)
class Story:
    """A normal time, and then something happens.

    Attributes:
        fault: Courses of the series that differ, from the moment on; their names are found by
            what they contain. Steps count from that moment.
        begins: When it happens.
        lasts: For how long.
        resets: Steps at which all counters begin anew.
        counts: Whether there are counters.
    """

    fault: Mapping[str, Course] = field(default_factory=dict)
    begins: int = 2 * HOUR
    lasts: int = 0
    resets: Sequence[int] = ()
    counts: bool = True

    def tell(self, until: int) -> list[dict[str, str]]:
        """Return all series up to a step, as promtool reads them."""
        usual = normal()
        unknown = [part for part in self.fault if not any(part in series for series in usual)]
        assert not unknown, unknown
        return [
            {"series": series, "values": self._values(series, course, until)}
            for series, course in usual.items()
            if self.counts or not is_counter(series)
        ]

    def _values(self, series: str, usual: Course, until: int) -> str:
        fault = next((course for part, course in self.fault.items() if part in series), None)
        found, total = [], 0.0
        for step in range(until + 1):
            since = step - self.begins
            value = fault(since) if fault and 0 <= since < self.lasts else usual(step)
            if is_counter(series):
                total = 0.0 if step in self.resets else total + (value or 0.0)
                value = None if value is None else total
            found.append("_" if value is None else f"{value:g}" if value < 1e6 else f"{value:.0f}")
        return " ".join(found)

    def check(self, at: int, *expected: tuple[str, str]) -> dict[str, Any]:
        """Return a test of promtool: exactly these alerts (name, severity) fire at a step."""
        firing = 'count by (alertname, severity) (ALERTS{alertstate="firing"})'
        return self._test(at, firing, expected)

    def check_silence(self, until: int) -> dict[str, Any]:
        """Return a test of promtool: nothing fires at any step up to that one."""
        span = f"{until * STEP_SECONDS}s"
        fired = f'max_over_time(ALERTS{{alertstate="firing"}}[{span}])'
        firing = f"count by (alertname, severity) ({fired})"
        return self._test(until, firing, ())

    def _test(self, at: int, expr: str, expected: Sequence[tuple[str, str]]) -> dict[str, Any]:
        samples = [
            {"labels": f'{{alertname="{name}", severity="{severity}"}}', "value": 1}
            for name, severity in expected
        ]
        question = {"expr": f"{expr} > bool 0", "eval_time": f"{at * STEP_SECONDS}s"}
        return {
            "interval": f"{STEP_SECONDS}s",
            "input_series": self.tell(at),
            "promql_expr_test": [{**question, "exp_samples": samples}],
        }
