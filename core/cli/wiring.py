"""What several commands need: the settings, the chosen database, a connection."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from core import settings as configuration
from core.database import Connection, Pool, connect, create_pool
from core.errors import DatabaseError, SettingsError
from core.settings import Settings
from sql import embedded, history
from sql.archive import Seeker
from sql.history import Selection

T = TypeVar("T")

Moment = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])]

ArchiveUrl = Annotated[
    str | None, typer.Option(help="Folder or URL instead of SEQPULSE_ARCHIVE_URL.")
]
UseArchive = Annotated[bool, typer.Option("--archive", help="Read samples of the archive, too.")]


def choose_archive(url: str | None) -> str:
    """Return the archive of this URL, or the configured one.

    Raises:
        SettingsError: There is neither.
    """
    place = url or configuration.load().archive_url
    if not place:
        raise SettingsError("SEQPULSE_ARCHIVE_URL is not set: name a folder or a URL, or use --url")
    return place


def open_seeker(url: str | None, *, wanted: bool) -> Seeker | None:
    """Return what finds samples in the archive, None if nobody asked for it.

    Raises:
        ArchiveError: There is no archive, or its manifest cannot be read.
        SettingsError: It is not said where.
    """
    return Seeker(choose_archive(url)) if wanted or url else None


async def select(
    conn: Connection,
    project: str | None,
    env: str | None,
    since: datetime | None,
    until: datetime | None,
) -> Selection:
    """Return which deployments of the past are meant: a project by name or id, moments in UTC.

    Raises:
        NotFoundError: There is no such project.
    """
    given = {"since": since, "until": until}
    return Selection(
        project_id=None if project is None else await history.find_project(conn, project),
        env=env,
        **{name: at.replace(tzinfo=UTC) for name, at in given.items() if at is not None},
    )


def open_progress() -> Progress:
    """Return a bar that counts, on the standard error."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True))


def open_console() -> Console:
    """Return a console whose lines stay whole where no terminal is."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 160
    return console


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


def with_connection(
    work: Callable[[Connection, Settings], Awaitable[T]], command_timeout: float | None = 60
) -> T:
    """Run `work` with a connection to the chosen database and the settings."""
    settings = configuration.load()

    async def run() -> T:
        connection = await connect(
            database_url(settings), application="seqpulse cli", command_timeout=command_timeout
        )
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
