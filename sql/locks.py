"""Advisory locks: the namespaces of the two-int form, so that no two uses can collide."""

from __future__ import annotations

from typing import Final

WORKER: Final = 0x5EC90001
"""(WORKER, worker key): held by a worker process as long as it lives."""

LEADER: Final = 0x5EC90002
"""(LEADER, role): held by the one process that plays a role."""

ANSWER: Final = 0x5EC90003
"""(ANSWER, hash of a call): held by who answers a call with an Idempotency-Key."""

MIGRATION: Final = 1
"""Role under LEADER: changing the schema."""

UPKEEP: Final = 2
"""Role under LEADER: looking after the workers, for the length of one statement."""

HOUSE: Final = 3
"""Role under LEADER: keeping house, history above all."""

ARCHIVE: Final = 4
"""Role under LEADER: changing the archive, or bringing something back from it."""
