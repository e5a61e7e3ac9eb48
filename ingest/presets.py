"""PromQL for instrumentations many services have already; a starting point, not a judgement.

Every expression gives one series without labels. None of them makes a value out of nothing: when
the service is gone from Prometheus its traffic is unknown, not 0.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from core.errors import InvalidInputError
from core.types import Metric

_WINDOW = re.compile(r"[1-9][0-9]{0,4}(ms|s|m|h)")
_SELECT = re.compile(r'[a-zA-Z_][a-zA-Z0-9_]*(=|!=|=~|!~)"[^"\\\n{}]*"')


@dataclass(frozen=True, slots=True)
class Preset:
    """Names of an instrumentation.

    Attributes:
        requests: Counter of requests, one label of which tells how they ended.
        latency: Histogram of durations in seconds.
        failed: Matcher of the requests that count as errors.
    """

    requests: str
    latency: str
    failed: str


PRESETS: Final = {
    # prometheus-fastapi-instrumentator: statuses are grouped ("2xx") unless told otherwise.
    "fastapi": Preset(
        "http_requests_total", "http_request_duration_highr_seconds", 'status=~"5.."'
    ),
    # starlette_exporter
    "starlette": Preset(
        "starlette_requests_total", "starlette_request_duration_seconds", 'status_code=~"5.."'
    ),
    # Go's promhttp with the names of client_golang's own example (examples/middleware), where one
    # histogram answers both questions.
    "http": Preset(
        "http_request_duration_seconds_count", "http_request_duration_seconds", 'code=~"5.."'
    ),
}


def expand(
    preset: str, select: str, *, window: str = "2m", memory_bytes: int, cpus: float = 1.0
) -> dict[str, str]:
    """Return the five expressions of a preset.

    Args:
        preset: One of `PRESETS`.
        select: Matchers of the service's series, like `job="shop",env="prod"`.
        window: PromQL duration the rates are over; at least twice the scrape interval.
        memory_bytes: What one process of the service may use; the share is of this.
        cpus: Processors one process of the service may use; the share is of this.

    Raises:
        InvalidInputError: One of them is not as it must be.
    """
    if preset not in PRESETS:
        raise InvalidInputError(f"preset: {preset!r} is none of {', '.join(PRESETS)}")
    if not _WINDOW.fullmatch(window):
        raise InvalidInputError("window: must be a PromQL duration like 1m or 30s")
    if not all(_SELECT.fullmatch(part) for part in select.split(",")):
        raise InvalidInputError('select: must be matchers like job="shop",env="prod"')
    if memory_bytes <= 0 or not 0 < cpus <= 10_000:
        raise InvalidInputError("memory_bytes, cpus: must be positive")
    names = PRESETS[preset]
    total = f"sum(rate({names.requests}{{{select}}}[{window}]))"
    failed = f"sum(rate({names.requests}{{{select},{names.failed}}}[{window}]))"
    buckets = f"sum by (le) (rate({names.latency}_bucket{{{select}}}[{window}]))"
    busy = f"avg(rate(process_cpu_seconds_total{{{select}}}[{window}]))"
    resident = f"avg(process_resident_memory_bytes{{{select}}})"
    return {
        Metric.REQUESTS_PER_SEC: total,
        Metric.LATENCY_P95: f"1000 * histogram_quantile(0.95, {buckets})",
        # A service that never failed has no series of failures: that is 0 of what it served.
        Metric.ERROR_RATE: f"({failed} or 0 * {total}) / {total}",
        # Rates are extrapolated: a busy process may seem to use a hair more than there is.
        Metric.CPU_USAGE: f"clamp_max({busy} / {cpus:g}, 1)",
        Metric.MEMORY_USAGE: f"{resident} / {memory_bytes}",
    }
