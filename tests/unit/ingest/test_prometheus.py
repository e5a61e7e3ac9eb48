"""What a Prometheus answers: five numbers of one moment, or an error of ours, whatever it sends."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.errors import CollectError, InvalidInputError
from core.types import METRICS, Reading
from ingest.prometheus import MAX_QUERY_LENGTH, Span, check_queries, parse, parse_range

VALUES = {
    "requests_per_sec": "12.5",
    "latency_p95": "180",
    "error_rate": "0.01",
    "cpu_usage": "0.5",
    "memory_usage": "0.25",
}
READING = Reading(12.5, 180, 0.01, 0.5, 0.25)
QUERIES = dict.fromkeys(METRICS, "vector(1)")
START = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
NOW = START.timestamp()


def vector(**changes: str | None) -> dict[str, Any]:
    """An answer with these values; None leaves a metric out."""
    values = {**VALUES, **changes}
    result = [
        {"metric": {"seqpulse": name}, "value": [NOW, text]}
        for name, text in values.items()
        if text is not None
    ]
    return {"status": "success", "data": {"resultType": "vector", "result": result}}


def read(document: object) -> Reading:
    return parse(document if isinstance(document, bytes) else json.dumps(document).encode())


def code_of(document: object) -> str:
    with pytest.raises(CollectError) as caught:
        read(document)
    return f"{caught.value.code}: {caught.value.detail}"


def test_five_values_are_a_reading() -> None:
    assert read(vector()) == READING


@pytest.mark.parametrize("text", [None, "NaN", "nan"])
def test_no_value_is_no_data(text: str | None) -> None:
    for name in METRICS:
        found = code_of(vector(**{name: text}))
        assert found == f"no_data: {name} has no value at this moment"


@pytest.mark.parametrize("text", [None, "NaN"])
def test_without_traffic_there_are_neither_errors_nor_latency(text: str | None) -> None:
    idle = read(vector(requests_per_sec="0", latency_p95=text, error_rate=text))
    assert (idle.requests_per_sec, idle.latency_p95, idle.error_rate) == (0, 0, 0)
    assert "no_data" in code_of(vector(requests_per_sec="0", cpu_usage=text))
    assert "no_data" in code_of(vector(requests_per_sec=text, latency_p95=text))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"latency_p95": "+Inf"}, "latency_p95 is not finite"),
        ({"latency_p95": "-1"}, "latency_p95 is negative"),
        ({"error_rate": "1.01"}, "error_rate is above 1"),
        ({"error_rate": "lots"}, "not that of a Prometheus"),
        ({"error_rate": ""}, "not that of a Prometheus"),
        ({"error_rate": "1" * 50}, "not that of a Prometheus"),
    ],
)
def test_a_value_out_of_range_is_refused(changes: dict[str, str], problem: str) -> None:
    found = code_of(vector(**changes))
    assert found.startswith("payload_invalid")
    assert problem in found


def twice() -> dict[str, Any]:
    document = vector()
    document["data"]["result"] *= 2
    return document


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"{",
        [],
        {"status": "error", "errorType": "bad_data"},
        {**vector(), "status": "error"},
        {**vector(), "warnings": ["partial"]},
        twice(),
        {"status": "success", "data": {"resultType": "scalar", "result": [1, "2"]}},
        {"status": "success", "data": {"resultType": "matrix", "result": []}},
        {"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}}]}},
    ],
)
def test_another_answer_is_refused(document: object) -> None:
    assert (code_of(document)).startswith("payload_invalid")


def test_warnings_that_are_none_do_not_matter() -> None:
    assert read({**vector(), "warnings": []}) == READING


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["metric", "value", "values", "x"]), inner, max_size=3)
    ),
    max_leaves=12,
)
RESULTS = st.lists(
    st.builds(
        lambda name, value, values: {
            "metric": {"seqpulse": name},
            "value": value,
            "values": values,
        },
        st.sampled_from([*METRICS, "x"]),
        st.lists(JSON, max_size=3) | st.tuples(st.floats(), st.floats().map(str)).map(list),
        JSON,
    )
    | JSON,
    max_size=6,
)


@given(RESULTS, st.sampled_from(["vector", "matrix", "scalar"]))
@example([{"metric": {"seqpulse": "cpu_usage"}, "value": [10**400, "1"]}], "vector")
@example([{"metric": {"seqpulse": "cpu_usage"}, "values": [[math.inf, "1"]]}], "matrix")
def test_whatever_it_sends_there_is_a_reading_or_an_error_of_ours(
    results: list[object], kind: str
) -> None:
    document = {"status": "success", "data": {"resultType": kind, "result": results}}
    body = json.dumps(document).encode()
    span = Span(START, START + timedelta(minutes=9), timedelta(minutes=1))
    for answer in (parse, partial(parse_range, span=span)):
        try:
            found = answer(body)
        except CollectError:
            continue
        for reading in found.values() if isinstance(found, dict) else [found]:
            assert all(math.isfinite(getattr(reading, name)) for name in METRICS)


def matrix(points: dict[str, list[list[object]]]) -> bytes:
    result = [{"metric": {"seqpulse": name}, "values": values} for name, values in points.items()]
    document = {"status": "success", "data": {"resultType": "matrix", "result": result}}
    return json.dumps(document).encode()


def test_a_range_brings_the_moments_that_are_whole() -> None:
    step = timedelta(seconds=60)
    points: dict[str, list[list[object]]] = {
        name: [[NOW + 60 * number, text] for number in range(4)] for name, text in VALUES.items()
    }
    points["cpu_usage"][1][1] = "NaN"
    del points["cpu_usage"][2]
    found = parse_range(matrix(points), Span(START, START + 3 * step, step))
    assert found == {START: READING, START + 3 * step: READING}


def test_moments_that_were_not_asked_for_are_not_believed() -> None:
    step = timedelta(seconds=60)
    points: list[list[object]] = [[NOW + shift, "1"] for shift in (-600, 0, 30, 60, 6000)]
    found = parse_range(matrix(dict.fromkeys(METRICS, points)), Span(START, START + step, step))
    assert list(found) == [START, START + step]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"cpu_usage": " "}, "cpu_usage has no PromQL"),
        ({"disk_usage": "1"}, "no other"),
        ({"cpu_usage": "1" * (MAX_QUERY_LENGTH + 1)}, "cpu_usage is longer"),
    ],
)
def test_expressions_are_checked(changes: dict[str, str], problem: str) -> None:
    check_queries(QUERIES)
    with pytest.raises(InvalidInputError, match=problem):
        check_queries({**QUERIES, **changes})
