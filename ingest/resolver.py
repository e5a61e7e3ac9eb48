"""The DNS, asked such that one project's slow names delay nobody else's.

The system's resolver blocks its thread until it gives up, half a minute or more, whether anybody
still waits for the answer or not. So the threads are our own, and a project may have only a few of
them busy; whoever asks for more waits for its own earlier names.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from typing import Final
from uuid import UUID
from weakref import WeakValueDictionary

from ingest.guard import Address

THREADS: Final = 64
PER_PROJECT: Final = 2


class Resolver:
    """Looks names up. Belongs to the event loop that first uses it."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="dns")
        # An entry lives as long as somebody waits at it or a lookup of the project is under way.
        self._turns: WeakValueDictionary[UUID, asyncio.Semaphore] = WeakValueDictionary()

    async def look_up(self, project_id: UUID, host: str, port: int) -> Sequence[Address]:
        """Return the addresses of a name, none if it has none or the DNS does not know.

        Args:
            project_id: Who asks; waits while `PER_PROJECT` of its lookups are under way.
            host: A name.
            port: TCP port.
        """
        turns = self._turns.setdefault(project_id, asyncio.Semaphore(PER_PROJECT))
        await turns.acquire()
        lookup = asyncio.get_running_loop().run_in_executor(self._threads, _ask, host, port)
        # Not when the caller gives up, but when the thread comes back.
        lookup.add_done_callback(lambda _: turns.release())
        return await asyncio.shield(lookup)

    def close(self) -> None:
        """Start no further lookups."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _ask(host: str, port: int) -> list[Address]:
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [ip_address(answer[4][0]) for answer in answers]
