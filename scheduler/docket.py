"""Deployments that wait to be judged: whoever comes while others are judged goes with the next lot.

Everything around one judgement costs more than the judgement, so a lot of many costs little more
than one. An idle worker judges the first to come at once; nobody waits for company.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, TypeAlias
from uuid import UUID

import structlog

from scheduler.jobs import Outcome

log = structlog.get_logger(__name__)

MOST: Final = 128
"""Deployments judged together: more would not be cheaper, only later."""

Judge: TypeAlias = Callable[[Sequence[UUID]], Awaitable[Mapping[UUID, Outcome]]]


@dataclass(eq=False, slots=True)
class _Case:
    deployment_id: UUID
    outcome: Outcome | None = None
    alone: bool = False


@dataclass
class Docket:
    """The cases in hand, and who judges them: one of those that wait, for all of them."""

    cases: dict[_Case, None] = field(default_factory=dict)
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def call(self, deployment_id: UUID, judge: Judge) -> Outcome:
        """Have a deployment judged and return what came of it.

        Args:
            deployment_id: The deployment.
            judge: Judges many; called with this deployment and others that wait.
        """
        case = _Case(deployment_id)
        self.cases[case] = None
        try:
            async with self.busy:
                if case.outcome is None and not case.alone:
                    await self._judge_together(judge)
                if case.outcome is None:
                    case.outcome = (await judge([deployment_id]))[deployment_id]
        finally:
            del self.cases[case]
        return case.outcome

    async def _judge_together(self, judge: Judge) -> None:
        waiting = (case for case in self.cases if case.outcome is None and not case.alone)
        lot = list(islice(waiting, MOST))
        try:
            outcomes = await judge(list(dict.fromkeys(case.deployment_id for case in lot)))
            for case in lot:
                case.outcome = outcomes[case.deployment_id]
        except Exception:  # one of them may be to blame: let each be judged alone
            log.exception("judged_alone", deployments=len(lot))
            for case in lot:
                case.alone = True
