"""What is told of a deployment step by step. Pure: how far it is, what was told, what is new.

An event's id says everything that was told up to it. So whoever comes back with the last id gets
the rest, from any process, and nobody has to remember what was told to whom.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final, Self

from pydantic_core import to_json

from core.types import DeploymentState
from sql.progress import Progress

STATES: Final = tuple(DeploymentState)
_FORM: Final = re.compile(r"([0-4])-([0-9a-f]{1,32})-([0-9]{1,9})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Told:
    """What was told of a deployment.

    Attributes:
        states: How many of its states, in their order.
        slots: One bit for each slot, the lowest for `pre`.
        revision: The last verdict, 0 for none.
    """

    states: int = 0
    slots: int = 0
    revision: int = 0

    def __str__(self) -> str:
        """Return the id of an event."""
        return f"{self.states}-{self.slots:x}-{self.revision}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return what an id says, None if it is none."""
        match = _FORM.fullmatch(text)
        return match and cls(int(match[1]), int(match[2], 16), int(match[3]))


@dataclass(frozen=True, slots=True)
class Event:
    """Something to be told, and what was told with it."""

    kind: str
    data: dict[str, Any]
    told: Told

    def encode(self) -> bytes:
        """Return it as server-sent event."""
        return b"event: %s\nid: %s\ndata: %s\n\n" % (
            self.kind.encode(),
            str(self.told).encode(),
            to_json(self.data),
        )


def list_events(told: Told, now: Progress) -> Iterator[Event]:
    """Yield what is new, in the order in which it may have happened."""
    reached = STATES.index(now.state) + 1
    if reached < told.states:  # a later pipeline took the deployment over: it begins anew
        told = Told(revision=told.revision)
    before_slots = min(reached, STATES.index(DeploymentState.FINISHED) + 1)
    yield from _list_states(told, before_slots)
    told = replace(told, states=max(told.states, before_slots))
    for slot, code in sorted(now.slots.items()):
        if not told.slots >> slot & 1:
            told = replace(told, slots=told.slots | 1 << slot)
            phase = {"phase": "post", "sequence_index": slot - 1} if slot else {"phase": "pre"}
            yield Event("slot", {**phase, "collected": code is None, "code": code}, told)
    yield from _list_states(told, reached)
    told = replace(told, states=max(told.states, reached))
    if now.revision > told.revision:
        said = {
            "revision": now.revision,
            "verdict": now.verdict,
            "conclusive": now.conclusive,
            "reason_code": now.reason_code,
        }
        yield Event("verdict", said, replace(told, revision=now.revision))


def _list_states(told: Told, reached: int) -> Iterator[Event]:
    for number in range(told.states, reached):
        yield Event("state", {"state": STATES[number]}, replace(told, states=number + 1))
