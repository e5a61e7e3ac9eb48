"""Counting replayed verdicts against those on record."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from analytics import judge, policy, replay, windows

VERDICTS = ("ok", "warning", "rollback_recommended")


def results(rows: list[tuple[str, str | None, str]]) -> pl.DataFrame:
    columns = {"project": pl.String, "recorded_verdict": pl.String, "verdict": pl.String}
    ids = pl.Series("deployment_id", [str(UUID(int=i)) for i in range(len(rows))], dtype=pl.String)
    return pl.DataFrame(rows, schema=columns, orient="row").with_columns(ids)


def test_changes_are_counted_with_examples_most_frequent_first() -> None:
    rows: list[tuple[str, str | None, str]] = [("a", "ok", "ok")] * 7
    rows += [("b", None, "ok")] + [("a", "ok", "warning")] * 4
    tallied = replay.add_up([replay.tally(results(rows))])
    assert tallied.drop("examples").rows() == [
        ("a", "ok", "ok", 7),
        ("a", "ok", "warning", 4),
        ("b", None, "ok", 1),
    ]
    assert tallied["examples"].to_list()[1] == [str(UUID(int=i)) for i in (8, 9, 10)]
    changed = replay.select_changed(tallied)
    assert changed["deployments"].to_list() == [4, 1]


@given(
    st.lists(
        st.tuples(
            st.sampled_from("ab"), st.sampled_from([None, *VERDICTS]), st.sampled_from(VERDICTS)
        )
    ),
    st.integers(1, 5),
)
def test_lots_do_not_matter(rows: list[tuple[str, str | None, str]], size: int) -> None:
    whole = results(rows)
    lots = [replay.tally(whole.slice(start, size)) for start in range(0, len(rows), size)]
    assert replay.add_up(lots).equals(replay.add_up([replay.tally(whole)]))
    assert replay.add_up(lots)["deployments"].sum() == len(rows)


def test_nothing_replayed_is_an_empty_tally() -> None:
    assert replay.add_up([]).schema == replay.TALLY
    assert replay.add_up([]).is_empty()


def test_a_row_names_the_metrics_that_failed(
    frames: Callable[..., tuple[pl.DataFrame, ...]],
) -> None:
    slow = frames(before=[{}] * 9, after=[{"latency_p95": 900.0}] * 5, number=2)
    fine = frames(before=[{}] * 9, after=[{}] * 5, number=1)
    both = [pl.concat(part) for part in zip(slow, fine, strict=True)]
    flat = judge.assess(windows.split(*both), policy.REFERENCE_V2).verdicts
    assert flat.select("deployment_id", "verdict", "failed_metrics").rows() == [
        (str(UUID(int=2)), "warning", ["latency_p95"]),
        (str(UUID(int=1)), "ok", []),
    ]
