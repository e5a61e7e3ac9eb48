"""Presets: five expressions, and nothing that could come out of a selector but a selector.

Their names are those the libraries export. (Those of `http` are Go's; see `ingest.presets`.)
"""

from __future__ import annotations

import re
from collections.abc import Callable

import httpx
import pytest
from fastapi import FastAPI, HTTPException
from prometheus_client import REGISTRY
from prometheus_fastapi_instrumentator import Instrumentator
from starlette_exporter import PrometheusMiddleware

from core.errors import InvalidInputError
from ingest.presets import PRESETS, expand
from ingest.prometheus import check_queries


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_has_all_five(preset: str) -> None:
    queries = expand(preset, 'job="shop",env=~"prod|eu"', window="90s", memory_bytes=512)
    check_queries(queries)
    assert all('job="shop"' in text for text in queries.values())
    assert "[90s]" in queries["requests_per_sec"]
    assert queries["latency_p95"].startswith("1000 * histogram_quantile(0.95, ")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"preset": "flask"}, "preset"),
        ({"select": ""}, "select"),
        ({"select": 'job="a"} or vector(1) #'}, "select"),
        ({"select": 'job="a\\""'}, "select"),
        ({"window": "1"}, "window"),
        ({"window": "1m]) #"}, "window"),
        ({"memory_bytes": 0}, "memory_bytes"),
        ({"cpus": 0.0}, "cpus"),
        ({"cpus": float("nan")}, "cpus"),
    ],
)
def test_odd_parts_are_refused(changes: dict[str, object], problem: str) -> None:
    parts = {"preset": "http", "select": 'job="a"', "memory_bytes": 1, "cpus": 1.0, **changes}
    with pytest.raises(InvalidInputError, match=problem):
        expand(parts.pop("preset"), parts.pop("select"), **parts)  # type: ignore[arg-type]


def _instrument(app: FastAPI) -> None:
    Instrumentator().instrument(app)


def _add_middleware(app: FastAPI) -> None:
    app.add_middleware(PrometheusMiddleware)


def measured(name: str, label: str, pattern: str) -> float:
    """Return the sum over the series of a name whose label matches."""
    samples = [sample for metric in REGISTRY.collect() for sample in metric.samples]
    return sum(
        sample.value
        for sample in samples
        if sample.name == name and re.fullmatch(pattern, sample.labels.get(label, ""))
    )


@pytest.mark.parametrize(
    ("preset", "instrument"), [("fastapi", _instrument), ("starlette", _add_middleware)]
)
async def test_the_names_of_a_preset_are_what_the_library_exports(
    preset: str, instrument: Callable[[FastAPI], None]
) -> None:
    app = FastAPI()
    instrument(app)

    @app.get("/{status}")
    async def answer(status: int) -> None:
        raise HTTPException(status)

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        for status in (200, 302, 404, 500, 503):
            assert (await client.get(f"/{status}")).status_code == status
    names = PRESETS[preset]
    label, _, pattern = names.failed.partition("=~")
    assert measured(names.requests, label, pattern.strip('"')) == 2
    assert measured(names.requests, label, ".+") == 5
    assert measured(f"{names.latency}_bucket", "le", r"\+Inf") == 5
    assert measured("process_cpu_seconds_total", "", "") > 0
    assert measured("process_resident_memory_bytes", "", "") > 0
