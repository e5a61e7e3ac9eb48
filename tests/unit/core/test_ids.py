from __future__ import annotations

import time

from core.ids import new_id


def test_ids_are_version_7_and_the_rfc_variant() -> None:
    for _ in range(1000):
        assert new_id().version == 7
        assert new_id().variant == "specified in RFC 4122"


def test_ids_carry_the_time_in_milliseconds() -> None:
    before = time.time_ns() // 1_000_000
    stamp = new_id().int >> 80
    assert before <= stamp <= time.time_ns() // 1_000_000


def test_ids_do_not_repeat() -> None:
    assert len({new_id() for _ in range(10_000)}) == 10_000
