"""The careful reader finds what is wrong, and the quick one takes nothing it would not take."""

from __future__ import annotations

import contextlib
import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.errors import InvalidInputError
from core.types import METRICS
from ingest import documents, rows
from ingest.documents import LINES, LIST, Form

NOW = datetime(2026, 5, 1, tzinfo=UTC)
BOUNDS = rows.Bounds(NOW - timedelta(days=1), NOW)
FIVE = {
    "requests_per_sec": 10,
    "latency_p95": 50.5,
    "error_rate": 0,
    "cpu_usage": 0.2,
    "memory_usage": 1,
}


def row(**changes: object) -> dict[str, Any]:
    return {"slot_at": "2026-04-30T12:00:00Z", "metrics": FIVE, **changes}


def read(text: bytes, form: Form) -> rows.Batch:
    """Read carefully."""
    return rows.read_each(form.split(text), "prod", BOUNDS)


def is_certain(text: bytes, form: Form = LIST) -> bool:
    """Say whether the quick reader takes a text; if so, the careful one must find the same."""
    certain = documents.read_certain(text, form, "prod", BOUNDS, 10_000)
    if certain is None:
        return False
    batch = read(text, form)
    assert not batch.refusals
    assert certain.equals(batch.rows)
    assert certain.schema == batch.rows.schema
    return True


ORDINARY = [
    row(),
    row(slot_at="2026-04-30T13:00:00.123456+01:00"),
    row(env="eu/west-1"),
    row(metrics={**FIVE, "latency_p95": 10**300, "requests_per_sec": 1e-300}),
    row(metrics={**FIVE, "queue": 3, "temperature": -1.5, "no name": 7}),
    row(weight=3),
    row(host="shop-1", note=None),
]


@pytest.mark.parametrize("count", [0, 1, 2, 1_000])
def test_what_services_push_is_read_quickly(count: int) -> None:
    many = [ORDINARY[number % len(ORDINARY)] for number in range(count)]
    assert is_certain(json.dumps(many).encode())
    assert is_certain(json.dumps(many, indent=1).encode())
    assert is_certain("\r\n\n".join(map(json.dumps, many)).encode(), LINES)


GOOD = json.dumps(row())
TWICE = [
    GOOD[:-1] + ', "slot_at": "2026-04-30T12:00:00Z"}',
    GOOD[:-1] + ', "env": "a", "env": "b"}',
    GOOD[:-1] + ', "other": 1, "other": 1}',
    GOOD[:-1] + ', "other": "a", "other": "a"}',
    GOOD[:-1] + f', "metrics" : {json.dumps(FIVE)}}}',
    GOOD.replace('"cpu_usage"', '"latency_p95" : 50.5, "cpu_usage"'),
    GOOD.replace('"cpu_usage"', '"queue": 1, "queue": 1, "cpu_usage"'),
    GOOD.replace('"cpu_usage"', '"cpu_us\\u0061ge": 0.2, "cpu_usage"'),
]


@pytest.mark.parametrize("text", TWICE)
def test_a_key_that_appears_twice_is_told(text: str) -> None:
    for around, form in (("{}", LINES), ("[{}]", LIST)):
        body = around.replace("{}", text).encode()
        assert not is_certain(body, form)
        assert [refusal.reason for refusal in read(body, form).refusals] == ["a key appears twice"]


@pytest.mark.parametrize(
    "text",
    [
        GOOD.replace("50.5", number)
        for number in ("NaN", "Infinity", "-Infinity", "1e999", "true", '"5"', "null", "[5]", "-1")
    ]
    + [GOOD.replace("0.2", number) for number in ("1.01", "2", "1e3", "9" * 400, "9" * 5_000)]
    + [
        GOOD.replace("2026-04-30T12:00:00Z", moment)
        for moment in ("2026-05-01T00:00:01Z", "2026-04-30T12:00:00", "2020-01-01T00:00:00Z", "x")
    ]
    + [GOOD.replace("{", '{"env": 5, ', 1), GOOD.replace("{", '{"env": "a b", ', 1)]
    + ["null", "[]", "7", '"slot_at"', "{}", '{"metrics": []}', GOOD[:-1], GOOD + ","],
)
def test_a_bad_row_is_left_to_the_careful_reader(text: str) -> None:
    assert not is_certain(text.encode(), LINES)
    assert not is_certain(f"[{GOOD}, {text}]".encode())
    assert len(read(text.encode(), LINES).refusals) == 1


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
MOMENTS = st.sampled_from(
    [
        "2026-04-30T12:00:00Z",
        "20260430T120000Z",
        "2026-04-30 12:00:00.1234567+01:00",
        f"2026-04-30T12:00:00.{'0' * 100}Z",
        "2026-04-30T12:00:00",
        "2027-01-01T00:00:00Z",
        "0001-01-01T00:00+23:59",
        "9999-12-31T23:59-23:59",
        "",
    ]
)
NUMBERS = st.floats(0, 2) | st.integers(0, 2) | st.integers() | st.floats() | ANYTHING
DOCUMENTS = ANYTHING | st.builds(
    row,
    slot_at=MOMENTS | ANYTHING,
    env=st.sampled_from(["prod", "a b"]) | ANYTHING,
    metrics=st.fixed_dictionaries(
        dict.fromkeys(METRICS, NUMBERS), optional={"queue": NUMBERS, "no name": NUMBERS}
    ),
)


@given(st.lists(DOCUMENTS, max_size=4), st.booleans())
def test_the_two_readers_agree_on_any_documents(found: list[object], ascii_only: bool) -> None:
    texts = [json.dumps(document, ensure_ascii=ascii_only) for document in found]
    for body, form in ((f"[{','.join(texts)}]", LIST), ("\n".join(texts), LINES)):
        is_certain(body.encode("utf-8", "surrogatepass"), form)


PIECES = (
    *(f'"{name}":' for name in ("slot_at", "env", "metrics", "other", *METRICS)),
    *(*'{}[],:"\\ 0-.e', "\n", "\t", "\x00", "\x0b", "\x7f", "\ufeff", "\u2028", "\\u0061"),
    *("1", "0.5", "1e999", "NaN", "true", "null", '"prod"', json.dumps(FIVE), GOOD, GOOD + ","),
)


@given(
    st.lists(st.sampled_from([json.dumps(each) for each in ORDINARY]), min_size=1, max_size=3),
    st.lists(st.tuples(st.integers(0), st.integers(0, 3), st.sampled_from(PIECES)), max_size=4),
    st.sampled_from([b"", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf"]),
)
def test_the_two_readers_agree_on_broken_texts(
    texts: list[str], cuts: list[tuple[int, int, str]], odd: bytes
) -> None:
    """Cut something out of good rows and put something else there, a few times."""
    for whole, form in ((f"[{','.join(texts)}]", LIST), ("\n".join(texts), LINES)):
        for place, length, piece in cuts:
            at = place % (len(whole) + 1)
            whole = whole[:at] + piece + whole[at + length :]
        is_certain(whole.encode() + odd, form)
        is_certain(odd + whole.encode(), form)
        is_certain(whole.encode().replace(b"prod", odd), form)


def test_a_member_is_found_wherever_it_is_repeated() -> None:
    """All pairs of places: put a member of a row in again, somewhere else in it."""
    members = [f'"{name}":{json.dumps(value)}' for name, value in FIVE.items()]
    others = ['"slot_at":"2026-04-30T12:00:00Z"', '"env":"prod"', '"other":1', '"host":"a"']
    chance = random.Random(7)
    for inner, outer in ((members, []), ([], others), (members, others)):
        for _ in range(200):
            numbers = members + inner[: chance.randint(0, len(inner))]
            around = others + outer[: chance.randint(0, len(outer))]
            chance.shuffle(numbers)
            chance.shuffle(around)
            text = f'[{{{",".join(around)},"metrics":{{{",".join(numbers)}}}}}]'.encode()
            once = len(numbers) == len(members) and len(around) == len(others)
            assert is_certain(text) == once
            assert bool(read(text, LIST).refusals) != once


def test_a_list_is_split_into_its_items() -> None:
    assert list(LIST.split(b'[{"a": 1}, 2]')) == [(1, {"a": 1.0}), (2, 2.0)]


@pytest.mark.parametrize("body", [b"", b"{}", b"[", b"\xff", b"[" * 100_000, b"null"])
def test_what_is_no_list_is_refused(body: bytes) -> None:
    assert not is_certain(body)
    with pytest.raises(InvalidInputError, match="not a list of rows"):
        LIST.split(body)


def test_lines_keep_their_numbers_and_a_broken_one_costs_no_other() -> None:
    body = b'{"a": 1}\r\n\n  \nnonsense\n\xff\n' + b"9" * 10_000 + b"\n[1"
    found = list(LINES.split(body))
    assert [line for line, _ in found] == [1, 4, 5, 6, 7]
    assert found[0][1] == {"a": 1.0}
    refusals = read(body, LINES).refusals
    assert [refusal.line for refusal in refusals] == [1, 4, 5, 6, 7]
    assert {refusal.reason for refusal in refusals[1:]} == {"the row is no JSON object"}


def test_a_row_over_two_lines_is_no_row_and_two_rows_on_a_line_are_none() -> None:
    for body in (GOOD.replace(", ", ",\n", 1), f"{GOOD},{GOOD}", f"{GOOD} {GOOD}"):
        assert not is_certain(body.encode(), LINES)
        assert not len(read(body.encode(), LINES).rows)


@given(st.binary(max_size=50) | st.text(max_size=50).map(str.encode))
@example(b"[" * 100_000)
@example(b'{"slot_at": ' + b"[" * 500 + b"]" * 500 + b"}")
def test_no_text_raises_anything_but_that_it_is_no_list(body: bytes) -> None:
    is_certain(body, LINES)
    read(body, LINES)
    is_certain(b"[" + body + b"]")
    with contextlib.suppress(InvalidInputError):
        read(b"[" + body + b"]", LIST)
