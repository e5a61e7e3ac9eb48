from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import CollectError
from core.settings import Settings
from core.types import CollectCode
from scheduler import retry

PAUSES = (5.0, 15.0, 30.0)
TIMEOUT = CollectError(CollectCode.TIMEOUT, "slow")


def pause(
    error: CollectError, attempt: int, seconds_left: float = 60.0, since_slot: float = 100.0
) -> float | None:
    return retry.collect_pause(
        error,
        attempt=attempt,
        since_slot_seconds=since_slot,
        seconds_left=seconds_left,
        pauses=PAUSES,
        chance=0.5,
    )


def test_pauses_are_those_of_the_seed_then_the_slot_is_missed() -> None:
    assert [pause(TIMEOUT, attempt) for attempt in (1, 2, 3, 4)] == [5, 15, 30, None]


def test_a_permanent_error_is_not_tried_again() -> None:
    assert pause(CollectError(CollectCode.AUTH_REJECTED, "401", permanent=True), 1) is None


def test_never_past_the_deadline() -> None:
    assert pause(TIMEOUT, 1, seconds_left=5.0) is None
    assert pause(TIMEOUT, 1, seconds_left=5.05) is None
    assert pause(TIMEOUT, 1, seconds_left=5.1) == 5


def test_retry_after_is_honoured() -> None:
    asked = CollectError(CollectCode.RATE_LIMITED, "429", retry_after_seconds=20)
    assert pause(asked, 1) == 20
    assert pause(asked, 3) == 30
    assert pause(asked, 1, seconds_left=10) is None


def test_what_is_wrong_in_itself_is_tried_once_more() -> None:
    invalid = CollectError(CollectCode.PAYLOAD_INVALID, "negative")
    assert [pause(invalid, attempt) for attempt in (1, 2, 3)] == [5, None, None]


def test_being_throttled_costs_no_attempt_but_ends_with_the_slot() -> None:
    throttled = CollectError(CollectCode.THROTTLED, "later", retry_after_seconds=10)
    assert [pause(throttled, attempt) for attempt in (1, 4, 99)] == [11, 11, 11]
    assert pause(throttled, 1, seconds_left=11) is None


def test_attempts_that_were_throttled_leave_the_retries_to_the_failures() -> None:
    assert pause(TIMEOUT, 9, since_slot=3) == 5
    assert pause(TIMEOUT, 9, since_slot=4.1) == 15
    assert pause(TIMEOUT, 9, since_slot=17) == 30
    assert pause(TIMEOUT, 9, since_slot=40) is None
    assert pause(CollectError(CollectCode.PAYLOAD_INVALID, "x"), 9, since_slot=3) == 5


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_whoever_only_fails_has_exactly_the_retries_of_the_seed(
    first: float, second: float, third: float
) -> None:
    since_slot = 0.0
    for attempt, chance in enumerate((first, second, third), 1):
        found = retry.collect_pause(
            TIMEOUT,
            attempt=attempt,
            since_slot_seconds=since_slot,
            seconds_left=1000,
            pauses=PAUSES,
            chance=chance,
        )
        assert found is not None
        since_slot += found
    assert pause(TIMEOUT, 4, since_slot=since_slot) is None


def test_a_baseline_rests_longer_and_longer_but_never_for_good() -> None:
    rests = [retry.rest_seconds(failures, 60) / 60 for failures in (1, 4, 5, 6, 7, 8, 9, 10_000)]
    assert rests == [0, 0, 1.5, 2.5, 4.5, 8.5, 10.5, 10.5]


@given(st.floats(0, 1), st.integers(1, 10), st.floats(-10, 100))
def test_a_pause_lies_within_jitter_and_deadline(
    chance: float, attempt: int, seconds_left: float
) -> None:
    found = retry.collect_pause(
        TIMEOUT,
        attempt=attempt,
        since_slot_seconds=100,
        seconds_left=seconds_left,
        pauses=PAUSES,
        chance=chance,
    )
    if found is not None:
        assert 0.8 * PAUSES[attempt - 1] <= found <= 1.2 * PAUSES[attempt - 1]
        assert found < seconds_left


@pytest.mark.parametrize(("attempt", "seconds"), [(1, 1), (2, 2), (4, 8), (7, 60), (10_000, 60)])
def test_a_fault_of_ours_is_tried_for_ever(attempt: int, seconds: float) -> None:
    assert retry.own_pause(attempt) == seconds


DAY = Settings().notify_retry_seconds


def wait(
    attempts: int, permanent: bool = False, named: float | None = None, chance: float = 0.5
) -> float | None:
    return retry.delivery_pause(
        DAY, attempts=attempts, permanent=permanent, named_seconds=named, chance=chance
    )


def test_a_receiver_has_most_of_a_day_to_come_back() -> None:
    pauses = [wait(attempts) for attempts in range(1, 12)]
    assert pauses[0] == 5
    assert pauses[-1] is None
    known = [pause for pause in pauses if pause is not None]
    assert known == sorted(known)
    assert max(known) == 5 * 3600
    assert 20 * 3600 < sum(known) < 24 * 3600


def test_what_would_meet_the_same_answer_is_given_up() -> None:
    assert wait(1, permanent=True) is None


@given(
    st.integers(1, 10),
    st.none() | st.floats(0, 3600),
    st.floats(0, 1),
)
def test_a_receiver_gets_the_pause_it_asks_for(
    attempts: int, named: float | None, chance: float
) -> None:
    pause = wait(attempts, named=named, chance=chance)
    assert pause is not None
    assert pause >= max(DAY[attempts - 1] * 0.8 - 1e-9, named or 0)
    assert pause <= max(DAY[attempts - 1], named or 0) * 1.2 + 1e-9
