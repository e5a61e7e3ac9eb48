"""The scheduler as a state machine, small enough to visit every state of it.

Pure: a frozen state in, every state that may follow out. One step is one commit, or one thing a
process or the network does between commits. `Rules` names the guards that make it safe; taking
one away must break an invariant (see test_model.py). docs/scheduler.md argues in words.

Time is abstract: `due` is set by a step of the clock that may come at any moment. A collect brings
a sample; a missed slot is stored in the same place and stands for the same here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple, TypeAlias

RUNNING: Final = ""
COMPLETED: Final = "completed"
RETRY: Final = "retry"
UNSTORED: Final = "unstored"  # only without `store_with_settle`
BLIND: Final = "blind"  # a judge that means to extend the window, and has not done so yet
PENDING: Final = frozenset({RUNNING, UNSTORED, BLIND})


class Rules(NamedTuple):
    """The guards of the real scheduler; every one is there for a reason."""

    claim_unowned: bool = True  # WHERE owner IS NULL
    fence_owner: bool = True  # settle WHERE owner = me
    fence_attempt: bool = True  # settle WHERE attempt = that of my claim
    store_with_settle: bool = True  # sample and settle in one transaction
    count_down: bool = True  # join by a counter, not by counting in the statement's snapshot
    join_pending: bool = True  # nobody but its owner changes a running row, also not the join
    judge_looks: bool = True  # the judge counts the unsettled slots before it judges
    verdict_once: bool = True  # primary key of verdicts
    extend_once: bool = True  # WHERE extended_at IS NULL
    safety: bool = True  # the judge becomes due by itself, too
    reap: bool = True
    reap_dead_only: bool = True  # no granted lock
    reap_after_look: bool = (
        True  # a snapshot of the jobs that is younger than the look at the locks
    )
    reap_all: bool = True  # every claim of those who are forgotten
    lock_before_row: bool = True  # take the lock, then write the row in workers
    stop_before_release: bool = True  # cancel the tasks, then hand back their jobs
    answer_or_end: bool = True  # a turn without an answer ends this life of the worker


class Budget(NamedTuple):
    """How often things that need not happen may happen."""

    faults: int = 0  # crashes and lost connections
    retries: int = 0
    stops: int = 0
    cancels: int = 0
    doubles: int = 0  # settlements that arrive a second time, at any moment


class World(NamedTuple):
    """What is enqueued: `slots` collect jobs, and the judge who awaits them.

    If there are `extra` slots, that judge cannot tell without them: it plans them, and a judge of
    their own. Jobs are numbered in this order.
    """

    budget: Budget
    slots: int = 2
    judge: bool = True
    occurrences: int = 1  # of every collect job
    extra: int = 0

    @property
    def judges(self) -> tuple[int, ...]:
        """The numbers of the judges."""
        second = (self.slots + 1 + self.extra,) if self.extra else ()
        return (self.slots, *second) if self.judge else ()


class Row(NamedTuple):
    """A live job; owner 0: pending."""

    due: bool
    owner: int = 0
    attempt: int = 0
    occurrence: int = 0
    awaiting: int = 0


class Claim(NamedTuple):
    """What a worker process remembers of a claim."""

    job: int
    attempt: int
    occurrence: int
    outcome: str = RUNNING


class Worker(NamedTuple):
    """A process; its key is new in each life. `open`: the server holds its connection and lock."""

    key: int = 0
    open: bool = False
    ready: bool = False
    claims: tuple[Claim, ...] = ()


class State(NamedTuple):
    """Tables, processes, and what may still go wrong."""

    rows: tuple[Row | None, ...]
    settled: tuple[int, ...]
    budget: Budget
    workers: tuple[Worker, ...] = (Worker(), Worker())
    samples: frozenset[tuple[int, int]] = frozenset()
    verdicts: int = 0
    cancelled: frozenset[int] = frozenset()
    listed: frozenset[int] = frozenset()  # keys in table workers
    looked: tuple[int, ...] | None = None  # what the leader saw, until it reaps
    late: frozenset[int] = frozenset()  # judges whose safety deadline has passed
    enqueued: bool = False
    extended: bool = False
    misled: bool = False  # a settle was accepted for another claim than its own
    echo: tuple[int, Claim] | None = None
    next_key: int = 1


Step: TypeAlias = tuple[str, State]
FAULTS: Final = frozenset({"crash", "lose", "late", "stop", "cancel", "double", "echo", "deaf"})
"""Steps that need not happen, so nothing may wait for one."""


def initial(world: World, rules: Rules) -> State:
    """Return the state before anything is enqueued: two idle workers."""
    jobs = world.judges[-1] + 1 if world.judge else world.slots
    state = State(rows=(None,) * jobs, settled=(0,) * jobs, budget=world.budget)
    return _start(rules, _start(rules, state, 0), 1)


def steps(world: World, rules: Rules, state: State) -> Iterator[Step]:
    """Yield every step that may come next."""
    if not state.enqueued:
        yield "enqueue", _enqueue(world, state)
        return
    yield from _clock(world, rules, state)
    for index, worker in enumerate(state.workers):
        yield from _life(world, rules, state, index)
        yield from _work(world, rules, state, index)
        if worker.ready:
            yield from _turns(world, rules, state, index)
        if worker.ready and worker.open:
            yield from _upkeep(rules, state)
    yield from _cancel(state)
    if state.echo is not None:
        key, claim = state.echo
        yield "echo", _settle(world, rules, state._replace(echo=None), key, (claim,))


def unsettled(world: World, state: State) -> int:
    """Return how many slots are live, as the judge counts them."""
    return sum(row is not None for job, row in enumerate(state.rows) if job not in world.judges)


def is_over(state: State) -> bool:
    """Say whether everything that was enqueued has been settled or cancelled."""
    return state.enqueued and not any(state.rows)


def _enqueue(world: World, state: State) -> State:
    rows = _window(world.slots) if world.judge else (Row(due=True),) * world.slots
    later = (None,) * (len(state.rows) - len(rows))
    return state._replace(rows=rows + later, enqueued=True)


def _window(slots: int) -> tuple[Row, ...]:
    return (*(Row(due=True),) * slots, Row(due=False, awaiting=slots))


def _extend(world: World, rules: Rules, state: State) -> State:
    """Plan the extra slots and their judge, in one transaction."""
    if state.extended and rules.extend_once:
        return state
    planned = state.rows[: world.slots + 1] + _window(world.extra)
    return state._replace(rows=planned, extended=True)


def _clock(world: World, rules: Rules, state: State) -> Iterator[Step]:
    """Time passes. A judge that looks in vain twice learns nothing new, so it looks late once."""
    for job, row in enumerate(state.rows):
        if row is None or row.due or row.owner:
            continue
        is_judge = job in world.judges
        if job in state.late and unsettled(world, state):
            continue
        if is_judge and not rules.safety and not row.attempt:
            continue
        after = _put(state, job, row._replace(due=True))
        yield "clock", after._replace(late=state.late | ({job} if is_judge else set()))


def _start(rules: Rules, state: State, index: int) -> State:
    """Begin a new life: first the lock, then the row; nobody can tell these two apart.

    It follows the old life at once, for a process that is not there is one that does nothing yet.
    """
    key = state.next_key
    locked = rules.lock_before_row
    worker = Worker(key=key, open=locked, ready=locked)
    state = state._replace(listed=state.listed | {key}, next_key=key + 1)
    return _set(state, index, worker)


def _life(world: World, rules: Rules, state: State, index: int) -> Iterator[Step]:
    """Yield what befalls a worker: registered, killed, cut off, aware of it, stopped."""
    worker, budget = state.workers[index], state.budget
    if not worker.ready:
        yield "lock", _set(state, index, worker._replace(open=True, ready=True))
    elif not worker.open:
        yield "notice", _start(rules, state, index)
    if budget.faults:
        poorer = state._replace(budget=budget._replace(faults=budget.faults - 1))
        yield "crash", _start(rules, poorer, index)
        if worker.open and worker.claims:
            yield "lose", _set(poorer, index, worker._replace(open=False))
    if budget.stops and worker.open and worker.ready:
        poorer = state._replace(budget=budget._replace(stops=budget.stops - 1))
        yield "stop", _release(rules, poorer, index)


def _release(rules: Rules, state: State, index: int) -> State:
    worker = state.workers[index]
    state = _free(state, [job for job, row in enumerate(state.rows) if _owner(row) == worker.key])
    if not rules.stop_before_release:
        return state
    return _start(rules, state._replace(listed=state.listed - {worker.key}), index)


def _work(world: World, rules: Rules, state: State, index: int) -> Iterator[Step]:
    """Yield what tasks do, also those of a worker that was cut off and does not know it."""
    worker = state.workers[index]
    for claim in worker.claims:
        rest = tuple(other for other in worker.claims if other != claim)
        if claim.outcome == UNSTORED:
            stored = state._replace(samples=state.samples | {(claim.job, claim.occurrence)})
            yield "store", _set(stored, index, worker._replace(claims=rest))
        if claim.outcome == BLIND:
            decided = tuple(sorted((*rest, claim._replace(outcome=COMPLETED))))
            after = _extend(world, rules, state)
            yield "extend", _set(after, index, worker._replace(claims=decided))
        if claim.outcome != RUNNING:
            continue
        for outcome, after in _outcomes(world, rules, state, claim):
            ended = tuple(sorted((*rest, claim._replace(outcome=outcome))))
            yield "work", _set(after, index, worker._replace(claims=ended))


def _outcomes(world: World, rules: Rules, state: State, claim: Claim) -> Iterator[Step]:
    if claim.job in world.judges:
        if rules.judge_looks and unsettled(world, state):
            yield RETRY, state
        elif world.extra and not state.extended:
            yield BLIND, state
        else:
            verdicts = 1 if rules.verdict_once else state.verdicts + 1
            yield COMPLETED, state._replace(verdicts=verdicts)
        return
    yield COMPLETED, state
    if (left := state.budget.retries) and claim.job == 0:
        yield RETRY, state._replace(budget=state.budget._replace(retries=left - 1))


def _turns(world: World, rules: Rules, state: State, index: int) -> Iterator[Step]:
    """Yield the turns of a worker: settle all that is done, claim nothing, one or all of the due.

    The statement of a worker that was cut off is sent all the same: here it arrives.
    """
    worker = state.workers[index]
    done = tuple(claim for claim in worker.claims if claim.outcome not in PENDING)
    due = [job for job, row in enumerate(state.rows) if _claimable(rules, row, worker)]
    batches = [[], *([job] for job in due), *([due] if len(due) > 1 else [])]
    for batch in batches if worker.open else [[]]:
        if not done and not batch:
            continue
        for after in _turn(world, rules, state, index, done, batch):
            yield "turn" if worker.open else "late", after
        if not rules.answer_or_end and batch:
            yield "deaf", _take(state, index, batch)._replace(workers=state.workers)
    if done and state.budget.doubles:
        poorer = state._replace(budget=state.budget._replace(doubles=state.budget.doubles - 1))
        for after in _turn(world, rules, poorer, index, done, []):
            yield "double", after._replace(echo=(worker.key, done[0]))
    if not rules.count_down:
        yield from _overlap(world, rules, state)
    if not rules.join_pending:
        yield from _pass_over(world, rules, state, index)


def _turn(
    world: World, rules: Rules, state: State, index: int, done: tuple[Claim, ...], batch: list[int]
) -> Iterator[State]:
    """Yield what one statement does: its parts see one snapshot and change a row at most once.

    So where it joins and claims the same judge, one of the two has no effect; either may.
    """
    worker = state.workers[index]
    after = _settle(world, rules, state, worker.key, done)
    kept = tuple(claim for claim in worker.claims if claim not in done)
    if not rules.store_with_settle:
        kept += tuple(c._replace(outcome=UNSTORED) for c in done if c.outcome == COMPLETED)
    after = _set(after, index, worker._replace(claims=kept))
    both = [job for job in world.judges if job in batch and after.rows[job] != state.rows[job]]
    yield _take(after, index, [job for job in batch if job not in both])
    if both:
        for job in both:
            after = _put(after, job, state.rows[job])
        yield _take(after, index, batch)


def _take(state: State, index: int, batch: list[int]) -> State:
    worker = state.workers[index]
    claims = list(worker.claims)
    for job in batch:
        row = state.rows[job]
        assert row is not None
        state = _put(state, job, row._replace(owner=worker.key, attempt=row.attempt + 1))
        claims.append(Claim(job, row.attempt + 1, row.occurrence))
    return _set(state, index, worker._replace(claims=tuple(sorted(claims))))


def _settle(
    world: World,
    rules: Rules,
    state: State,
    key: int,
    done: tuple[Claim, ...],
    snapshot: State | None = None,
) -> State:
    arrived, seen = 0, snapshot or state
    for claim in done:
        row = state.rows[claim.job]
        if row is None or not _accepts(rules, row, key, claim):
            continue
        if (row.attempt, row.occurrence) != (claim.attempt, claim.occurrence):
            state = state._replace(misled=True)
        if claim.outcome == RETRY:
            state = _put(state, claim.job, row._replace(due=False, owner=0))
            continue
        state = _finish(world, rules, state, claim)
        arrived += claim.job not in world.judges and state.rows[claim.job] is None
    return _join(world, rules, state, arrived, seen)


def _accepts(rules: Rules, row: Row, key: int, claim: Claim) -> bool:
    if rules.fence_owner and row.owner != key:
        return False
    if rules.fence_attempt and row.attempt != claim.attempt:
        return False
    return row.owner != 0


def _finish(world: World, rules: Rules, state: State, claim: Claim) -> State:
    """Move a job to the finished ones, or plan its next occurrence, whose attempts start anew."""
    job = claim.job
    settled = list(state.settled)
    settled[job] += 1
    state = state._replace(settled=tuple(settled))
    if job in world.judges:
        return _put(state, job, None)
    if rules.store_with_settle:
        state = state._replace(samples=state.samples | {(job, claim.occurrence)})
    again = Row(due=False, occurrence=claim.occurrence + 1)
    return _put(state, job, again if again.occurrence < world.occurrences else None)


def _join(world: World, rules: Rules, state: State, arrived: int, seen: State) -> State:
    for job in world.judges:
        judge = state.rows[job]
        if judge is None or not arrived or not judge.awaiting:
            continue
        if judge.owner and rules.join_pending:
            continue
        awaiting = max(0, judge.awaiting - arrived)
        last = awaiting == 0 if rules.count_down else unsettled(world, seen) == arrived
        state = _put(state, job, judge._replace(awaiting=awaiting, due=judge.due or last))
    return state


def _overlap(world: World, rules: Rules, state: State) -> Iterator[Step]:
    """Two settles at once: each snapshot is older than the other's commit."""
    after = state
    for index, worker in enumerate(state.workers):
        done = tuple(claim for claim in worker.claims if claim.outcome == COMPLETED)
        after = _settle(world, rules, after, worker.key, done, snapshot=state)
        kept = tuple(claim for claim in worker.claims if claim not in done)
        after = _set(after, index, worker._replace(claims=kept))
    if after != state:
        yield "turn", after


def _pass_over(world: World, rules: Rules, state: State, index: int) -> Iterator[Step]:
    """Two settles at once: one is of the judge, whose row the other one's join has just moved."""
    worker = state.workers[index]
    mine = tuple(c for c in worker.claims if c.job == world.slots and c.outcome not in PENDING)
    other = state.workers[1 - index]
    done = tuple(claim for claim in other.claims if claim.outcome == COMPLETED)
    after = _settle(world, rules, state, other.key, done)
    if mine and after.rows[world.slots] != state.rows[world.slots]:
        kept = tuple(claim for claim in other.claims if claim not in done)
        after = _set(after, 1 - index, other._replace(claims=kept))
        kept = tuple(claim for claim in worker.claims if claim not in mine)
        yield "turn", _set(after, index, worker._replace(claims=kept))


def _upkeep(rules: Rules, state: State) -> Iterator[Step]:
    """The leader looks who is dead, and in a later statement puts their jobs back."""
    if not rules.reap:
        return
    dead = _dead(rules, state)
    owners = tuple(_owner(row) for row in state.rows)
    seen = tuple(sorted(dead)) if rules.reap_after_look else owners
    if state.looked is None and (dead or not rules.reap_after_look):
        yield "look", state._replace(looked=seen)
    if state.looked is not None:
        if rules.reap_after_look:
            dead = frozenset(state.looked)
            jobs = [job for job, owner in enumerate(owners) if owner in dead]
        else:
            pairs = enumerate(zip(owners, state.looked, strict=True))
            jobs = [job for job, (owner, old) in pairs if owner in dead and owner == old]
        after = _free(state, jobs if rules.reap_all else jobs[1:])
        yield "reap", after._replace(looked=None, listed=state.listed - dead)


def _dead(rules: Rules, state: State) -> frozenset[int]:
    alive = {worker.key for worker in state.workers if worker.open}
    return state.listed - alive if rules.reap_dead_only else state.listed


def _cancel(state: State) -> Iterator[Step]:
    """Cancel one job, or all of the deployment; running ones, too."""
    live = [job for job, row in enumerate(state.rows) if row is not None]
    if not live or not state.budget.cancels:
        return
    poorer = state._replace(budget=state.budget._replace(cancels=state.budget.cancels - 1))
    for gone in [*([job] for job in live if job != 1), *([live] if len(live) > 1 else [])]:
        rows = tuple(None if job in gone else row for job, row in enumerate(state.rows))
        yield "cancel", poorer._replace(rows=rows, cancelled=state.cancelled | set(gone))


def _claimable(rules: Rules, row: Row | None, worker: Worker) -> bool:
    if row is None or not row.due or row.owner == worker.key:
        return False
    return not (rules.claim_unowned and row.owner)


def canonical(state: State) -> State:
    """Return one state for all that differ only in numbers of keys and the order of workers.

    A dead key that owns nothing never will, so its row in workers may as well be gone.
    """
    workers = sorted(state.workers, key=lambda worker: worker[1:])
    names = {0: 0}
    for key in (*(w.key for w in workers), *map(_owner, state.rows), *(state.looked or ())):
        names.setdefault(key, len(names))
    if state.echo is not None:
        names.setdefault(state.echo[0], len(names))
    rows = [row and row._replace(owner=names[row.owner]) for row in state.rows]
    return state._replace(
        rows=tuple(rows),
        workers=tuple([worker._replace(key=names[worker.key]) for worker in workers]),
        listed=frozenset([names[key] for key in state.listed if key in names]),
        looked=state.looked and tuple([names[key] for key in state.looked]),
        echo=state.echo and (names[state.echo[0]], state.echo[1]),
        next_key=len(names),
    )


def _owner(row: Row | None) -> int:
    return 0 if row is None else row.owner


def _free(state: State, jobs: list[int]) -> State:
    for job in jobs:
        row = state.rows[job]
        if row is not None and row.owner:
            state = _put(state, job, row._replace(owner=0))
    return state


def _put(state: State, job: int, row: Row | None) -> State:
    return state._replace(rows=(*state.rows[:job], row, *state.rows[job + 1 :]))


def _set(state: State, index: int, worker: Worker) -> State:
    workers = (*state.workers[:index], worker, *state.workers[index + 1 :])
    return state._replace(workers=workers)
