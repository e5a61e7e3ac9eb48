"""`seqpulse demo`: four releases of a real shop, judged before your eyes."""

from __future__ import annotations

import asyncio
import json
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from core import logs
from core import settings as configuration
from core.errors import SettingsError
from core.settings import Settings
from sql import embedded
from sql.scratch import scratch_database

app = typer.Typer(invoke_without_command=True)


@app.callback()
def run(
    context: typer.Context,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave everything running until Ctrl-C.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of a table.")
    ] = False,
) -> None:
    """Judge four real releases of a real service; exit 0 only if every verdict is right."""
    if context.invoked_subcommand is not None:
        return
    try:
        import seqpulse  # noqa: F401 - only to say early and clearly that it is missing
    except ImportError:
        raise SettingsError(
            "the demo needs the published SDK: pip install 'seqpulse-server[demo]'"
        ) from None
    logs.configure("warning")
    console = Console(stderr=as_json, quiet=as_json, highlight=False)
    if not console.is_terminal:
        console.width = 120  # a log has no width: do not fold the table to 80 columns
    with _database(configuration.load(), console) as url:
        try:
            right = asyncio.run(_play(url, console, keep=keep, as_json=as_json))
        except asyncio.CancelledError:
            raise typer.Exit(128 + signal.SIGTERM) from None
    raise typer.Exit(0 if right else 1)


@contextmanager
def _database(settings: Settings, console: Console) -> Iterator[str]:
    """Lend the chosen server: the configured one, else the private one."""
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
        return
    with embedded.running(settings.data_dir, settings.cache_dir, console.print) as server:
        yield server.url


async def _play(server_url: str, console: Console, *, keep: bool, as_json: bool) -> bool:
    from demo import show
    from demo.ship import Shipped, ship_all
    from demo.stage import environment, stage

    if task := asyncio.current_task():  # SIGTERM clears up like Ctrl-C does
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    shipped: list[Shipped] = []
    folder = tempfile.TemporaryDirectory(prefix="seqpulse-demo-")
    with folder as name, console.status("preparing") as status:

        def say(text: str) -> None:
            status.update(text)
            console.print(f"[dim]{text}[/]")

        say("creating a database of its own for this demo")
        async with (
            scratch_database(server_url, prefix="seqpulse_demo") as url,
            stage(environment(url), Path(name) / "demo.log", say) as on,
        ):
            async for item in ship_all(on, say):
                shipped.append(item)
                say(f"release {item.release.version}: {item.answer['verdict']}")
            status.stop()
            if as_json:
                typer.echo(json.dumps(show.as_json(shipped)))
            else:
                console.print(show.table(shipped))
                show.read_more(console, on.api_url, shipped, keep=keep)
            if keep:
                await _linger(console, on.api_url, on.api_key, url)
    return all(item.as_expected for item in shipped)


async def _linger(console: Console, api_url: str, api_key: str, database_url: str) -> None:
    """Keep everything running until Ctrl-C, and say where it is."""
    console.print(f"\nstill running; API docs {api_url}/docs", soft_wrap=True)
    console.print(f"API key  {api_key}", soft_wrap=True)
    console.print(f"database {database_url}", soft_wrap=True)
    console.print("Ctrl-C ends it and removes the demo's database")
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        console.print("stopping")
