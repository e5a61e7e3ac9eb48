"""Latencies in classes: how exact the 95th percentile is."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.traffic import CLASSES, GROWTH, LEAST_MS, classify, find_p95


@given(st.lists(st.floats(LEAST_MS, 300_000), min_size=1, max_size=200))
def test_the_percentile_is_that_of_the_sdk_to_five_percent(latencies: list[float]) -> None:
    exact = sorted(latencies)[math.floor(0.95 * (len(latencies) - 1))]
    counts = Counter(map(classify, latencies))
    found = find_p95([counts[number] for number in range(CLASSES)])
    assert found == pytest.approx(exact, rel=math.sqrt(GROWTH) - 1 + 1e-9)


@pytest.mark.parametrize("milliseconds", [-1.0, 0.0, 1e-9, 1e9, math.inf])
def test_no_latency_is_out_of_bounds(milliseconds: float) -> None:
    assert 0 <= classify(milliseconds) < CLASSES


def test_without_requests_there_is_no_latency() -> None:
    assert find_p95([]) == find_p95([0] * CLASSES) == 0.0
