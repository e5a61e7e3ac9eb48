"""Long-running commands: the API, a worker, or everything on one machine; and the schema."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Annotated

import structlog
import typer
import uvicorn

from analytics.policy import choose
from api import wire
from api.app import create_app
from core import logs, processes
from core import settings as configuration
from core.cli import probes, wiring
from core.database import Connection, connect, create_pool
from core.errors import SettingsError
from core.settings import Settings
from core.telemetry import watch_pool
from ingest.collector import Collector
from ingest.guard import parse_rules
from ingest.outbound import Outbound
from ingest.turns import Turns
from scheduler import house, tasks
from scheduler import worker as loop
from scheduler.telemetry import Telemetry
from sql import edition, embedded, footprint, installation, retention
from sql import migrate as migrations

log = structlog.get_logger(__name__)

MAX_READS = 200
"""Targets one worker reads at the same time; further jobs wait inside it."""

Host = Annotated[str | None, typer.Option(help="Address to listen on (SEQPULSE_API_HOST).")]
Port = Annotated[int | None, typer.Option(help="Port to listen on (SEQPULSE_API_PORT).")]


def _settings(**overrides: object) -> Settings:
    """Load the settings, options of the command line first, and set up the logs."""
    given = {name: value for name, value in overrides.items() if value is not None}
    settings = configuration.load(**given)
    logs.configure(settings.log_level, settings.log_format, settings.hidden())
    return settings


def api(host: Host = None, port: Port = None) -> None:
    """Serve the HTTP API (any number of processes on any number of machines)."""
    settings = _settings(api_host=host, api_port=port)
    url = wiring.database_url(settings)
    asyncio.run(_check(url, settings))
    listener = _listen(settings.api_host, settings.api_port, "API")
    server = _Server(wire.configure(create_app(settings, url)))
    for number in (signal.SIGTERM, signal.SIGINT):
        # While it serves, uvicorn handles these itself; afterwards it raises them again, which must
        # not make a graceful stop a failure. Before, they must not get lost.
        signal.signal(number, lambda *_: setattr(server, "should_exit", True))
    gc.freeze()  # what was imported stays: no collection needs to look at it again
    log.info("api_listening", url="http://{}:{}".format(*listener.getsockname()[:2]))
    server.run(sockets=[listener])


class _Server(uvicorn.Server):
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let those go who wait for a verdict or hear a stream, instead of waiting for them."""
        self.config.app.state.seqpulse.let_go()  # type: ignore[union-attr]
        await super().shutdown(sockets)


def worker() -> None:
    """Run jobs: collect, judge (any number of processes on any number of machines)."""
    settings = _settings()
    asyncio.run(_work(wiring.database_url(settings), settings))


def up(host: Host = None, port: Port = None) -> None:
    """Run everything on this machine: database (unless configured), schema, API and one worker."""
    settings = _settings(api_host=host, api_port=port)
    if settings.database_url is not None:
        asyncio.run(_serve_all(settings.database_url.get_secret_value(), settings))
        return
    with embedded.running(settings.data_dir, settings.cache_dir, typer.echo) as server:
        asyncio.run(_serve_all(server.url, settings, {"the database": server.runs}))


def migrate(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit 1 if the schema is not current.")
    ] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Change nothing; tell what would run and who would wait.")
    ] = False,
) -> None:
    """Bring the database schema up to this version."""

    async def work(conn: Connection, settings: Settings) -> None:
        if check:
            await migrations.check(conn)
            typer.echo("the schema is current")
        elif plan:
            todo = await migrations.pending(conn, migrations.shipped())
            for line in footprint.describe(todo) or ["the schema is current"]:
                typer.echo(line)
        else:
            count = await migrations.migrate(conn)
            await edition.reconcile(conn, retention.choose(settings))
            typer.echo(f"applied {count} migration(s)" if count else "the schema was current")

    logs.configure("warning")
    wiring.with_connection(work, command_timeout=None)


async def _check(url: str, settings: Settings) -> None:
    """Fail before serving, with one clear line, if database, schema or key are not right."""
    vault = settings.vault()
    conn = await connect(url)
    try:
        await migrations.check(conn)
        await installation.check_key(conn, vault)
    finally:
        await conn.close()


async def _reconcile(url: str, settings: Settings) -> None:
    """Make the database do what its edition can do by itself."""
    conn = await connect(url)
    try:
        log.info("edition_found", edition=await edition.reconcile(conn, retention.choose(settings)))
    finally:
        await conn.close()


def _listen(host: str, port: int, what: str) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise SettingsError(
            f"cannot listen on {host}:{port} ({error.strerror}): choose another address with "
            f"SEQPULSE_{what}_HOST/SEQPULSE_{what}_PORT"
        ) from None


async def _work(url: str, settings: Settings) -> None:
    stop = _stop_on_signals()
    await _check(url, settings)
    await _reconcile(url, settings)
    telemetry = Telemetry()
    async with (
        await create_pool(url, settings.pool_size, application="seqpulse jobs") as pool,
        Collector(
            timeout_seconds=settings.collect_timeout_seconds,
            slot_seconds=settings.slot_seconds,
            target_allow=settings.target_allow,
            target_hosts=settings.target_hosts,
            target_ports=settings.target_ports,
            max_concurrency=min(settings.worker_concurrency, MAX_READS),
            host_reads_per_second=settings.host_reads_per_second,
            take_turn=Turns(pool, settings.slot_seconds).take,
        ) as collector,
        Outbound(
            parse_rules(settings.target_allow, settings.target_hosts, settings.target_ports),
            timeout_seconds=settings.notify_timeout_seconds,
        ) as outbound,
    ):
        context = tasks.Context(
            pool=pool,
            vault=settings.vault(),
            collector=collector,
            policy=choose(settings.policy),
            settings=settings,
            shadows=tuple(choose(each) for each in settings.shadow_policies),
            outbound=outbound,
            telemetry=telemetry,
        )
        watch_pool(telemetry.registry, pool)
        options = loop.Options(
            concurrency=settings.worker_concurrency,
            poll_seconds=settings.poll_seconds,
            reap_seconds=settings.reap_seconds,
            rules=house.choose(settings),
        )
        with _probes(settings, telemetry):
            handle = partial(tasks.handle, context=context)
            await loop.run(url, handle, options, stop, telemetry)


def _probes(settings: Settings, telemetry: Telemetry) -> AbstractContextManager[None]:
    """Serve the worker's metrics and probes, if that is wanted."""
    if settings.metrics_port is None:
        return nullcontext()
    listener = _listen(settings.metrics_host, settings.metrics_port, "METRICS")
    return probes.serving(listener, telemetry, settings.metrics_token)


async def _serve_all(
    url: str, settings: Settings, watched: Mapping[str, Callable[[], bool]] | None = None
) -> None:
    stop = _stop_on_signals()
    conn = await connect(url, command_timeout=None)
    try:
        await migrations.migrate(conn)
    finally:
        await conn.close()
    env = child_environment(url, settings)
    serve = ["core.cli", "api", "--host", settings.api_host, "--port", str(settings.api_port)]
    with processes.together(
        {
            "the API": lambda: processes.start(serve, env),
            "the worker": lambda: processes.start(["core.cli", "worker"], env),
        }
    ) as running:
        alive = {name: partial(processes.runs, child) for name, child in running.items()}
        await processes.watch({**(watched or {}), **alive}, stop)


def child_environment(url: str, settings: Settings) -> dict[str, str]:
    """Return what a process of this installation must be told: the database and the keys."""
    vault = settings.vault()
    return {
        "SEQPULSE_DATABASE_URL": url,
        "SEQPULSE_SECRET_KEY": vault.master_key,
        "SEQPULSE_SECRET_KEY_PREVIOUS": vault.previous_key or "",
    }


def _stop_on_signals() -> asyncio.Event:
    """Return an event that SIGTERM and SIGINT set."""
    stop = asyncio.Event()
    running = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        running.add_signal_handler(number, stop.set)
    return stop
