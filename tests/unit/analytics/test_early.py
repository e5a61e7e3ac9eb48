from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.judgement import Judgement

Verify = Callable[..., Judgement]

BAD = {"latency_p95": 900.0, "error_rate": 0.5, "cpu_usage": 0.99, "requests_per_sec": 1.0}
SLOW = {"latency_p95": 900.0}
GONE = dict.fromkeys(("requests_per_sec", "latency_p95", "error_rate", "cpu_usage", "memory_usage"))
IDLE = {"requests_per_sec": 0.0, "latency_p95": 0.0, "error_rate": 0.0}
BLIND = {"cpu_usage": None}
KINDS: tuple[dict[str, Any], ...] = ({}, BAD, SLOW, GONE, IDLE, BLIND, {"error_rate": 0.5})


@pytest.mark.parametrize(
    ("after", "decided_at"),
    [
        ([{"error_rate": 0.5}] * 5, 2),  # covered by three, and one is too many
        ([{}] * 3 + [{"error_rate": 0.5}, {}], 3),
        ([SLOW] * 5, None),  # errors could still come
        ([{}] * 5, None),
        ([GONE] * 3 + [{}] * 2, 3),
        ([{}] + [GONE] * 4, 3),  # two of five can be covered no more
        ([GONE] * 5, None),
    ],
)
def test_says_when_it_was_final(
    verify: Verify, after: list[dict[str, Any]], decided_at: int | None
) -> None:
    assert verify(after=after).decided_at == decided_at


def test_a_long_window_tolerates_what_little_is_left(verify: Verify) -> None:
    """CPU may be beyond in 3 of 15, so with 12 fine ones and errors in one all is said."""
    after = [{"error_rate": 0.5}] + [{}] * 14
    assert verify(after=after, post_slots=15).decided_at == 8


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.sampled_from(KINDS), min_size=5, max_size=5),
    st.sampled_from([[{}] * 5, [], [{"requests_per_sec": 0.1}] * 5, [{"requests_per_sec": None}]]),
)
def test_no_earlier_and_no_later_than_true(
    verify: Verify, after: list[dict[str, Any]], before: list[dict[str, Any]]
) -> None:
    """Whatever comes after `decided_at` changes nothing; something after the slot before does."""

    def reasons(kept: int) -> set[str]:
        return {
            verify(before=before, after=[*after[:kept], *rest]).reason_code
            for rest in product(KINDS, repeat=5 - kept)
        }

    decided_at = verify(before=before, after=after).decided_at
    last = 4 if decided_at is None else decided_at
    if last >= 3:
        assert len(reasons(last + 1)) == 1
    if last > 2:
        assert len(reasons(last)) > 1
