"""`seqpulse db dump|restore`: the database of one machine as a file, and back."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from core import keys
from core.cli import wiring
from core.database import connect
from core.errors import SettingsError
from core.secrets import Vault
from core.settings import Settings, load
from sql import backup, installation, migrate

File = Annotated[Path, typer.Argument(help="The file.", show_default=False)]


def dump(file: File) -> None:
    """Write the database into FILE. The master key is not in it: back that up, too."""
    settings = load()
    url = wiring.database_url(settings)
    size = backup.dump(url, backup.find_programs(settings.cache_dir), file)
    typer.echo(f"{file}: {size / 2**20:.1f} MiB")
    typer.echo(asyncio.run(_tell_key(url, settings)))


def restore(file: File) -> None:
    """Fill an empty database with FILE, a dump; exit 1 if that cannot be done."""
    settings = load()
    url = wiring.database_url(settings)
    asyncio.run(backup.restore(url, backup.find_programs(settings.cache_dir), file))
    typer.echo(f"restored {file}")
    typer.echo(asyncio.run(_tell_key(url, settings)))
    typer.echo(asyncio.run(_tell_schema(url)))
    typer.echo("roles came without passwords and grants: seqpulse db roles")


async def _tell_key(url: str, settings: Settings) -> str:
    """Say whether the master key of this machine is the one that the database needs."""
    conn = await connect(url)
    try:
        digest = await installation.read_fingerprint(conn)
    finally:
        await conn.close()
    if digest is None:
        return "no process has used this database yet: any master key will do"
    needed = f"the database needs the master key with the fingerprint {digest.hex()[:16]}"
    vault = _find_vault(settings)
    if vault is None:
        return f"{needed}, and there is none here: put it in place before you start a process"
    if installation.fingerprint(vault) == digest:
        return f"{needed}, which is the one here"
    return f"{needed}, and the one here is ANOTHER: processes will be refused"


async def _tell_schema(url: str) -> str:
    conn = await connect(url)
    try:
        todo = await migrate.pending(conn, migrate.shipped())
    finally:
        await conn.close()
    return f"{len(todo)} migration(s) to go: seqpulse migrate" if todo else "the schema is current"


def _find_vault(settings: Settings) -> Vault | None:
    """Return the vault of this machine if there is one; never make a key."""
    if settings.secret_key is None and settings.secret_key_file is None:
        if settings.database_url is not None or not settings.own_key_file.exists():
            return None
        return keys.read(settings.own_key_file)
    try:
        return settings.vault()
    except SettingsError:
        return None
