"""How often is the judge right? Judges a folder of labelled deployments and scores the verdicts.

    .venv/bin/python -P tests/benchmarks/accuracy.py --data DIR [--policy NAME] [--no-history]
        [--out RESULTS.parquet]

DIR holds corpus.parquet, base_series.parquet, labels.parquet and score.py. Of the labels only
service_id, t0, pre_start_ts and post_n are read. Without --data it says so and does nothing.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from types import ModuleType
from typing import Any, Final
from uuid import UUID

import polars as pl

from analytics import windows
from analytics.judge import assess
from analytics.policy import find
from analytics.profile import ServiceProfile, build_profile
from core.types import METRICS

SLOT: Final = 60
BASELINE: Final = 1800
WEEK: Final = 7 * 86_400

FLOOR: Final = {
    "false_alarm": 0.02, "false_alarm_of_a_class": 0.05, "false_rollback": 0.004,
    "warn_recall_named": 0.90, "warn_recall_named_short": 0.86, "rollback_recall": 0.97,
    "rollback_precision": 0.95, "composite_recall": 0.93, "latency_50_recall": 0.75,
    "damaged_data_warns": 1.0, "attribution_hit": 0.99, "extra_metrics_per_alarm": 0.03,
    "calibration_error": 0.05,
}  # fmt: skip
AIM: Final = FLOOR | {
    "false_alarm": 0.015, "false_alarm_of_a_class": 0.03, "false_rollback": 0.002,
    "warn_recall_named": 0.93, "warn_recall_named_short": 0.90, "rollback_recall": 0.985,
    "rollback_precision": 0.97, "composite_recall": 0.97, "latency_50_recall": 0.90,
}  # fmt: skip
WITHOUT_HISTORY: Final = {"floor": {"false_alarm": 0.04}, "aim": {"false_alarm": 0.03}}
AT_MOST: Final = frozenset(
    {
        "false_alarm",
        "false_alarm_of_a_class",
        "false_rollback",
        "extra_metrics_per_alarm",
        "calibration_error",
    }
)


def main() -> None:
    """Judge, score, print the tables and one JSON line."""
    options = _parse()
    if options.data is None:
        print(json.dumps({"benchmark": "accuracy", "skipped": "no --data"}))  # noqa: T201
        return
    started = perf_counter()
    results = judge_folder(options.data, options.policy, with_history=not options.no_history)
    seconds = perf_counter() - started
    with tempfile.TemporaryDirectory() as scratch:
        out = options.out or Path(scratch) / "results.parquet"
        results.write_parquet(out)
    score = _load_score(options.data)
    scores = score.score(results)
    print(score.table(scores))  # noqa: T201
    figures = _figures(scores, results, options.data)
    bounds = WITHOUT_HISTORY if options.no_history else {"floor": FLOOR, "aim": AIM}
    report = {
        "benchmark": "accuracy",
        "policy": options.policy,
        "history": not options.no_history,
        "cases": results.height,
        "seconds": round(seconds, 1),
        **figures,
        "holds": {
            name: {key: _holds(key, figures[key], bound) for key, bound in limits.items()}
            for name, limits in bounds.items()
        },
    }
    print(json.dumps(report))  # noqa: T201


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--policy", default="seqpulse-v1")
    parser.add_argument("--no-history", action="store_true")
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


def judge_folder(folder: Path, policy: str, *, with_history: bool) -> pl.DataFrame:
    """Return case_id, verdict, failed (metric names) and confidence of every case in `folder`."""
    cases = (
        pl.read_parquet(
            folder / "labels.parquet",
            columns=["case_id", "service_id", "t0", "pre_start_ts", "post_n"],
        )
        .with_row_index("number")
        .with_columns(deployment_id=pl.col("number").map_elements(_identify, pl.String))
    )
    corpus = pl.read_parquet(folder / "corpus.parquet").join(cases, on="case_id")
    series = pl.read_parquet(folder / "base_series.parquet") if with_history else None
    plan = _plan(cases, corpus)
    samples = _samples(corpus, plan, series)
    profiles = {} if series is None else _profiles(plan, series)
    judged = assess(windows.split(plan, samples), find(policy), profiles).verdicts
    return (
        cases.select("case_id", "deployment_id")
        .join(judged, on="deployment_id")
        .select("case_id", "verdict", pl.col("failed_metrics").alias("failed"), "confidence")
        .sort("case_id")
    )


def _identify(number: int) -> str:
    return str(UUID(int=number))


def _at(seconds: pl.Expr) -> pl.Expr:
    return pl.from_epoch((seconds * 1_000_000).round().cast(pl.Int64), "us").dt.replace_time_zone(
        "UTC"
    )


def _plan(cases: pl.DataFrame, corpus: pl.DataFrame) -> pl.DataFrame:
    """The deployments: triggered one slot after the last `pre` sample, finished at t0."""
    last = (
        corpus.filter(pl.col("phase") == "pre")
        .group_by("deployment_id")
        .agg(last=pl.col("t0").first() + pl.col("t_offset_s").cast(pl.Float64).max())
    )
    triggered = pl.min_horizontal(pl.col("last").fill_null(pl.col("pre_start_ts")) + SLOT, "t0")
    return cases.join(last, on="deployment_id", how="left", maintain_order="left").select(
        "deployment_id",
        "service_id",
        _at(triggered.cast(pl.Float64)).alias("triggered_at"),
        _at(pl.col("t0").cast(pl.Float64)).alias("finished_at"),
        pl.col("post_n").cast(pl.Int16).alias("post_slots"),
        pl.lit(float(SLOT)).alias("slot_seconds"),
        "pre_start_ts",
    )


def _samples(corpus: pl.DataFrame, plan: pl.DataFrame, series: pl.DataFrame | None) -> pl.DataFrame:
    """The samples of every deployment; `pre` ones and history both as continuous ones."""
    moment = pl.col("t0") + pl.col("t_offset_s").cast(pl.Float64)
    source = pl.col("t0") + pl.col("src_offset_s").cast(pl.Float64)
    post = pl.col("phase") == "post"
    own = corpus.select(
        "deployment_id",
        _at(moment).alias("slot_at"),
        pl.when(post).then(pl.lit("post")).alias("phase"),
        pl.when(post)
        .then((pl.col("t_offset_s") / SLOT).round() - 1)
        .cast(pl.Int16)
        .alias("sequence_index"),
        *(pl.col(name).cast(pl.Float64) for name in METRICS),
        _at(source).alias("source_at"),
    )
    if series is None:
        return own
    around = plan.select(
        "deployment_id",
        "service_id",
        "pre_start_ts",
        (pl.col("triggered_at").dt.epoch("s")).alias("end"),
    )
    before = (
        series.join(around, on="service_id")
        .filter(pl.col("ts") < pl.col("pre_start_ts"), pl.col("ts") >= pl.col("end") - BASELINE)
        .select(
            "deployment_id",
            _at(pl.col("ts").cast(pl.Float64)).alias("slot_at"),
            pl.lit(None, pl.String).alias("phase"),
            pl.lit(None, pl.Int16).alias("sequence_index"),
            *(pl.col(name).cast(pl.Float64) for name in METRICS),
            pl.lit(None, windows.MOMENT).alias("source_at"),
        )
    )
    return pl.concat([own, before])


def _profiles(plan: pl.DataFrame, series: pl.DataFrame) -> dict[str, ServiceProfile]:
    """The profile of every deployment's service as it was when the `pre` window began."""
    moments = series.with_columns(slot_at=_at(pl.col("ts").cast(pl.Float64)))
    by_service = {key[0]: part for key, part in moments.group_by("service_id")}
    profiles = {}
    for identity, service, start in plan.select(
        "deployment_id", "service_id", "pre_start_ts"
    ).iter_rows():
        history = by_service.get(service)
        if history is None:
            continue
        until = datetime.fromtimestamp(start, UTC)
        week = history.filter(pl.col("ts") >= start - WEEK, pl.col("ts") < start)
        made = build_profile(week.with_columns(pl.col(*METRICS).cast(pl.Float64)), until)
        if made is not None:
            profiles[identity] = made
    return profiles


def _load_score(folder: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("score", folder / "score.py")
    if spec is None or spec.loader is None:
        sys.exit(f"no score.py in {folder}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _figures(scores: dict[str, Any], results: pl.DataFrame, folder: Path) -> dict[str, Any]:
    classes = scores["false_alarm_by_class"].values()
    regressions = scores["recall_by_regression"]
    composites = [item for name, item in regressions.items() if name.startswith("composite err")]
    latency = regressions.get("latency +50%")
    return {
        **{
            name: scores[name] and scores[name]["rate"]
            for name in (
                "false_alarm",
                "false_rollback",
                "warn_recall_named",
                "rollback_recall",
                "rollback_precision",
                "damaged_data_warns",
                "attribution_hit",
            )
        },
        "false_alarm_of_a_class": max((item["rate"] for item in classes), default=None),
        "warn_recall_named_short": _short_recall(results, folder),
        "composite_recall": _weighted(composites),
        "latency_50_recall": latency and latency["alarm"],
        "extra_metrics_per_alarm": scores["extra_metrics_per_alarm"],
        "calibration_error": scores["calibration_error"],
    }


def _weighted(items: list[dict[str, Any]]) -> float | None:
    n = sum(item["n"] for item in items)
    return sum(item["alarm"] * item["n"] for item in items) / n if n else None


def _short_recall(results: pl.DataFrame, folder: Path) -> float | None:
    """Named recall on the short windows; scored like score.py does, after all is judged."""
    labels = pl.read_parquet(folder / "labels.parquet").filter(
        pl.col("post_n") < 10, pl.col("expected") == "must_warn_or_worse"
    )
    both = labels.join(results, on="case_id")
    named = pl.col("affected").str.split(",").list.set_intersection("failed").list.len() > 0
    hit = both.select((named & (pl.col("verdict") != "ok")).mean()).item()
    return None if hit is None else float(hit)


def _holds(name: str, figure: float | None, bound: float) -> bool:
    if figure is None:
        return False
    return figure <= bound if name in AT_MOST else figure >= bound


if __name__ == "__main__":
    main()
