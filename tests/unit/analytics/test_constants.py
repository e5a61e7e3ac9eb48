"""The table of constants in docs/method.md is what the code has."""

from __future__ import annotations

from pathlib import Path

import pytest

from analytics import (
    counts,
    evidence,
    failures,
    gauges,
    levels,
    patterns,
    profile,
    quality,
    relative,
    scatter,
)
from analytics.policy import SEQPULSE_V1
from core.types import Metric

RULES = SEQPULSE_V1.rules
ROWS = {
    "baseline": (f"{profile.BASELINE_SLOTS} slots",),
    "trim of the midmean": (f"1/{1 / levels.TRIM:g}",),
    "settled after": (f"{levels.SETTLE_SLOTS} slots",),
    "long window, tail": (f"{levels.LONG_SLOTS}, {levels.TAIL_SLOTS} slots",),
    "load elasticity, limit": (f"{levels.LOAD_ELASTICITY:g}, 4x",),
    "wander": (
        f"traffic {scatter.WANDER[0, 0]:g}",
        f"latency {scatter.WANDER[1, 0]:g}",
        f"CPU {scatter.WANDER[2, 0]:g}",
        f"memory {scatter.WANDER[3, 0]:g}",
    ),
    "weight of the guess": (f"{scatter.PRIOR_WINDOWS:g} windows",),
    "one window of history": (f"{scatter.WINDOW_SLOTS:g} slots",),
    "least scale": (f"{scatter.LEAST_SCALE:g}",),
    "within a tenth": (f"{gauges.TOLERANCE:g}",),
    "time of day": (f"{profile.HABIT_DAYS} days", f"{100 * profile.HABIT_QUANTILE:g} %"),
    "false discovery rate": (f"{RULES.false_discovery_rate:g}",),
    "bad slots": (f"more than {RULES.bad_share:g}",),
    "end of the window": (f"{RULES.end_share:g} of critical",),
    "before the trigger": (f"last {gauges.RECENT_SLOTS}, {gauges.RECENT_SHARE:g} of critical",),
    "far off": (f"{gauges.FAR_SIGMAS:g} standard",),
    "rest between bad minutes": (f"1/{1 / gauges.REST_SHARE:g} of",),
    "more of them than before": (f"{gauges.RECUR_P:g}",),
    "a handful of failures": (f"{counts.HANDFUL:g} in",),
    "limit of the end": (f"95 %, {failures.LIMIT_SIGMAS:.3f} sigmas",),
    "drift without history": (f"{gauges.DRIFT:g}",),
    "critical": (f"{gauges.CRITICAL_SIGMAS:g} scale",),
    "history's weight for errors": (f"{failures.HISTORY_WEIGHT:g} times",),
    "rollback: errors": (f"{100 * RULES.severe_errors:g} points",),
    "rollback: traffic": (f"{100 * RULES.severe_traffic:g} %",),
    "rollback: expected requests": (f"{RULES.severe_requests:g}",),
    "rollback together": (
        f"{100 * RULES.joint_errors:g} point with {100 * RULES.joint_latency:g} %",
    ),
    "coverage": (f"half, {RULES.min_values} samples",),
    "requests for an `ok`": (f"{RULES.min_requests:g}",),
    "harm rate": (f"{relative.HARM_RATE:g}",),
}
TEXT = (Path(__file__).parents[3] / "docs" / "method.md").read_text()
TABLE = TEXT.split("## Every constant and its reason")[1].split("## A worked example")[0]


@pytest.mark.parametrize("name", ROWS)
def test_a_row_of_the_table_is_true(name: str) -> None:
    (row,) = (line for line in TABLE.splitlines() if line.startswith(f"| {name} |"))
    value = row.split("|")[2]
    assert not [part for part in ROWS[name] if part not in value]


@pytest.mark.parametrize(
    ("metric", "row"),
    [
        (Metric.REQUESTS_PER_SEC, "| traffic matters from | 20 % and 10 requests |"),
        (Metric.LATENCY_P95, "| latency | 15 % and 2 ms |"),
        (Metric.ERROR_RATE, "| errors | 0.4 points, twice, 3 failures |"),
        (Metric.CPU_USAGE, "| CPU | 12 % and 4 points |"),
        (Metric.MEMORY_USAGE, "| memory | 8 % and 4 points |"),
    ],
)
def test_what_matters_is_in_the_table(metric: Metric, row: str) -> None:
    least = RULES.minima[metric]
    share, amount = 100 * least.share, least.amount
    if metric in (Metric.CPU_USAGE, Metric.MEMORY_USAGE):
        amount *= 100
    assert row in TABLE
    assert f"{share:g} " in row
    assert f"{amount:g} " in row


def test_constants_named_in_the_text() -> None:
    assert (levels.LONG_SLOTS, failures.OVER_SLOTS, levels.END_SLOTS) == (10, 7, 2)
    assert (failures.LEAST_RATIO, failures.LEAST_RATIO_WITHOUT_WORST) == (2.0, 1.8)
    assert (failures.SURE, failures.LIKELY, failures.LEAST_BAD_SLOTS) == (0.05, 0.1, 2)
    assert (scatter.INFLATION, scatter.MAD_SIGMA, gauges.HABIT_P) == (1.15, 1.4826, 0.05)
    assert (patterns.TREND_P, patterns.TURNS) == (0.01, 4)
    assert (quality.SOLID_BASELINE, quality.SKEW_RATIO, quality.STUCK_SHARE) == (15, 0.9, 0.5)
    assert (profile.GAP_SLOTS, profile.SHORT_SLOTS, profile.LONG_SLOTS) == (3, 5, 15)
    assert (gauges.LEAST_VALUES, quality.STAMPS) == (3, 3)
    assert evidence.TESTS == ("shift", "failures")
    assert RULES.joint_traffic == RULES.joint_latency
    assert (RULES.breaches[Metric.LATENCY_P95], RULES.breaches[Metric.ERROR_RATE]) == (300, 0.01)
    assert RULES.breaches[Metric.CPU_USAGE] == RULES.breaches[Metric.MEMORY_USAGE] == 0.8
    assert RULES.min_coverage_ratio == 0.5
