"""`seqpulse archive`: history in files, written before it is dropped, checked, and brought back."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, date, timedelta
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from core import logs
from core.cli import wiring
from core.database import Connection
from core.errors import InvalidInputError
from core.settings import Settings
from scheduler import house
from sql import bulk, retention
from sql.archive import expire, manifest, rebuild, restore, verify
from sql.archive.expire import Chunk, Fate, Outcome
from sql.archive.manifest import Part
from sql.archive.store import Store, open_store

RESTORED_DAYS: Final = 7
NOT_ALL: Final = 3
"""Exit code: a chunk was not dropped, or a file is not what it should be."""

app = typer.Typer(
    help="Expired samples as Parquet files (SEQPULSE_ARCHIVE_URL): write, check, bring back.",
    no_args_is_help=True,
)

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


@app.command()
def run(
    url: wiring.ArchiveUrl = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would go.")] = False,
) -> None:
    """Write what is too old into the archive, and drop it from the database.

    Workers do it once an hour. Exit code 3 if something could not be dropped: nothing of it is
    lost, do it again.
    """
    logs.configure("error")
    place = wiring.choose_archive(url)

    async def find(conn: Connection, settings: Settings) -> list[Chunk]:
        keep = retention.choose(settings).samples
        return await expire.find_expired(conn, await bulk.read_clock(conn), keep)

    async def work(conn: Connection, settings: Settings) -> list[Outcome]:
        rules = house.choose(settings.model_copy(update={"archive_url": place}))
        return await house.tidy_now(conn, rules)

    if dry_run:
        for chunk in wiring.with_connection(find):
            typer.echo(_name(chunk))
        return
    outcomes = wiring.with_connection(work)
    for each in outcomes:
        reason = f": {each.reason}" if each.reason else ""
        typer.echo(
            f"{_name(each.chunk)}  {each.rows} rows, {each.written} new to the archive, "
            f"{each.fate}{reason}"
        )
    if any(each.fate is not Fate.DROPPED for each in outcomes):
        raise typer.Exit(NOT_ALL)


@app.command("list")
def list_all(url: wiring.ArchiveUrl = None, as_json: AsJson = False) -> None:
    """List the days of the archive."""
    days: dict[tuple[date, str], list[Part]] = defaultdict(list)
    for part in manifest.load(_open(url)):
        days[part.day, part.table.folder].append(part)
    rows = [_sum_up(day, folder, parts) for (day, folder), parts in sorted(days.items())]
    if as_json:
        for row in rows:
            typer.echo(json.dumps(row))
        return
    table = Table(*(rows[0] if rows else ("day",)), box=None)
    for row in rows:
        table.add_row(
            *(f"{value:,}" if isinstance(value, int) else value for value in row.values())
        )
    Console().print(table)


@app.command("verify")
def check(url: wiring.ArchiveUrl = None) -> None:
    """Read every file and compare it with the manifest; exit code 3 if one is not as it was."""
    store = _open(url)
    parts = manifest.load(store)
    faults = [fault for _, fault in verify.find_faults(store, parts) if fault]
    for fault in faults:
        typer.echo(fault)
    for path in verify.find_strays(store, parts):
        typer.echo(f"{path} does not belong to the archive: left by an interrupted run")
    typer.echo(f"{len(parts) - len(faults)} files sound, {len(faults)} not")
    raise typer.Exit(NOT_ALL if faults else 0)


@app.command("rebuild")
def remake(url: wiring.ArchiveUrl = None) -> None:
    """Make the manifest anew from the files; exit code 3 if something could not be used.

    Lines it still has stay as they are, and nothing is removed.
    """
    store = _open(url)

    async def work(conn: Connection, _settings: Settings) -> rebuild.Rebuilt:
        return await rebuild.rebuild(conn, store, await bulk.read_clock(conn))

    done = wiring.with_connection(work)
    for fault in done.faults:
        typer.echo(fault)
    rows = sum(part.rows for part in done.added)
    typer.echo(f"{done.kept} files known, {len(done.added)} added with {rows} rows")
    raise typer.Exit(NOT_ALL if done.faults else 0)


@app.command("restore")
def bring_back(
    days: Annotated[str, typer.Option(help="2026-01-31, or 2026-01-01:2026-01-31.")],
    url: wiring.ArchiveUrl = None,
    keep_days: Annotated[int, typer.Option(min=1, help="How long they stay.")] = RESTORED_DAYS,
) -> None:
    """Bring days (UTC) back for a while; rows that are in the database stay as they are."""
    first, last = _parse_days(days)
    store = _open(url)

    async def work(conn: Connection, _settings: Settings) -> restore.Restored:
        now = await bulk.read_clock(conn)
        return await restore.restore(conn, store, first, last, now + timedelta(days=keep_days))

    done = wiring.with_connection(work)
    typer.echo(f"rows {done.rows}, stored {done.stored}")


def _open(url: str | None) -> Store:
    return open_store(wiring.choose_archive(url))


def _parse_days(days: str) -> tuple[date, date]:
    first, _, last = days.partition(":")
    try:
        return date.fromisoformat(first), date.fromisoformat(last or first)
    except ValueError:
        raise InvalidInputError(
            "--days: must be like 2026-01-31 or 2026-01-01:2026-01-31"
        ) from None


def _name(chunk: Chunk) -> str:
    since, until = (
        at.astimezone(UTC).isoformat(" ", "minutes") for at in (chunk.since, chunk.until)
    )
    return f"{chunk.table.folder} {since} .. {until}"


def _sum_up(day: date, folder: str, parts: list[Part]) -> dict[str, Any]:
    return {
        "day": day.isoformat(),
        "table": escape(folder),
        "files": len(parts),
        "rows": sum(part.rows for part in parts),
        "bytes": sum(part.bytes for part in parts),
    }
