"""Searching the numbers of a policy on labelled history."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
import pytest

from analytics import policy, search, windows
from core.errors import InvalidInputError


@pytest.fixture
def labelled(frames: Callable[..., tuple[pl.DataFrame, pl.DataFrame]]) -> windows.Windows:
    """Two harmless deployments, one of them with a third of its traffic gone; two without half."""
    traffic = {1: 10.0, 2: 6.7, 3: 5.0, 4: 5.0}
    cases = [
        frames(before=[{}] * 9, after=[{"requests_per_sec": rps}] * 5, number=number)
        for number, rps in traffic.items()
    ]
    return windows.split(*(pl.concat(part) for part in zip(*cases, strict=True)))


HARMFUL = (False, False, True, True)


def test_the_best_candidate_keeps_the_target_and_finds_most(labelled: windows.Windows) -> None:
    drops = [0.2, 0.45, 0.9]
    candidates = search.vary(policy.REFERENCE_V2, {"traffic_drop_ratio": drops})
    found = search.search(candidates, labelled, HARMFUL, most_false_alarms=0.4)
    assert found.rows() == [
        (1, 2, 0.0, 1.0, True),
        (2, 0, 0.0, 0.0, True),
        (0, 3, 0.5, 1.0, False),
    ]
    lenient = search.search(candidates, labelled, HARMFUL, most_false_alarms=0.5)
    assert lenient["place"].to_list() == [1, 0, 2]


def test_every_combination_is_tried() -> None:
    numbers = {"traffic_drop_ratio": [0.1, 0.2], "min_coverage_ratio": [0.5, 0.6, 0.7]}
    rules = [each.rules for each in search.vary(policy.REFERENCE_V2, numbers)]
    tried = [(each.traffic_drop_ratio, each.min_coverage_ratio) for each in rules]
    assert tried == [(a, b) for a in (0.1, 0.2) for b in (0.5, 0.6, 0.7)]


def test_without_harm_there_is_no_recall(labelled: windows.Windows) -> None:
    found = search.search([policy.REFERENCE_V2], labelled, [False] * 4, most_false_alarms=1.0)
    assert found.rows() == [(0, 3, 0.75, None, True)]


def test_what_cannot_be_searched_is_refused(labelled: windows.Windows) -> None:
    with pytest.raises(InvalidInputError, match="no_such"):
        search.vary(policy.REFERENCE_V2, {"no_such": [1]})
    for harmful in ([True] * 4, [False] * 3):
        with pytest.raises(InvalidInputError, match="harmful"):
            search.search([policy.REFERENCE_V2], labelled, harmful, most_false_alarms=0.1)
