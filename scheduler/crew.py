"""Who runs the jobs a worker holds: as many tasks as there are handlers that wait for something."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import structlog

from scheduler.jobs import Job, Outcome, Settlement, Status

log = structlog.get_logger(__name__)

RAISED_SECONDS: Final = 60.0

Handle: TypeAlias = Callable[[Job], Awaitable[Outcome]]


@dataclass
class Crew:
    """Runs jobs, and says how each ended.

    One spare runner suffices: it takes jobs as long as their handlers do not wait for anything,
    and hires the next one before the first that might. A task for every job would cost more than
    many a job.

    Attributes:
        handle: Does a job and returns how it ended; must not raise.
        finish: Told of every job that ended.
    """

    handle: Handle
    finish: Callable[[Settlement], None]
    waiting: deque[Job] = field(default_factory=deque)
    runners: set[asyncio.Task[None]] = field(default_factory=set)
    spare: bool = False

    def take(self, jobs: Sequence[Job]) -> None:
        """Run jobs, in order, as soon as somebody has time."""
        self.waiting.extend(jobs)
        self._hire()

    async def dismiss(self) -> None:
        """Stop whatever is running; nothing is said of it any more."""
        for runner in self.runners:
            runner.cancel()
        await asyncio.gather(*self.runners, return_exceptions=True)

    def _hire(self) -> None:
        """See to it that somebody takes the next waiting job."""
        if self.waiting and not self.spare:
            self.spare = True
            runner = asyncio.create_task(self._run())
            self.runners.add(runner)
            runner.add_done_callback(self.runners.discard)

    async def _run(self) -> None:
        self.spare = False
        while self.waiting:
            job = self.waiting.popleft()
            self._hire()
            try:
                outcome = await self.handle(job)
            except (Exception, asyncio.CancelledError):  # must not be, but a lost job is worse
                if _is_ending():
                    raise
                log.exception("handler_raised", job_id=job.id)
                outcome = Outcome(Status.RETRY, RAISED_SECONDS, "the handler raised")
            self.finish(Settlement(job, outcome))


def _is_ending() -> bool:
    """Say whether this task was cancelled, rather than something it waited for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
