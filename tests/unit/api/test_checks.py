from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.checks import NAMES, Facts, Status, judge, overall
from sql.edition import Edition
from sql.health import Collection, Queue, Upkeep, Workers

WELL = Facts(
    latency_seconds=0.001,
    writable=True,
    schema_fault="",
    queue=Queue(100, 3, 5, 0, 0.1, 0),
    workers=Workers(2, 0.4),
    collection=Collection(99, 1),
    upkeep=Upkeep(Edition.COMMUNITY, 8, 0),
    pool_ratio=0.2,
)


def test_well() -> None:
    checks = judge(WELL)
    assert tuple(checks) == NAMES
    assert {check.status for check in checks.values()} == {Status.OK}
    assert overall(checks) is Status.OK
    assert (checks["pending"].value, checks["collection"].value) == (103, 0.99)
    assert checks["timescaledb"].value == "timescale"


@pytest.mark.parametrize(
    ("changes", "name", "status"),
    [
        ({"latency_seconds": None}, "database", Status.FAILING),
        ({"latency_seconds": 0.51}, "database", Status.DEGRADED),
        ({"writable": False}, "writable", Status.FAILING),
        ({"schema_fault": "the database lacks 1 migration(s)"}, "schema", Status.FAILING),
        ({"pool_ratio": 1.0}, "pool", Status.DEGRADED),
        ({"workers": Workers(0, None)}, "heartbeat", Status.FAILING),
        ({"workers": Workers(1, 31.0)}, "heartbeat", Status.FAILING),
        ({"queue": Queue(0, 9, 0, 1, 31.0, 0)}, "overdue", Status.DEGRADED),
        ({"queue": Queue(0, 0, 1, 0, 0.0, 1)}, "stuck", Status.DEGRADED),
        ({"collection": Collection(79, 21)}, "collection", Status.DEGRADED),
        ({"upkeep": None, "upkeep_fault": "not loaded"}, "timescaledb", Status.DEGRADED),
        ({"upkeep": Upkeep(Edition.COMMUNITY, 8, 1)}, "policies", Status.DEGRADED),
    ],
)
def test_one_thing_is_wrong(changes: dict[str, object], name: str, status: Status) -> None:
    checks = judge(replace(WELL, **changes))  # type: ignore[arg-type]
    assert {key for key, check in checks.items() if check.status in ("degraded", "failing")} == {
        name
    }
    assert checks[name].status is overall(checks) is status
    assert checks[name].detail


def test_what_cannot_be_known_is_unknown_and_the_database_says_why() -> None:
    checks = judge(Facts())
    assert {key for key, check in checks.items() if check.status is Status.UNKNOWN} == set(
        NAMES
    ) - {"database", "pool"}
    assert overall(checks) is Status.FAILING
    assert overall(judge(replace(WELL, queue=None, workers=Workers(1, None)))) is Status.OK


def test_few_slots_say_nothing() -> None:
    assert judge(replace(WELL, collection=Collection(0, 9)))["collection"].status is Status.OK


@given(
    latency=st.none() | st.floats(0, 100),
    counts=st.lists(st.integers(0, 10**9), min_size=5, max_size=5),
    age=st.none() | st.floats(-1, 1e6),
    slots=st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)),
)
def test_every_check_is_always_there(
    latency: float | None, counts: list[int], age: float | None, slots: tuple[int, int]
) -> None:
    planned, due, running, overdue, stuck = counts
    facts = Facts(
        latency_seconds=latency,
        queue=Queue(planned, due, running, overdue, 0.0, stuck),
        workers=Workers(running, age),
        collection=Collection(*slots),
    )
    checks = judge(facts)
    assert tuple(checks) == NAMES
    for check in checks.values():
        if check.status is Status.DEGRADED and isinstance(check.value, int | float):
            assert check.limit is not None
            exceeded = check.value > check.limit
            assert exceeded != (check.name == "collection")
