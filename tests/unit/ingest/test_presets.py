"""Presets: five expressions, and nothing that could come out of a selector but a selector."""

from __future__ import annotations

import pytest

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
