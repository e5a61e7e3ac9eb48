"""Figures of all rounds -> medians, a table, and whether the promised bounds hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median

from tests.benchmarks.race.contenders import SEQPULSE
from tests.benchmarks.race.stages import Figures

PROCRASTINATE = "procrastinate"
HIGHER_WINS = (
    "enqueue_one_per_s",
    "enqueue_ten_per_s",
    "enqueue_batched_per_s",
    "drain_1_per_s",
    "drain_2_per_s",
    "among_future_per_s",
    "pinned_per_s",
)
LOWER_WINS = ("latency_p50_ms", "latency_p99_ms", "recovery_s")
TIE = 1.05
"""A peer that is less than this factor ahead has not won: runs differ by more."""
DRAINS = ("drain_1_per_s", "drain_2_per_s")


@dataclass
class Results:
    """Every figure of every contender, by contender and name."""

    figures: dict[str, Figures] = field(default_factory=dict)

    def add(self, contender: str, figures: Figures) -> None:
        """Put the figures of one round to the others."""
        mine = self.figures.setdefault(contender, {})
        for name, values in figures.items():
            mine.setdefault(name, []).extend(values)

    def medians(self) -> dict[str, dict[str, float]]:
        """Return the median of every figure, by contender and name."""
        return {
            contender: {name: round(median(values), 2) for name, values in figures.items()}
            for contender, figures in self.figures.items()
        }

    def ours(self, name: str) -> float | None:
        """Return our median of a figure, None if it was not measured."""
        return self.medians().get(SEQPULSE.name, {}).get(name)

    def best_peer(self, name: str, best: Callable[[list[float]], float]) -> float | None:
        """Return the best median of the peers, None if none was measured."""
        values = [
            figures[name]
            for contender, figures in self.medians().items()
            if contender != SEQPULSE.name and name in figures
        ]
        return best(values) if values else None

    def ratio(self, name: str, peer: float | None) -> float | None:
        """Return how many times our median is the peer's."""
        ours = self.ours(name)
        return None if ours is None or not peer else round(ours / peer, 2)


def ratios(results: Results) -> dict[str, float]:
    """Return our medians as multiples of the peers', the worst drain counting for both."""
    procrastinate = results.medians().get(PROCRASTINATE, {})
    best_peer = [results.ratio(name, results.best_peer(name, max)) for name in DRAINS]
    slowest = [results.ratio(name, procrastinate.get(name)) for name in DRAINS]
    among = results.ratio("among_future_per_s", results.best_peer("among_future_per_s", max))
    found = {
        "drain_ratio_best_peer": _smallest(best_peer),
        "drain_ratio_procrastinate": _smallest(slowest),
        "among_future_ratio": among,
    }
    return {name: value for name, value in found.items() if value is not None}


def compare(results: Results, tie: float = TIE) -> dict[str, bool]:
    """Return for every figure that we and a peer have whether it is ahead by more than a tie."""
    pairs = {name: (results.best_peer(name, max), results.ours(name)) for name in HIGHER_WINS}
    pairs |= {name: (results.ours(name), results.best_peer(name, min)) for name in LOWER_WINS}
    return {
        name: larger > tie * smaller
        for name, (larger, smaller) in pairs.items()
        if larger is not None and smaller is not None
    }


def recovery_p99(results: Results) -> float | None:
    """Return the 99th percentile over our kills, by nearest rank."""
    kills = sorted(results.figures.get(SEQPULSE.name, {}).get("recovery_s", ()))
    return kills[math.ceil(0.99 * len(kills)) - 1] if kills else None


def judge(results: Results) -> dict[str, bool]:
    """Return whether each promised bound holds; one that was not measured is left out."""
    bounds: dict[str, tuple[float | None, Callable[[float], bool]]] = {
        "latency_p50_ms": (results.ours("latency_p50_ms"), lambda value: value <= 5),
        "latency_p99_ms": (results.ours("latency_p99_ms"), lambda value: value <= 40),
        "recovery_p99_s": (recovery_p99(results), lambda value: value < 1),
        "idle_queries_per_s": (results.ours("idle_transactions_per_s"), lambda value: value < 1),
        "idle_cpu_percent": (results.ours("idle_cpu_percent"), lambda value: value < 1),
    }
    for name, value in ratios(results).items():
        least = 20 if name == "drain_ratio_procrastinate" else 2
        bounds[name] = (value, lambda value, least=least: value >= least)  # type: ignore[misc]
    holds = {name: fits(value) for name, (value, fits) in bounds.items() if value is not None}
    ahead = compare(results)
    if ahead:
        holds["no_stage_lost"] = not any(ahead.values())
    # Here a tie is not enough: the promise is to be better.
    latencies = [
        lost for name, lost in compare(results, tie=1.0).items() if name.startswith("latency")
    ]
    if latencies:
        holds["latency_better_than_peers"] = not any(latencies)
    return holds


def report(results: Results, **about: object) -> dict[str, object]:
    """Return everything as one JSON object."""
    return {
        **about,
        "medians": results.medians(),
        "ratios": ratios(results),
        "recovery_p99_s": recovery_p99(results),
        "lost": [name for name, lost in compare(results).items() if lost],
        "holds": judge(results),
    }


def table(medians: Mapping[str, Mapping[str, float]]) -> str:
    """Lay the medians out, one figure a line, one contender a column."""
    names = list(dict.fromkeys(name for figures in medians.values() for name in figures))
    lines = [f"{'':26}" + "".join(f"{contender:>15}" for contender in medians)]
    for name in names:
        cells = (figures.get(name) for figures in medians.values())
        lines.append(f"{name:26}" + "".join(f"{_number(cell):>15}" for cell in cells))
    return "\n".join(lines)


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 1000 else f"{value:,.2f}"


def _smallest(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return min(known) if known else None
