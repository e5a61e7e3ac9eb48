"""The one judge of a row, and that looking at many at once finds the same."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInputError
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
    batch = rows.read_documents([(7, document)], "prod", BOUNDS)
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


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
MOMENTS = st.sampled_from(
    ["2026-04-30T12:00:00Z", "2026-04-30T12:00:00.123456+01:00", "2027-01-01T00:00:00Z", "", "x"]
)
NUMBERS = st.floats(0, 2) | st.floats() | ANYTHING
DOCUMENTS = ANYTHING | st.builds(
    row,
    slot_at=MOMENTS | ANYTHING,
    env=st.sampled_from(["prod", "a b"]) | ANYTHING,
    metrics=st.fixed_dictionaries(
        dict.fromkeys(METRICS, NUMBERS), optional={"queue": NUMBERS, "no name": NUMBERS}
    ),
)


@given(st.lists(DOCUMENTS, max_size=4))
def test_looking_at_many_at_once_finds_what_reading_each_finds(documents: list[object]) -> None:
    together = rows.read_documents(enumerate(documents), "prod", BOUNDS)
    alone = [rows.read_documents([item], "prod", BOUNDS) for item in enumerate(documents)]
    assert together.refusals == [refusal for batch in alone for refusal in batch.refusals]
    expected = pl.concat([batch.rows for batch in alone]) if alone else together.rows
    assert sorted(together.rows.rows()) == sorted(expected.rows())
    for line, document in enumerate(documents):
        refused = line in {refusal.line for refusal in together.refusals}
        try:
            rows.read_row(document, "prod", BOUNDS)
        except InvalidInputError:
            assert refused
        else:
            assert not refused


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
    expected = rows.read_documents(documents, "prod", BOUNDS)
    reasons = [refusal.line for refusal in batch.refusals]
    assert reasons == [refusal.line for refusal in expected.refusals]
    strip = [
        (*row[:-1], {k: v for k, v in json.loads(row[-1] or "{}").items() if v is not None})
        for row in batch.rows.rows()
    ]
    assert sorted(strip, key=str) == sorted(
        ((*row[:-1], json.loads(row[-1] or "{}")) for row in expected.rows.rows()), key=str
    )


def test_a_list_is_split_into_its_items() -> None:
    assert list(rows.split_list(b'[{"a": 1}, 2]')) == [(1, {"a": 1.0}), (2, 2.0)]


@pytest.mark.parametrize("body", [b"", b"{}", b"[", b"\xff", b"[" * 100_000, b"null"])
def test_what_is_no_list_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidInputError, match="not a list of rows"):
        rows.split_list(body)


def test_lines_keep_their_numbers_and_a_broken_one_costs_no_other() -> None:
    body = b'{"a": 1}\r\n\n  \nnonsense\n\xff\n' + b"9" * 10_000 + b"\n[1"
    found = list(rows.split_lines(body))
    assert [line for line, _ in found] == [1, 4, 5, 6, 7]
    assert found[0][1] == {"a": 1.0}
    assert [judge(document) for _, document in found[1:]] == ["the row is no JSON object"] * 4


@given(st.binary(max_size=50) | st.text(max_size=50).map(str.encode))
def test_no_line_raises_anything(body: bytes) -> None:
    rows.read_documents(rows.split_lines(body), "prod", BOUNDS)


def test_a_key_that_appears_twice_is_told() -> None:
    once = json.dumps(row())
    for text in (once[:-1] + ', "env": "b"}', once.replace('"cpu_usage"', '"latency_p95"')):
        [(_, document)] = rows.split_lines(text.encode())
        assert judge(document) == "a key appears twice"
