"""`seqpulse secrets`: a new master key for the installation, without losing anything."""

from __future__ import annotations

from typing import Annotated

import typer

from core import keys
from core.cli import wiring
from core.database import Connection
from core.errors import ConflictError, SettingsError
from core.secrets import Vault
from core.settings import Settings, load
from sql import installation, rotation
from sql.rotation import Rotation

app = typer.Typer(no_args_is_help=True, help="Change the master key that stored secrets rest on.")


@app.command("new-key")
def new_key() -> None:
    """Put a new master key beside the present one, in the key file of this machine.

    Nothing changes yet: restart every process, so that all know both, and then rotate.
    """
    settings = load()
    if settings.secret_key is not None:
        raise SettingsError(
            "SEQPULSE_SECRET_KEY is set: make a key (openssl rand -hex 32), give every process "
            "the new one as SEQPULSE_SECRET_KEY and the old one as SEQPULSE_SECRET_KEY_PREVIOUS, "
            "restart them, then run `seqpulse secrets rotate`"
        )
    path = settings.secret_key_file or settings.own_key_file
    vault = settings.vault()
    if vault.previous_key is not None:
        raise ConflictError(f"{path} holds two keys already: finish that rotation first")
    keys.write(path, Vault(keys.new_master_key(), vault.master_key))
    typer.echo(f"{path} holds a new key and the one before; back it up, restart every process")


@app.command()
def rotate() -> None:
    """Encrypt every stored secret with the present master key, in one transaction."""

    async def work(conn: Connection, settings: Settings) -> Rotation:
        vault = settings.vault()
        await installation.check_key(conn, vault)
        return await rotation.rotate(conn, vault)

    done = wiring.with_connection(work)
    typer.echo(f"{done.secrets} stored secret(s) encrypted anew")
    _tell(done.api_keys)


@app.command()
def status() -> None:
    """Say which master key the database rests on, and what still needs the one before."""

    async def work(conn: Connection, settings: Settings) -> tuple[Vault, bool, int]:
        vault = settings.vault()
        await installation.check_key(conn, vault)
        old = await rotation.count_old_api_keys(conn, vault)
        return vault, await rotation.is_rotated(conn, vault), old

    vault, rotated, old = wiring.with_connection(work)
    typer.echo(f"master key {vault.key_id}")
    if vault.previous is not None:
        typer.echo(f"the one before {vault.previous.key_id}")
    if not rotated:
        typer.echo("the database rests on the one before: run `seqpulse secrets rotate`")
        raise typer.Exit(1)
    _tell(old)


@app.command()
def forget(
    force: Annotated[bool, typer.Option(help="Even if API keys die of it.")] = False,
) -> None:
    """Take the master key before out of the key file, once nothing needs it any more."""

    async def work(conn: Connection, settings: Settings) -> tuple[Vault, bool, int]:
        vault = settings.vault()
        old = await rotation.count_old_api_keys(conn, vault)
        return vault, await rotation.is_rotated(conn, vault), old

    settings = load()
    vault, rotated, old = wiring.with_connection(work)
    if not rotated:
        raise ConflictError("the database still rests on the key before: rotate first")
    if old and not force:
        raise ConflictError(f"{old} API key(s) still need the key before: see secrets status")
    if settings.secret_key is not None:
        typer.echo("unset SEQPULSE_SECRET_KEY_PREVIOUS and restart every process")
        return
    keys.write(settings.secret_key_file or settings.own_key_file, Vault(vault.master_key))
    typer.echo("the key before is forgotten; restart every process")


def _tell(api_keys: int) -> None:
    if api_keys:
        typer.echo(
            f"{api_keys} API key(s) still need the key before; each moves when it is next used "
            "(or: seqpulse projects rotate-key)"
        )
    else:
        typer.echo("nothing needs the key before: seqpulse secrets forget")
