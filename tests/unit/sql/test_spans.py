"""Which samples count in which windows, beside a plain loop over all pairs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from core.types import METRICS
from sql.spans import FOUND, ROWS, SPANS, match

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
NEVER = datetime(1, 1, 1, tzinfo=UTC)

moments = st.integers(-5, 25).map(lambda minutes: BEGIN + timedelta(minutes=minutes))
services = st.sampled_from([("a", "prod"), ("a", "test"), ("b", "prod")])
owners = st.sampled_from(["x", "y"])


@st.composite
def spans(draw: st.DrawFn) -> dict[str, Any]:
    project, env = draw(services)
    since, until = sorted([draw(moments), draw(moments)])
    source = draw(st.sampled_from([0, 2, 3]))
    by, pre_by = draw(moments), draw(moments)
    return {
        "row": draw(st.integers(0, 3)), "source": source, "project_id": project, "env": env,
        "owner": None if source == 3 else draw(owners), "since": since, "until": until,
        "continuous_by": NEVER if source == 2 else by, "pre_by": NEVER if source else pre_by,
    }  # fmt: skip


@st.composite
def samples(draw: st.DrawFn) -> dict[str, Any]:
    project, env = draw(services)
    phase = draw(st.sampled_from([None, "pre", "post"]))
    return {
        "project_id": project, "env": env, "slot_at": draw(moments), "collected_at": draw(moments),
        "deployment_id": draw(owners) if phase else None, "phase": phase,
        "sequence_index": draw(st.sampled_from([None, -3, 0, 7])) if phase else None,
        **{name: draw(st.sampled_from([None, 0.5, float("inf")])) for name in METRICS},
    }  # fmt: skip


def find(span: dict[str, Any], row: dict[str, Any]) -> tuple[int, int] | None:
    """The number of the phase and the place of the slot, if it counts; see windows.sql."""
    if (span["project_id"], span["env"]) != (row["project_id"], row["env"]):
        return None
    if not span["since"] <= row["slot_at"] <= span["until"]:
        return None
    ours = span["owner"] is not None and row["deployment_id"] == span["owner"]
    post = row["phase"] == "post" and ours
    continuous = row["phase"] is None and row["collected_at"] <= span["continuous_by"]
    if span["source"]:
        return (span["source"], -1) if (post if span["source"] == 2 else continuous) else None
    if post:
        return 4, max(-1, -1 if row["sequence_index"] is None else row["sequence_index"])
    if continuous:
        return 0, -1
    pre = row["phase"] == "pre" and ours and row["collected_at"] <= span["pre_by"]
    return (1, -1) if pre else None


@given(st.lists(spans(), max_size=8), st.lists(samples(), max_size=30))
def test_every_pair_is_found_that_a_loop_finds(
    windows: list[dict[str, Any]], rows: list[dict[str, Any]]
) -> None:
    expected = [
        (span["row"], place[0], row["slot_at"], place[1],
         *(float("nan") if row[name] is None else row[name] for name in METRICS))
        for span in windows
        for row in rows
        if (place := find(span, row)) is not None
    ]  # fmt: skip
    found = match(pl.DataFrame(windows, SPANS), pl.DataFrame(rows, ROWS))
    assert_frame_equal(
        found, pl.DataFrame(expected, FOUND, orient="row"), check_row_order=False, check_exact=True
    )


def test_the_ends_of_a_span_belong_to_it_and_its_service_has_neighbours() -> None:
    """Rows of other services lie right beside those of this one."""
    slots = [BEGIN + timedelta(microseconds=step) for step in (-1, 0, 9, 10)]
    rows = [
        {"project_id": project, "env": "prod", "slot_at": slot, "collected_at": slot}
        for project in "abc"
        for slot in slots
    ]
    span = {
        "row": 0, "source": 0, "project_id": "b", "env": "prod", "since": slots[1],
        "until": slots[2], "continuous_by": slots[3], "pre_by": slots[3], "owner": "x",
    }  # fmt: skip
    found = match(pl.DataFrame([span], SPANS), pl.DataFrame(rows, ROWS))
    assert sorted(found["slot_at"]) == slots[1:3]
    wide = {**span, "since": NEVER, "until": slots[3] + timedelta(days=99)}
    assert len(match(pl.DataFrame([wide], SPANS), pl.DataFrame(rows, ROWS))) == 4
    early = {**span, "since": NEVER, "until": slots[0] - timedelta(days=1)}
    assert match(pl.DataFrame([early], SPANS), pl.DataFrame(rows, ROWS)).is_empty()
