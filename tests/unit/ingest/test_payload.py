"""The payload: five numbers or a refusal, whatever a target sends."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.errors import CollectError
from core.types import MAX_EXTRA, METRICS, CollectCode, Reading
from ingest.payload import MAX_BODY_BYTES, parse, read_body

GOOD: dict[str, Any] = {
    "requests_per_sec": 12.5,
    "latency_p95": 180,
    "error_rate": 0.01,
    "cpu_usage": 1,
    "memory_usage": 0,
}


def body(changes: str = "") -> bytes:
    """Return a good body whose metrics end in `changes` (raw JSON, later keys first)."""
    metrics = json.dumps(GOOD)[1:-1]
    return f'{{"metrics": {{{metrics}{changes}}}}}'.encode()


def with_value(name: str, raw: str) -> bytes:
    """Return a good body in which one metric has the value `raw`."""
    pairs = (f'"{key}": {raw if key == name else GOOD[key]}' for key in METRICS)
    return f'{{"metrics": {{{", ".join(pairs)}}}}}'.encode()


def test_the_five_numbers() -> None:
    reading = parse(body())
    assert reading == Reading(12.5, 180.0, 0.01, 1.0, 0.0)
    assert all(type(getattr(reading, name)) is float for name in METRICS)


def test_keys_we_do_not_know_are_ignored() -> None:
    extra = body(', "disk": {"a": [null]}')
    assert parse(extra[:-1] + b', "version": 2}') == parse(body())


def test_numbers_beside_the_five_are_kept_and_odd_ones_left_out() -> None:
    extra = body(
        ', "queue_depth": 3, "disk": 1e999, "b": true, "c": "1", "d": NaN, "a b": 1, "": 2'
    )
    assert parse(extra).extra == {"queue_depth": 3.0}
    many = body("".join(f', "m{number:03}": {number}' for number in range(500)))
    found = parse(many).extra
    assert found is not None
    assert list(found) == [f"m{number:03}" for number in range(MAX_EXTRA)]


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        ("NaN", "is not finite"),
        ("Infinity", "is not finite"),
        ("-Infinity", "is not finite"),
        ("1e999", "is not finite"),
        ("1" + "0" * 400, "is not finite"),
        ("-1", "is negative"),
        ("-0.001", "is negative"),
        ("true", "is not a number"),
        ("false", "is not a number"),
        ("null", "is not a number"),
        ('"0.5"', "is not a number"),
        ("[0.5]", "is not a number"),
        ('{"value": 0.5}', "is not a number"),
    ],
)
def test_a_wrong_value_is_refused_by_name(name: str, raw: str, problem: str) -> None:
    with pytest.raises(CollectError) as caught:
        parse(with_value(name, raw))
    assert caught.value.code is CollectCode.PAYLOAD_INVALID
    assert caught.value.detail == f"{name} {problem}"
    assert not caught.value.permanent


@pytest.mark.parametrize("name", ["error_rate", "cpu_usage", "memory_usage"])
def test_a_share_is_not_a_percentage(name: str) -> None:
    with pytest.raises(CollectError, match=f"{name} is above 1"):
        parse(with_value(name, "1.0001"))


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"{}{}", "not JSON"),
        (b"\xef\xbb\xbf" + body(), "not JSON"),
        (body(', "name": "caf\xe9"').decode().encode("latin-1"), "not JSON"),
        (body().decode().encode("utf-16"), "not JSON"),
        (b"[" * 60_000, "not JSON"),
        (b'{"metrics":' * 5_000, "not JSON"),
        (with_value("error_rate", "9" * 5_000), "not JSON"),
        (b"null", "metrics is missing"),
        (b"[]", "metrics is missing"),
        (b"{}", "metrics is missing"),
        (b'{"metrics": []}', "metrics is missing"),
        (b'{"metrics": {}}', "requests_per_sec is missing"),
        (body().replace(b"cpu_usage", b"cpu"), "cpu_usage is missing"),
        (body(', "error_rate": 0.01'), "error_rate appears twice"),
        (body()[:-1] + b', "metrics": {}}', "metrics appears twice"),
        (body(', "x": {"hunter2": 1, "hunter2": 1}'), "a key appears twice"),
    ],
)
def test_any_other_body_is_refused_without_repeating_it(raw: bytes, problem: str) -> None:
    with pytest.raises(CollectError, match=problem) as caught:
        parse(raw)
    assert caught.value.code is CollectCode.PAYLOAD_INVALID
    assert "hunter2" not in str(caught.value)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
ANY_METRICS = st.fixed_dictionaries({}, optional=dict.fromkeys(METRICS, ANY_JSON))
ALMOST_GOOD = st.fixed_dictionaries(dict.fromkeys(METRICS, st.floats() | st.integers()))


@given(
    st.binary()
    | ANY_JSON.map(json.dumps).map(str.encode)
    | ANY_METRICS.map(lambda metrics: json.dumps({"metrics": metrics}).encode())
    | ALMOST_GOOD.map(lambda metrics: json.dumps({"metrics": metrics}).encode())
)
@example(body())
def test_a_body_is_five_good_numbers_or_a_collect_error(raw: bytes) -> None:
    try:
        reading = parse(raw)
    except CollectError:
        return
    assert 0 <= reading.requests_per_sec < float("inf")
    assert 0 <= reading.latency_p95 < float("inf")
    for share in (reading.error_rate, reading.cpu_usage, reading.memory_usage):
        assert 0 <= share <= 1


def answer(content: bytes | AsyncIterator[bytes], **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(200, headers=named, content=content)


@pytest.mark.parametrize("media_type", ["application/json", "Application/JSON; charset=utf-8"])
async def test_a_json_body_is_read_up_to_the_cap(media_type: str) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b" " * (MAX_BODY_BYTES - 1)
        yield b" "

    assert len(await read_body(answer(pieces(), content_type=media_type))) == MAX_BODY_BYTES


async def test_reading_stops_at_the_cap() -> None:
    sent = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1024
            yield b" " * 1024

    with pytest.raises(CollectError) as caught:
        await read_body(answer(pieces(), content_type="application/json"))
    assert caught.value.code is CollectCode.TOO_LARGE
    assert sent == MAX_BODY_BYTES + 1024


@pytest.mark.parametrize(
    ("headers", "problem"),
    [
        ({}, "Content-Type"),
        ({"content_type": "text/html"}, "Content-Type"),
        ({"content_type": "application/json, text/html"}, "Content-Type"),
        ({"content_type": "application/jsonp"}, "Content-Type"),
        ({"content_type": "application/json", "content_encoding": "gzip"}, "Content-Encoding"),
        ({"content_type": "application/json", "content_encoding": "x"}, "Content-Encoding"),
    ],
)
async def test_another_kind_of_body_is_refused(headers: dict[str, str], problem: str) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield body()

    with pytest.raises(CollectError, match=problem) as caught:
        await read_body(answer(pieces(), **headers))
    assert caught.value.code is CollectCode.PAYLOAD_INVALID
