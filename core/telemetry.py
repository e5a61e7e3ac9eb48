"""Metrics of one process for Prometheus: a registry of its own, every series from the start.

A label's values are always a closed set, never an id: `preset` writes them all down as 0, so that a
rate can be computed from the first event on.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable
from importlib.metadata import version
from itertools import product
from typing import Final, Literal, TypeAlias, TypeVar

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from core.database import Pool

Labelled = TypeVar("Labelled", Counter, Gauge, Histogram)
Process: TypeAlias = Literal["api", "worker"]

CONTENT_TYPE: Final = prometheus_client.CONTENT_TYPE_LATEST


def create_registry(process: Process) -> CollectorRegistry:
    """Return a registry that tells which build this is, and what the process costs."""
    prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    build = Gauge(
        "seqpulse_build_info",
        "Version of SeqPulse and of Python, always 1",
        ("process", "version", "python"),
        registry=registry,
    )
    build.labels(process, version("seqpulse-server"), platform.python_version()).set(1)
    return registry


def preset(metric: Labelled, *values: Iterable[str]) -> Labelled:
    """Make every combination of label values exist, and return the metric.

    Args:
        metric: A metric with labels.
        *values: All values of each label, in order.
    """
    for combination in product(*values):
        metric.labels(*combination)
    return metric


def watch_pool(registry: CollectorRegistry, pool: Pool) -> None:
    """Tell how many connections of the pool are open, in use, and allowed."""
    told = {
        "size": ("Connections of the pool that are open", pool.get_size),
        "in_use": ("Connections of the pool that are in use", lambda: count_in_use(pool)),
        "max_size": ("Connections the pool may open", pool.get_max_size),
    }
    for name, (meaning, read) in told.items():
        Gauge(f"seqpulse_pool_{name}", meaning, registry=registry).set_function(read)


def count_in_use(pool: Pool) -> int:
    """Return how many connections of a pool are lent."""
    return pool.get_size() - pool.get_idle_size()


def render(registry: CollectorRegistry) -> bytes:
    """Return all metrics in the text format of Prometheus."""
    return prometheus_client.generate_latest(registry)
