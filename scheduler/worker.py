"""The loop: settle what is done, claim what is due, wait for a reason to go on.

A worker holds one dedicated connection. On it lie its advisory lock (proof of life), its claims
and its settlements. If the connection dies, so do the claims: running handlers are cancelled,
their results dropped, and the worker starts over with a new connection under a new key.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import InitVar, dataclass, field, replace
from typing import Final
from uuid import UUID

import asyncpg
import structlog

from core.database import DATABASE_ERRORS, Contact
from core.errors import DatabaseError
from core.types import CollectCode, MissedSlot
from scheduler import house, queue, upkeep
from scheduler.crew import Crew
from scheduler.crew import Handle as Handle
from scheduler.jobs import Job, Outcome, Settlement, Status
from scheduler.session import Session, open_session, surviving
from scheduler.telemetry import Telemetry

log = structlog.get_logger(__name__)

RETRY_SECONDS: Final = 1.0
AROUND_SECONDS: Final = 0.01
"""While there is a backlog, so often a claim goes round the projects..."""
AROUND_EACH: Final = 4
"""...and takes so many jobs of each."""
AROUND_PAUSE: Final = 2
"""It may cost a third of the time: what it took, times this, is the least pause after it."""
FULL_SECONDS: Final = 0.05
"""A worker with its hands full looks so often whether somebody else's job needs it."""
REWIND_SECONDS: Final = 0.25
"""During a backlog, so often a claim starts at the beginning of the queue again."""
HELD_UP_SECONDS: Final = 0.1
"""After so long a settlement is tried again whose row somebody else has locked."""
UNSTORABLE: Final = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.CardinalityViolationError,
)
LOST: Final = (*DATABASE_ERRORS, DatabaseError)


@dataclass(frozen=True, slots=True)
class Options:
    """How a worker works.

    Attributes:
        concurrency: Jobs it holds at the same time.
        poll_seconds: It looks for due jobs at least this often, whoever fails to wake it.
        reap_seconds: How often it looks whether another worker died, unless nobody has work.
        silent_seconds: A worker that has said nothing to the database for so long is cut off.
        grace_seconds: Time that running jobs get when it stops; the rest is handed back.
        rules: How house is kept.
    """

    concurrency: int = 500
    poll_seconds: float = 10.0
    reap_seconds: float = 0.4
    silent_seconds: float = 30.0
    grace_seconds: float = 15.0
    rules: house.Rules = field(default_factory=house.Rules)


async def run(
    url: str,
    handle: Handle,
    options: Options,
    stop: asyncio.Event,
    telemetry: Telemetry | None = None,
) -> None:
    """Work until `stop` is set, through as many connections as it takes.

    Args:
        url: The database; the worker opens a connection of its own.
        handle: Does a job and returns how it ended; must not raise.
        options: How to work.
        stop: Set it to end: nothing more is claimed, running jobs get their grace.
        telemetry: Counts what it does.

    Raises:
        SettingsError: Something between us and the server shares sessions among clients.
    """
    telemetry = telemetry or Telemetry()
    contact = Contact("worker")
    async with house.keeping(url, options.rules):
        while not stop.is_set():
            telemetry.turn(0)
            try:
                async with open_session(url, stop) as session:
                    contact.keep()
                    telemetry.is_connected = True
                    log.info("worker_started", owner=session.owner)
                    await _Loop(session, handle, options, telemetry).run()
            except LOST as error:
                telemetry.is_connected = False
                contact.lose(error)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), RETRY_SECONDS)
    log.info("worker_stopped")


@dataclass
class _Loop:
    """The work of one session."""

    session: Session
    handle: InitVar[Handle]
    options: Options
    telemetry: Telemetry
    crew: Crew = field(init=False)
    in_hand: set[int] = field(default_factory=set)
    around: set[int] = field(default_factory=set)
    done: list[Settlement] = field(default_factory=list)
    careful: int = 0
    wary: bool = False
    since: queue.Position = queue.BEGINNING
    rewound_at: float = 0.0
    around_at: float = 0.0
    around_after: UUID = queue.FIRST_PROJECT
    quiet: bool = False
    ticked_at: float = float("-inf")

    def __post_init__(self, handle: Handle) -> None:
        self.crew = Crew(handle, self._finish)

    async def run(self) -> None:
        """Take turns until the worker is stopped and has nothing left to do."""
        session = self.session
        grace = asyncio.timeout(None)
        try:
            async with grace:
                while not self._is_over():
                    session.wake.clear()
                    if session.stop.is_set() and grace.when() is None:
                        loop = asyncio.get_running_loop()
                        grace.reschedule(loop.time() + self.options.grace_seconds)
                    await self._keep_up()
                    await self._wait(await self._take_turn())
        except TimeoutError:
            if not grace.expired():
                raise
            log.warning("jobs_handed_back", count=len(self.in_hand))
        finally:
            await self.crew.dismiss()

    async def _take_turn(self) -> float:
        """Settle, claim and start; return for how long there is nothing to do."""
        self.telemetry.turn(len(self.in_hand))
        settlements = self.done[:1] if self.careful else list(self.done)
        ended = {item.job.id for item in settlements}
        room = self.options.concurrency - len(self.in_hand - self.around - ended)
        limit = 0 if self.session.stop.is_set() else max(0, room)
        since = self._choose_since()
        try:
            turn = await queue.take_turn(
                self.session.conn, self.session.owner, settlements, limit, since, wary=self.wary
            )
        except UNSTORABLE as error:
            log.error("unstorable", error=str(error), settlements=len(settlements))
            self._isolate(settlements)
            return 0.0
        except asyncpg.PostgresConnectionError:
            raise
        except asyncpg.PostgresError as error:
            # Say no room on disk, or a row that somebody locked. Nothing was committed: try again.
            log.warning("turn_failed", error=str(error), settlements=len(settlements))
            before, self.wary = self.wary, isinstance(error, asyncpg.LockNotAvailableError)
            return 0.0 if self.wary and not before else RETRY_SECONDS
        self._note(settlements, turn)
        self._start(turn.claimed)
        pause = await self._look_further(turn, limit)
        if len(turn.held_up) < len(settlements) or len(turn.held_up) < len(self.done):
            return 0.0
        if turn.held_up:
            return HELD_UP_SECONDS
        return self.options.poll_seconds if pause is None else pause

    def _note(self, settlements: list[Settlement], turn: queue.Turn) -> None:
        """Forget what is settled or lost; what was held up waits behind the others."""
        again = [item for item in settlements if item.job.id in turn.held_up]
        self.done[:] = self.done[len(settlements) :] + again
        self.careful = max(0, self.careful - 1)
        self.wary = bool(turn.held_up)
        ended = {item.job.id for item in settlements} - turn.held_up
        self.in_hand -= ended
        self.around -= ended
        self.quiet = turn.nothing_due
        unsettled = turn.lost | turn.held_up
        self.telemetry.settle([item for item in settlements if item.job.id not in unsettled])
        if turn.lost:
            self.telemetry.claims_lost.inc(len(turn.lost))
            log.warning("claims_lost", count=len(turn.lost))

    async def _look_further(self, turn: queue.Turn, limit: int) -> float | None:
        """Return when the next job is due; during a backlog claim round the projects, too."""
        if len(turn.claimed) < limit:  # there is no backlog
            self.since = queue.BEGINNING
            return turn.due_in_seconds
        if turn.claimed:
            self.since = min((job.scheduled_at, job.id) for job in turn.claimed)
        await self._claim_around()
        return 0.0 if turn.claimed else FULL_SECONDS

    def _isolate(self, settlements: list[Settlement]) -> None:
        """Find the settlement the database refuses, one by one, and settle that without its data.

        Nothing that one target sends may keep the others from being settled.
        """
        if self.careful and settlements:
            missed = MissedSlot(settlements[0].job.slot, CollectCode.INTERNAL, "cannot be stored")
            outcome = Outcome(Status.FAILED, last_error=str(missed.code), missed=missed)
            if settlements[0].outcome.missed:
                outcome = replace(outcome, missed=None)
            self.done[0] = Settlement(settlements[0].job, outcome)
        self.careful = len(self.done)

    def _choose_since(self) -> queue.Position:
        """Go on where the last full turn ended, but look at the whole queue now and then."""
        now = time.monotonic()
        if now - self.rewound_at >= REWIND_SECONDS:
            self.rewound_at = now
            self.since = queue.BEGINNING
        return self.since

    async def _claim_around(self) -> None:
        """Claim a few jobs of every project, as many as the ordinary claim may hold beside them."""
        began = time.monotonic()
        room = self.options.concurrency - len(self.around)
        if self.session.stop.is_set() or began < self.around_at or room <= 0:
            return
        conn, owner = self.session.conn, self.session.owner
        with surviving("claim_around"):
            jobs, self.around_after = await queue.claim_around(
                conn, owner, room, AROUND_EACH, self.around_after
            )
            self.around.update(job.id for job in jobs)
            self._start(jobs)
        now = time.monotonic()
        self.around_at = now + max(AROUND_SECONDS, AROUND_PAUSE * (now - began))

    async def _keep_up(self) -> None:
        """Look after the other workers when it is time."""
        now = time.monotonic()
        if now >= self._ticks_at():
            self.ticked_at = now
            with surviving("tick"):
                recovered = await upkeep.tick(self.session.conn, self.options.silent_seconds)
                self.telemetry.recovered.inc(recovered)

    def _ticks_at(self) -> float:
        """While nothing is due nobody holds a claim, so nobody's death can delay anything."""
        pause = self.options.poll_seconds if self.quiet else self.options.reap_seconds
        return self.ticked_at + pause

    async def _wait(self, seconds: float) -> None:
        """Wait until something is due or done, or somebody wakes us; let handlers run meanwhile."""
        seconds = min(seconds, self.options.poll_seconds, self._ticks_at() - time.monotonic())
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.session.wake.wait(), seconds)

    def _is_over(self) -> bool:
        return self.session.stop.is_set() and not self.in_hand

    def _start(self, jobs: list[Job]) -> None:
        self.in_hand.update(job.id for job in jobs)
        self.telemetry.start(jobs)
        self.crew.take(jobs)

    def _finish(self, settlement: Settlement) -> None:
        self.done.append(settlement)
        self.session.wake.set()
