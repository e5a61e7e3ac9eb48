"""docs/metrics.md and the code tell the same, and every label is a closed set."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric

from analytics.catalogue import CATALOGUE
from api.app import create_app
from api.checks import NAMES, Facts, judge
from api.lookout import View
from api.metrics import Installation
from api.metrics import Telemetry as ApiTelemetry
from core import settings, telemetry
from core.types import CollectCode, Verdict
from scheduler.jobs import JobKind, Status
from scheduler.telemetry import OTHER
from scheduler.telemetry import Telemetry as WorkerTelemetry
from sql.health import Collection, Queue, Workers

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| ([^|]*)\|", re.MULTILINE)
FACTS = Facts(
    latency_seconds=0.001,
    queue=Queue(1, 2, 3, 0, 0.0, 0),
    workers=Workers(1, 0.1),
    collection=Collection(10, 1),
)


def told(registry: CollectorRegistry) -> list[Metric]:
    return [each for each in registry.collect() if not each.name.startswith("process_")]


def shape(metric: Metric) -> tuple[str, str, str]:
    name = f"{metric.name}_total" if metric.type == "counter" else metric.name
    labels = {label for sample in metric.samples for label in sample.labels} - {"le"}
    return name, metric.type, ", ".join(sorted(labels))


@pytest.fixture
def everything() -> list[Metric]:
    """What an API process and a worker tell."""
    api, worker = ApiTelemetry(), WorkerTelemetry()
    api.expect([("/livez", ["GET"])])
    view = View(datetime.now(UTC), FACTS, judge(FACTS), {})
    api.registry.register(Installation(cast("Any", SimpleNamespace(view=view))))
    pool = SimpleNamespace(get_size=int, get_idle_size=int, get_max_size=int)
    telemetry.watch_pool(worker.registry, cast("Any", pool))
    return [*told(api.registry), *told(worker.registry)]


def test_every_metric_is_documented_and_no_other(everything: list[Metric]) -> None:
    rows = ROW.findall(PAGE.read_text())
    documented = {
        (name, kind, ", ".join(sorted(re.findall(r"`(\w+)`", labels))))
        for name, kind, labels in rows
    }
    assert documented == {shape(metric) for metric in everything}
    assert len(rows) == len(documented)  # none twice


def test_units_are_base_units(everything: list[Metric]) -> None:
    names = [metric.name for metric in everything]
    assert not [name for name in names if re.search(r"_(ms|milliseconds|minutes|percent)$", name)]
    assert all(name.startswith("seqpulse_") for name in names)


def series(registry: CollectorRegistry, name: str) -> set[tuple[str, ...]]:
    return {
        tuple(sample.labels.values())
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name == name
    }


def test_the_series_of_closed_sets_exist_from_the_start() -> None:
    registry = WorkerTelemetry().registry
    codes = {(code.value,) for code in CollectCode}
    assert series(registry, "seqpulse_collect_errors_total") == codes
    assert series(registry, "seqpulse_slots_missed_total") == codes
    assert series(registry, "seqpulse_verdicts_total") == {
        (verdict.value, conclusive) for verdict in Verdict for conclusive in ("true", "false")
    }
    assert series(registry, "seqpulse_hints_total") == {(rule.id,) for rule in CATALOGUE}
    assert series(registry, "seqpulse_job_attempts_total") == {
        (kind, status.value) for kind in (*JobKind, OTHER) for status in Status
    }


def test_every_route_has_its_series_from_the_start() -> None:
    app = create_app(settings.load(secret_key="k" * 32), "postgresql://nowhere")
    [access] = [each for each in app.user_middleware if "telemetry" in each.kwargs]
    counted = cast("ApiTelemetry", access.kwargs["telemetry"])
    found = {route for _, route in series_of_requests(counted.registry)}
    paths = set(app.openapi()["paths"])
    assert paths <= found
    assert found - paths == {"/metrics", "unmatched"}


def series_of_requests(registry: CollectorRegistry) -> set[tuple[str, str]]:
    return {(row[0], row[1]) for row in series(registry, "seqpulse_http_requests_total")}


def test_every_check_has_a_name_and_a_line_in_the_docs() -> None:
    assert set(judge(Facts())) == set(judge(FACTS)) == set(NAMES)
    page = PAGE.with_name("operations.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    assert rows == list(NAMES)
