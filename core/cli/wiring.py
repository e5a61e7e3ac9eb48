"""What several commands need: the settings, the chosen database, a connection."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from analytics import policy
from analytics.policy import Policy
from core import settings as configuration
from core.database import Connection, Pool, connect, create_pool
from core.errors import DatabaseError
from core.settings import Settings
from sql import embedded

T = TypeVar("T")


def choose_policy(chosen: str) -> Policy[Any]:
    """Return the shipped policy of this name, or the one in this `.toml` or `.json` file.

    Raises:
        InvalidInputError: There is none, or the file is no policy.
    """
    path = Path(chosen)
    return policy.load(path) if path.suffix in (".toml", ".json") else policy.find(chosen)


def database_url(settings: Settings) -> str:
    """Return the chosen database: the configured one, else the running private one.

    Raises:
        DatabaseError: There is neither.
    """
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    server = embedded.status(settings.data_dir, settings.cache_dir)
    if server is None:
        raise DatabaseError(
            "there is no database: start the private one with `seqpulse db start` (or everything "
            "at once with `seqpulse up`), or set SEQPULSE_DATABASE_URL"
        )
    return server.url


def with_connection(work: Callable[[Connection, Settings], Awaitable[T]]) -> T:
    """Run `work` with a connection to the chosen database and the settings."""
    settings = configuration.load()

    async def run() -> T:
        connection = await connect(database_url(settings), application="seqpulse cli")
        try:
            return await work(connection, settings)
        finally:
            await connection.close()

    return asyncio.run(run())


def with_pool(work: Callable[[Pool, Settings], Awaitable[T]], size: int) -> T:
    """Run `work` with a pool of up to `size` connections and the settings."""
    settings = configuration.load()

    async def run() -> T:
        url = database_url(settings)
        async with await create_pool(url, size, application="seqpulse cli") as pool:
            return await work(pool, settings)

    return asyncio.run(run())
