"""Every reachable state of the scheduler's model, and what happens without its guards."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from functools import cache
from typing import Final, NamedTuple

import pytest

from tests.unit.scheduler.model import (
    FAULTS,
    Budget,
    Row,
    Rules,
    State,
    World,
    canonical,
    initial,
    is_over,
    steps,
    unsettled,
)

WORLDS: Final = {
    "window": World(Budget(faults=1, retries=1)),
    "crashes": World(Budget(faults=2, retries=1), slots=1),
    "stopping": World(Budget(faults=1, stops=1), slots=1),
    "cancelled": World(Budget(faults=1, cancels=1), slots=1),
    "doubled": World(Budget(faults=1, retries=1, doubles=1), slots=1),
    "extended": World(Budget(faults=1), slots=1, extra=1),
    "recurring": World(Budget(faults=2, retries=1), slots=1, judge=False, occurrences=2),
}
REAL: Final = Rules()


class Explored(NamedTuple):
    """What a search found; `broken` are the invariants that made it stop, if any."""

    states: set[State]
    before: dict[State, list[State]]  # along steps that are no faults
    broken: set[str]


def explore(world: World, rules: Rules) -> Explored:
    """Visit every state, nearest first; stop at the first that breaks an invariant."""
    start = canonical(initial(world, rules))
    states, before = {start}, dict[State, list[State]]()
    ahead = deque([start])
    while ahead:
        state = ahead.popleft()
        if broken := set(broken_invariants(world, state)):
            return Explored(states, before, broken)
        for name, raw in steps(world, rules, state):
            after = canonical(raw)
            if name not in FAULTS:
                before.setdefault(after, []).append(state)
            if after not in states:
                states.add(after)
                ahead.append(after)
    return Explored(states, before, set())


def dead_ends(found: Explored) -> set[State]:
    """Return the states from which, without further faults, the end cannot be reached."""
    ahead = [state for state in found.states if is_over(state)]
    leading = set(ahead)
    while ahead:
        for state in found.before.get(ahead.pop(), ()):
            if state not in leading:
                leading.add(state)
                ahead.append(state)
    return found.states - leading


def broken_invariants(world: World, state: State) -> Iterator[str]:
    for invariant in INVARIANTS:
        if state.enqueued and not invariant(world, state):
            yield invariant.__name__


def each_job_is_live_or_settled_once(world: World, state: State) -> bool:
    planned = len(state.rows) if state.extended or not world.extra else world.slots + 1
    return all(
        (row is not None) + (settled == _occurrences(world, job)) + (job in state.cancelled)
        == (job < planned)
        and settled <= _occurrences(world, job)
        for job, (row, settled) in enumerate(zip(state.rows, state.settled, strict=True))
    )


def a_sample_is_stored_exactly_if_its_slot_is_settled(world: World, state: State) -> bool:
    slots = set(range(len(state.rows))) - set(world.judges)
    return state.samples == {(job, o) for job in slots for o in range(state.settled[job])}


def awaiting_counts_the_unsettled_slots(world: World, state: State) -> bool:
    """Once the judge may be claimed early, a statement may claim it and fail to count down."""
    judge = _judge(world, state)
    if judge is None or state.cancelled:
        return True
    left = unsettled(world, state)
    return judge.awaiting >= left if state.late else judge.awaiting == left


def the_judge_is_due_exactly_if_no_slot_is_awaited(world: World, state: State) -> bool:
    judge = _judge(world, state)
    if judge is None or state.late or state.cancelled:
        return True
    return judge.due == (unsettled(world, state) == 0)


def one_verdict_after_the_last_slot(world: World, state: State) -> bool:
    return state.verdicts == 0 or (state.verdicts == 1 and unsettled(world, state) == 0)


def a_settled_judge_has_a_verdict(world: World, state: State) -> bool:
    return not world.judge or state.settled[-1] <= state.verdicts


def what_could_not_be_told_without_is_told_with_the_extra_slots(world: World, state: State) -> bool:
    return not world.extra or state.extended or not state.verdicts


def an_owner_is_listed(world: World, state: State) -> bool:
    """So that somebody alive or the leader answers for every claim."""
    return all(row is None or row.owner in {0, *state.listed} for row in state.rows)


def living_workers_know_their_claims_and_no_others(world: World, state: State) -> bool:
    for worker in state.workers:
        owned = {
            (job, row.attempt, row.occurrence)
            for job, row in enumerate(state.rows)
            if row is not None and row.owner == worker.key
        }
        known = {claim[:3] for claim in worker.claims if claim.job not in state.cancelled}
        if worker.open and owned != known:
            return False
    return True


def a_settle_ends_its_own_claim(world: World, state: State) -> bool:
    return not state.misled


INVARIANTS: Final[tuple[Callable[[World, State], bool], ...]] = (
    each_job_is_live_or_settled_once,
    a_sample_is_stored_exactly_if_its_slot_is_settled,
    awaiting_counts_the_unsettled_slots,
    the_judge_is_due_exactly_if_no_slot_is_awaited,
    one_verdict_after_the_last_slot,
    a_settled_judge_has_a_verdict,
    what_could_not_be_told_without_is_told_with_the_extra_slots,
    an_owner_is_listed,
    living_workers_know_their_claims_and_no_others,
    a_settle_ends_its_own_claim,
)


def _judge(world: World, state: State) -> Row | None:
    """The one who awaits the last slots that are planned."""
    return state.rows[world.judges[state.extended]] if world.judge else None


def _occurrences(world: World, job: int) -> int:
    return 1 if job in world.judges else world.occurrences


@cache
def explored(name: str) -> Explored:
    return explore(WORLDS[name], REAL)


@pytest.mark.parametrize("name", WORLDS)
def test_no_reachable_state_breaks_an_invariant(name: str) -> None:
    assert not explored(name).broken


@pytest.mark.parametrize("name", WORLDS)
def test_from_every_state_everything_gets_settled(name: str) -> None:
    assert not dead_ends(explored(name))


def test_the_worlds_hold_what_they_are_made_for() -> None:
    """A model in which nothing happens would be safe, too."""
    window = explored("window").states
    assert any(state.late and unsettled(WORLDS["window"], state) == 2 for state in window)
    assert any(state.rows[-1] is None and state.verdicts for state in window)
    assert any(_has_usurped_zombie(state) for state in explored("crashes").states)
    extended = explored("extended").states
    assert any(state.extended and state.rows[1] and state.verdicts for state in extended)


def _has_usurped_zombie(state: State) -> bool:
    """Say whether a worker that was cut off still works on what another has claimed since."""
    for worker in state.workers:
        for claim in worker.claims:
            row = state.rows[claim.job]
            if not worker.open and row and row.owner not in {0, worker.key}:
                return True
    return False


@pytest.mark.parametrize(
    ("removed", "name", "consequence"),
    [
        ("claim_unowned", "window", living_workers_know_their_claims_and_no_others),
        ("fence_owner", "recurring", a_settle_ends_its_own_claim),
        ("fence_attempt", "doubled", a_settle_ends_its_own_claim),
        ("fence_owner fence_attempt", "crashes", a_settle_ends_its_own_claim),
        ("store_with_settle", "window", a_sample_is_stored_exactly_if_its_slot_is_settled),
        ("count_down", "window", the_judge_is_due_exactly_if_no_slot_is_awaited),
        ("join_pending", "window", living_workers_know_their_claims_and_no_others),
        ("judge_looks", "window", one_verdict_after_the_last_slot),
        ("verdict_once", "crashes", one_verdict_after_the_last_slot),
        ("extend_once", "extended", living_workers_know_their_claims_and_no_others),
        ("safety", "cancelled", None),
        ("reap", "crashes", None),
        ("reap_dead_only", "window", living_workers_know_their_claims_and_no_others),
        ("reap_after_look", "window", an_owner_is_listed),
        ("reap_all", "window", an_owner_is_listed),
        ("lock_before_row", "window", living_workers_know_their_claims_and_no_others),
        ("stop_before_release", "stopping", living_workers_know_their_claims_and_no_others),
        ("answer_or_end", "window", living_workers_know_their_claims_and_no_others),
    ],
)
def test_every_guard_is_needed(
    removed: str, name: str, consequence: Callable[[World, State], bool] | None
) -> None:
    """Without it an invariant breaks, or (None) some job is never settled."""
    found = explore(WORLDS[name], REAL._replace(**dict.fromkeys(removed.split(), False)))
    if consequence is None:
        assert not found.broken
        assert dead_ends(found)
    else:
        assert consequence.__name__ in found.broken


def test_every_guard_is_tried() -> None:
    marks = test_every_guard_is_needed.pytestmark  # type: ignore[attr-defined]
    assert {name for case in marks[0].args[1] for name in case[0].split()} == set(Rules._fields)


def test_a_recurring_job_relies_on_lives_that_settle_once() -> None:
    """Its attempts start anew with each occurrence, so a settle must not arrive twice."""
    twice = WORLDS["recurring"]._replace(budget=Budget(doubles=1))
    assert a_settle_ends_its_own_claim.__name__ in explore(twice, REAL).broken
