"""All of history judged again: how fast, against judging one by one, and how does it grow?

    python -P tests/benchmarks/replay.py [--quick] [--stages memory,growth,database]

Deployments have 30 samples before and 15 after, five metrics. `memory`: 100,000 in frames, judged
by the default policy in lots, against a loop that does the same with arrays of one deployment at a
time; and the policy `reference-v2` against a loop in plain Python. The loops get their rows cut
and sorted; their verdicts are checked. `growth`: ten times less and ten times more. `database`:
`seqpulse replay` from TimescaleDB, end to end, and its memory.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl

from analytics import policy, profile, windows
from analytics.blocks import SHORTEST_BASELINE, Array, Block
from analytics.fixed import Rules
from analytics.judge import assess
from analytics.policy import Policy
from analytics.reasons import CODES, VERDICTS
from core import logs
from core.database import connect, create_pool
from core.types import METRICS, Metric
from scheduler.replay import CONNECTIONS, replay
from sql import history
from sql.scratch import scratch_database
from tests.benchmarks.load import past
from tests.benchmarks.load.ground import report, server, tell

COUNT: Final = 100_000
LOT: Final = 5_000
ONE_BY_ONE: Final = 400
ROUNDS: Final = 5
DEFAULT: Final = "seqpulse-v1"
BASELINE_SECONDS: Final = 1800.0

Lot = tuple[pl.DataFrame, pl.DataFrame]


@dataclass(frozen=True)
class Rows:
    """Samples of one deployment, cut and sorted: arrays of shape (5, n) and ages in seconds."""

    before: Array
    ages: Array
    after: Array
    finished_seconds: float


def judge_lots(lots: Iterable[Lot], rule: Policy[Any]) -> tuple[float, list[str]]:
    """Return the seconds it took, without the making of the lots, and the verdicts."""
    took = 0.0
    verdicts: list[str] = []
    for lot in lots:
        began = time.perf_counter()
        flat = assess(windows.split(*lot), rule).verdicts
        took += time.perf_counter() - began
        verdicts.extend(flat["verdict"])
    return took, verdicts


def cut(lot: Lot, count: int) -> list[Rows]:
    """Return the rows of the first deployments of a lot."""
    deployments, samples = lot
    found = []
    for row in deployments.head(count).iter_rows(named=True):
        mine = samples.filter(pl.col("deployment_id") == row["deployment_id"]).sort("slot_at")
        early = mine.filter(pl.col("phase").is_null())
        ages = (row["triggered_at"] - early["slot_at"]).dt.total_microseconds().to_numpy() / 1e6
        before, after = (
            np.ascontiguousarray(part.select(METRICS).to_numpy().T)
            for part in (early, mine.filter(pl.col("phase") == "post"))
        )
        found.append(Rows(before, ages, after, row["finished_at"].timestamp()))
    return found


def clean(values: Array) -> Array:
    """Leave out what is impossible, and what a slot without traffic cannot have."""
    values = np.where((values >= 0) & (values < np.inf), values, np.nan)
    idle = values[0] == 0
    values[1:3, idle] = np.nan
    return values


def judge_default(rows: Rows) -> str:
    """Judge one deployment by the default policy, with numpy."""
    rule = policy.find(DEFAULT)
    before = np.full((5, 1, SHORTEST_BASELINE), np.nan)
    ages = np.full((1, SHORTEST_BASELINE), np.nan)
    n = rows.before.shape[1]
    before[:, 0, -n:], ages[0, -n:] = clean(rows.before), rows.ages
    after = clean(rows.after)[:, None, :]
    block = Block(
        rows=np.zeros(1, dtype=np.int64),
        before=before,
        age_seconds=ages,
        after=after,
        source_seconds=np.full(after.shape[1:], np.nan),
        slot_seconds=np.array([60.0]),
        finished_seconds=np.array([rows.finished_seconds]),
        continuous=np.array([True]),
    )
    with np.errstate(all="ignore"):
        comparison = rule.compare(block, profile.stack({}, [""]))
        decision = rule.decide(block, comparison)
    return VERDICTS[CODES[decision.reason[0]]]


def judge_reference(rows: Rows) -> str:
    """Judge one deployment by `reference-v2`, in plain Python; every slot is there."""
    rules: Rules = policy.find("reference-v2").rules
    before, after = clean(rows.before).tolist(), clean(rows.after).tolist()
    failed = set()
    for metric, early, late in zip(Metric, before, after, strict=True):
        late = [value for value in late if value == value]
        if metric is Metric.REQUESTS_PER_SEC:
            usual = sum(early) / len(early)
            floor = (1 - rules.traffic_drop_ratio) * usual * (1 - 1e-9)
            beyond = sum(value < floor for value in late) if usual >= rules.traffic_min_rps else 0
        else:
            threshold = rules.secured_threshold(metric)
            beyond = sum(value > threshold for value in late)
        if beyond / len(late) > rules.tolerances[metric]:
            failed.add(metric)
    if failed & rules.severe:
        return "rollback_recommended"
    return "warning" if failed else "ok"


def compare_speed(
    lots: Sequence[Lot], rule: Policy[Any], one: Callable[[Rows], str], rounds: int
) -> tuple[dict[str, float], bool]:
    """Return medians in deployments per second, their ratio, and whether the verdicts agree."""
    rows = cut(lots[0], ONE_BY_ONE)
    count = sum(lot[0].height for lot in lots)
    together, alone, agree = [], [], True
    for _ in range(rounds):
        began = time.perf_counter()
        singly = [one(each) for each in rows]
        alone.append(len(rows) / (time.perf_counter() - began))
        took, verdicts = judge_lots(lots, rule)
        together.append(count / took)
        agree &= verdicts[: len(rows)] == singly
    ratio = statistics.median(a / b for a, b in zip(together, alone, strict=True))
    figures = {"per_s": statistics.median(together), "one_by_one_per_s": statistics.median(alone)}
    return {
        **{name: round(value) for name, value in figures.items()},
        "ratio": round(ratio, 1),
    }, agree


def measure_memory(count: int, rounds: int) -> tuple[dict[str, Any], dict[str, bool]]:
    """Judge what is in memory."""
    lots = [past.make_frames(LOT, seed) for seed in range(count // LOT)]
    default, agree = compare_speed(lots, policy.find(DEFAULT), judge_default, rounds)
    tell(f"replay: {DEFAULT} in memory {default}")
    reference, also = compare_speed(lots, policy.find("reference-v2"), judge_reference, rounds)
    tell(f"replay: reference-v2 in memory {reference}")
    holds = {"ratio_25": default["ratio"] >= 25, "verdicts_agree": agree and also}
    return {DEFAULT: default, "reference-v2": reference}, holds


def measure_growth(counts: Sequence[int]) -> tuple[dict[str, Any], dict[str, bool]]:
    """Judge ever more; lots are made as they are needed."""
    seconds = {}
    for count in counts:
        lots = (past.make_frames(LOT, seed) for seed in range(count // LOT))
        seconds[count] = judge_lots(lots, policy.find(DEFAULT))[0]
        tell(f"replay: {count} deployments in {seconds[count]:.1f} s")
    each = [took / count for count, took in seconds.items()]
    figures = {"seconds": {str(count): round(took, 2) for count, took in seconds.items()}}
    return figures, {"growth_linear": max(each) / min(each) < 1.25}


async def measure_database(url: str, count: int, rounds: int) -> dict[str, Any]:
    """Replay from a database: deployments per second, and the most memory this process had."""
    async with scratch_database(url, prefix="replay") as database:
        conn = await connect(database, command_timeout=600)
        tell(f"replay: writing {count} deployments")
        await past.fill(conn, count)
        await conn.close()
        pool = await create_pool(database, CONNECTIONS)
        speeds = []
        for _ in range(rounds):
            began, seen = time.perf_counter(), 0
            lots = replay(pool, policy.find(DEFAULT), history.Selection(), BASELINE_SECONDS)
            async for lot in lots:
                seen += lot.height
            assert seen == count
            speeds.append(count / (time.perf_counter() - began))
            tell(f"replay: {speeds[-1]:.0f} deployments/s from the database")
        await pool.close()
    return {"per_s": round(statistics.median(speeds)), "deployments": count}


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description="all of history judged again")
    parser.add_argument("--quick", action="store_true", help="a tenth of the deployments")
    parser.add_argument("--stages", default="database,memory,growth")
    options = parser.parse_args()
    logs.configure("error")
    count, rounds = (COUNT // 10, 2) if options.quick else (COUNT, ROUNDS)
    figures: dict[str, Any] = {"benchmark": "replay", "policy": DEFAULT}
    holds: dict[str, bool] = {}
    stages = options.stages.split(",")
    if "database" in stages:
        with server() as url:
            figures["database"] = asyncio.run(measure_database(url, count, rounds))
        holds["database_20000_per_s"] = figures["database"]["per_s"] >= 20_000
    if "memory" in stages:
        figures["in_memory"], held = measure_memory(count, rounds)
        holds |= held
    if "growth" in stages:
        figures["growth"], held = measure_growth([count // 10, count, 10 * count])
        holds |= held
    figures["memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    holds["memory_2_gb"] = figures["memory_mb"] < 2_000
    report(figures, holds)


if __name__ == "__main__":
    main()
