"""The one judge of a row, and that looking at a frame of many finds the same."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.types import METRICS
from ingest import rows
from sql.bulk import ROWS

NOW = datetime(2026, 5, 1, tzinfo=UTC)
BOUNDS = rows.Bounds(NOW - timedelta(days=1), NOW)
FIVE = {
    "requests_per_sec": 10.0,
    "latency_p95": 50.5,
    "error_rate": 0.0,
    "cpu_usage": 0.2,
    "memory_usage": 0.3,
}


def row(**changes: object) -> dict[str, Any]:
    return {"slot_at": NOW.isoformat(), "env": "prod", "metrics": FIVE, **changes}


def judge(document: object) -> str | None:
    """Say why a row is refused."""
    batch = rows.read_each([(7, document)], "prod", BOUNDS)
    assert len(batch.rows) + len(batch.refusals) == 1
    assert batch.rows.schema == ROWS
    assert [refusal.line for refusal in batch.refusals] == [7] * len(batch.refusals)
    return batch.refusals[0].reason if batch.refusals else None


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (row(), None),
        (row(slot_at="2026-05-01T01:59:59.5+02:00"), None),
        (row(slot_at="2026-04-30 23:00:00Z"), None),
        (row(slot_at="20260430T230000Z"), None),
        (row(unknown=1), None),
        (row(metrics={**FIVE, "latency_p95": -0.0}), None),
        (7.0, "the row is no JSON object"),
        ([], "the row is no JSON object"),
        ({}, "slot_at is missing"),
        (row(slot_at=None), "slot_at is missing"),
        (row(slot_at=1777593600.0), "slot_at is not a moment like 2026-01-31T12:00:00Z"),
        (row(slot_at=True), "slot_at is not a moment like 2026-01-31T12:00:00Z"),
        (row(slot_at="now"), "slot_at is not a moment like 2026-01-31T12:00:00Z"),
        (
            row(slot_at="0001-01-01T00:00+23:59"),
            "slot_at is not a moment like 2026-01-31T12:00:00Z",
        ),
        (row(slot_at="\ud800"), "slot_at is not a moment like 2026-01-31T12:00:00Z"),
        (row(slot_at="2026-05-01T00:00:00"), "slot_at has no offset from UTC"),
        (row(slot_at="2026-05-01"), "slot_at has no offset from UTC"),
        (row(slot_at="2026-05-01T00:00:01Z"), "slot_at is in the future"),
        (row(slot_at="2026-04-29T23:59:59Z"), "slot_at is before 2026-04-30, the oldest we take"),
        (row(env=""), "env is not the name of an environment"),
        (row(env="a b"), "env is not the name of an environment"),
        (row(env="prod\n"), "env is not the name of an environment"),
        (row(env="\ud800"), "env is not the name of an environment"),
        (row(env=None), "env is not the name of an environment"),
        (row(env="x" * 65), "env is not the name of an environment"),
        (row(metrics=None), "metrics is missing or not an object"),
        (row(metrics={}), "requests_per_sec is missing"),
        (row(metrics={**FIVE, "cpu_usage": True}), "cpu_usage is not a number"),
        (row(metrics={**FIVE, "cpu_usage": "0.5"}), "cpu_usage is not a number"),
        (
            row(metrics={**FIVE, "cpu_usage": 1.1}),
            "cpu_usage is above 1, it must be a share in 0..1",
        ),
        (row(metrics={**FIVE, "latency_p95": -1.0}), "latency_p95 is negative"),
        (row(metrics={**FIVE, "latency_p95": float("nan")}), "latency_p95 is not finite"),
        (row(metrics={**FIVE, "latency_p95": float("inf")}), "latency_p95 is not finite"),
    ],
)
def test_a_row_is_taken_or_refused_with_its_reason(document: object, reason: str | None) -> None:
    assert judge(document) == reason


MOMENTS = st.sampled_from(
    ["2026-04-30T12:00:00Z", "2026-04-30T12:00:00.123456+01:00", "2027-01-01T00:00:00Z", "", "x"]
)


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "slot_at": MOMENTS,
                "env": st.sampled_from(["prod", "a b", None]),
                **dict.fromkeys(METRICS, st.floats() | st.none() | st.floats(0, 1)),
            },
            optional={"queue": st.floats() | st.none()},
        ),
        min_size=1,
        max_size=4,
    )
)
def test_a_frame_of_a_file_is_judged_as_its_rows_are(cells: list[dict[str, Any]]) -> None:
    schema = {"slot_at": pl.String, "env": pl.String, **dict.fromkeys(METRICS, pl.Float64)}
    raw = pl.DataFrame(cells, schema={**schema, "queue": pl.Float64}).with_row_index("line", 1)
    batch = rows.read_frame(raw, "prod", BOUNDS)
    documents = [
        (
            line,
            {
                "slot_at": each["slot_at"] or None,
                "env": "prod" if each["env"] is None else each["env"],
                "metrics": {
                    name: each[name] for name in (*METRICS, "queue") if each.get(name) is not None
                },
            },
        )
        for line, each in enumerate(cells, 1)
    ]
    expected = rows.read_each(documents, "prod", BOUNDS)
    reasons = [refusal.line for refusal in batch.refusals]
    assert reasons == [refusal.line for refusal in expected.refusals]
    strip = [
        (*row[:-1], {k: v for k, v in json.loads(row[-1] or "{}").items() if v is not None})
        for row in batch.rows.rows()
    ]
    assert sorted(strip, key=str) == sorted(
        ((*row[:-1], json.loads(row[-1] or "{}")) for row in expected.rows.rows()), key=str
    )
