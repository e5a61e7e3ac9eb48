from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.policy_file import LARGEST, fill, merge, plain, read_table, show
from core.errors import InvalidInputError
from core.types import Metric


@dataclass(frozen=True)
class Inner:
    level: float
    slots: int = 3


@dataclass(frozen=True)
class Outer:
    share: float
    word: str
    flag: bool = False
    metrics: frozenset[Metric] = frozenset()
    by_metric: Mapping[Metric, float] = field(default_factory=dict)
    inner: Inner = Inner(1.0)
    inners: Mapping[Metric, Inner] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.share > 1:
            raise InvalidInputError("share: must be at most 1")


FULL: dict[str, Any] = {
    "share": 1,
    "word": "so",
    "flag": True,
    "metrics": ["error_rate", "cpu_usage"],
    "by_metric": {"cpu_usage": 0.5},
    "inner": {"level": 2.5},
    "inners": {"latency_p95": {"level": 3, "slots": 4}},
}


def test_a_table_becomes_a_dataclass_and_back() -> None:
    filled = fill(Outer, FULL, "rules")
    assert filled == Outer(
        share=1.0,
        word="so",
        flag=True,
        metrics=frozenset({Metric.ERROR_RATE, Metric.CPU_USAGE}),
        by_metric={Metric.CPU_USAGE: 0.5},
        inner=Inner(2.5, 3),
        inners={Metric.LATENCY_P95: Inner(3.0, 4)},
    )
    assert type(filled.share) is float
    assert fill(Outer, plain(filled), "rules") == filled
    assert plain(filled)["metrics"] == ["cpu_usage", "error_rate"]


def test_tables_by_metric_cannot_be_changed() -> None:
    filled: Any = fill(Outer, FULL, "rules")
    with pytest.raises(TypeError):
        filled.by_metric[Metric.CPU_USAGE] = 1.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"magic": 1}, "rules.magic: unknown; one of share, word"),
        ({"m\x1b[2J" + "x" * 99: 1}, "rules.m\\x1b[2J" + "x" * 32 + ": unknown"),
        ({"share": "1"}, "rules.share: must be a finite number"),
        ({"share": True}, "rules.share: must be a finite number"),
        ({"share": float("nan")}, "rules.share: must be a finite number"),
        ({"share": float("inf")}, "rules.share: must be a finite number"),
        ({"share": 10**400}, "rules.share: must be a finite number"),
        ({"share": -0.1}, "rules.share: must not be negative"),
        ({"share": 1.5}, "rules.share: must be at most 1"),
        ({"word": 1}, "rules.word: must be a text"),
        ({"flag": 1}, "rules.flag: must be true or false"),
        ({"metrics": "cpu_usage"}, "rules.metrics: must be a list"),
        ({"metrics": ["disk"]}, "rules.metrics: disk is no metric that can be judged; one of req"),
        ({"metrics": [3]}, "rules.metrics: a int is no metric"),
        ({"metrics": [["cpu_usage"]]}, "rules.metrics: a list is no metric"),
        ({"metrics": ["cpu_usage", "cpu_usage"]}, "rules.metrics: names a metric twice"),
        ({"by_metric": []}, "rules.by_metric: must be a table"),
        ({"by_metric": {"disk": 1.0}}, "rules.by_metric: disk is no metric"),
        ({"by_metric": {"cpu_usage": "x"}}, "rules.by_metric.cpu_usage: must be a finite number"),
        ({"inner": 3}, "rules.inner: must be a table"),
        ({"inner": {}}, "rules.inner.level: missing"),
        ({"inner": {"level": 1, "slots": 1.0}}, "rules.inner.slots: must be a whole number"),
        ({"inner": {"level": 1, "slots": True}}, "rules.inner.slots: must be a whole number"),
        ({"inners": {"cpu_usage": {"x": 1}}}, "rules.inners.cpu_usage.x: unknown; one of level"),
    ],
)
def test_a_wrong_value_is_refused_by_its_key(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        fill(Outer, FULL | changes, "rules")
    assert str(refusal.value).startswith(message)


def test_a_missing_number_is_named() -> None:
    with pytest.raises(InvalidInputError, match=r"^rules\.word: missing$"):
        fill(Outer, {"share": 1}, "rules")


def test_tables_merge_and_everything_else_is_replaced() -> None:
    base = {"a": 1, "t": {"x": 1, "y": {"z": 1}}, "l": [1]}
    changes = {"a": 2, "t": {"y": {"w": 2}}, "l": [2], "new": {"n": 1}}
    assert merge(base, changes) == {
        "a": 2,
        "t": {"x": 1, "y": {"z": 1, "w": 2}},
        "l": [2],
        "new": {"n": 1},
    }
    assert merge(base, {"t": 5})["t"] == 5
    assert base["t"] == {"x": 1, "y": {"z": 1}}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("p.toml", b"a = ", "p.toml: Invalid value"),
        ("p.toml", b"a = 1\na = 2", "p.toml: Cannot overwrite a value"),
        ("p.toml", b"\xff", "p.toml: 'utf-8' codec can't decode"),
        ("p.toml", b"x" * (LARGEST + 1), "p.toml: larger than 64 KiB"),
        ("p.toml", b"a = " + b"[" * 9000, "p.toml: "),
        ("p.json", b"{", "p.json: Expecting property name"),
        ("p.json", b"[" * 60000, "p.json: "),
        ("p.json", b"[]", "p.json: must be an object"),
        ("p.json", b'{"a": {"b": 1, "b": 2}}', "p.json: a key appears twice"),
        ("p.yaml", b"a: 1", "p.yaml: must be a .toml or .json file"),
    ],
)
def test_a_broken_file_is_refused(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InvalidInputError) as refusal:
        read_table(path)
    assert str(refusal.value).startswith(message)
    assert len(str(refusal.value)) < 300


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"^no\.toml: cannot be read: No such file"):
        read_table(tmp_path / "no.toml")
    with pytest.raises(InvalidInputError, match=r"cannot be read: Is a directory$"):
        read_table(tmp_path)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.dictionaries(st.one_of(st.sampled_from([*FULL]), st.text(max_size=3)), JSON, max_size=4))
def test_no_table_does_anything_but_fill_or_be_refused(changes: dict[str, Any]) -> None:
    try:
        fill(Outer, FULL | changes, "rules")
    except InvalidInputError as refusal:
        assert str(refusal).isprintable()  # noqa: PT017


def test_enumerations_are_plain_texts() -> None:
    class Side(StrEnum):
        LEFT = "left"

    assert type(plain(Side.LEFT)) is str


@pytest.mark.parametrize(
    ("text", "shown"), [("a'b\n", "a'b\\n"), ("é", "\\xe9"), (None, "a NoneType"), ("", "")]
)
def test_what_comes_from_a_file_is_shown_safely(text: object, shown: str) -> None:
    assert show(text) == shown
