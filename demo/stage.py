"""Everything the demo has running: API, worker, shop and traffic, each a real one."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

import httpx

from core import processes, secrets
from core.errors import SeqPulseError
from demo.releases import METRICS_PATH, SECRET_VARIABLE, SLOT_SECONDS, Behaviour
from demo.traffic import Traffic

REQUESTS_PER_SECOND: Final = 25.0
PATIENCE_SECONDS: Final = 30.0

Say = Callable[[str], None]


@dataclass
class Shop:
    """The shop's process under its supervisor, which restarts it whenever it ends."""

    port: int
    log: IO[bytes]
    hmac_secret: str = field(repr=False)
    behaviour: Behaviour = Behaviour.HEALTHY
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where shoppers go."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def metrics_endpoint(self) -> str:
        """Where SeqPulse reads."""
        return self.url + METRICS_PATH

    def start(self, *, restarted: bool = False) -> None:
        """Start the process with the release that is in effect."""
        arguments = ["demo.shop", "--port", str(self.port), "--behaviour", self.behaviour]
        env = {SECRET_VARIABLE: self.hmac_secret}
        self.process = processes.start([*arguments, *["--restarted"] * restarted], env, self.log)

    async def supervise(self) -> None:
        """Bring the process back when it has crashed, until cancelled."""
        while True:
            if self.process is None or self.process.poll() is not None:
                self.start(restarted=True)
            await asyncio.sleep(0.1)

    def stop(self) -> None:
        """End the process."""
        if self.process is not None:
            processes.stop(self.process)


@dataclass
class Stage:
    """What the demo talks to."""

    api_url: str
    api_key: str = field(repr=False)
    shop: Shop
    http: httpx.AsyncClient

    async def get(self, path: str) -> httpx.Response:
        """Ask the API as the project."""
        return await self.http.get(self.api_url + path, headers={"X-API-Key": self.api_key})

    async def put_release(self, behaviour: Behaviour) -> None:
        """Switch the shop to another release and wait until it is up."""
        self.shop.behaviour = behaviour
        await answering(self.http, f"{self.shop.url}/release/{behaviour}", method="PUT")
        await answering(self.http, f"{self.shop.url}/openapi.json")


@asynccontextmanager
async def stage(env: Mapping[str, str], log_file: Path, say: Say) -> AsyncIterator[Stage]:
    """Start everything, yield it while traffic flows, and stop it.

    Args:
        env: Settings of the API and the worker, see `environment`.
        log_file: Gets the output of all processes.
        say: Told what is happening.

    Raises:
        SeqPulseError: Something did not come up.
    """
    api_port, shop_port = free_port(), free_port()
    api_url = f"http://127.0.0.1:{api_port}"
    async with contextlib.AsyncExitStack() as stack:
        log = stack.enter_context(log_file.open("ab"))
        http = await stack.enter_async_context(httpx.AsyncClient(trust_env=False))
        say("starting the API and a worker")
        stack.enter_context(
            processes.together(
                {
                    "api": lambda: processes.start(
                        ["core.cli", "api", "--port", str(api_port)], env, log
                    ),
                    "worker": lambda: processes.start(["core.cli", "worker"], env, log),
                }
            )
        )
        await answering(http, f"{api_url}/readyz", log_file)
        say("creating the project, starting the shop and its traffic")
        endpoint = f"http://127.0.0.1:{shop_port}{METRICS_PATH}"
        project = await _create_project(http, api_url, env["SEQPULSE_OPERATOR_TOKEN"], endpoint)
        shop = Shop(shop_port, log, project["hmac_secret"])
        shop.start()
        stack.callback(shop.stop)
        await answering(http, f"{shop.url}/products", log_file)
        await stack.enter_async_context(_background(shop.supervise()))
        await stack.enter_async_context(_background(Traffic(shop.url, REQUESTS_PER_SECOND).run()))
        yield Stage(api_url, project["api_key"], shop, http)


def environment(database_url: str) -> dict[str, str]:
    """Return the demo's settings: its own secrets, slots of a second, targets on loopback."""
    return {
        "SEQPULSE_DATABASE_URL": database_url,
        "SEQPULSE_SECRET_KEY": secrets.new_hmac_secret(),
        "SEQPULSE_OPERATOR_TOKEN": secrets.new_hmac_secret(),
        "SEQPULSE_SLOT_SECONDS": str(SLOT_SECONDS),
        "SEQPULSE_BASELINE_INTERVAL_SECONDS": str(SLOT_SECONDS),
        "SEQPULSE_COLLECT_TIMEOUT_SECONDS": "2",
        "SEQPULSE_COLLECT_RETRY_SECONDS": "0.2,0.4",
        "SEQPULSE_TARGET_ALLOW": "127.0.0.0/8",
        "SEQPULSE_LOG_FORMAT": "json",
    }


async def answering(
    http: httpx.AsyncClient, url: str, log_file: Path | None = None, *, method: str = "GET"
) -> None:
    """Ask again and again until `url` answers with success.

    Raises:
        SeqPulseError: It did not in `PATIENCE_SECONDS`; the text shows the end of the log.
    """
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < give_up_at:
        with contextlib.suppress(httpx.HTTPError):
            if (await http.request(method, url)).is_success:
                return
        await asyncio.sleep(0.1)
    raise SeqPulseError(
        f"{url} does not answer after {PATIENCE_SECONDS:.0f} s\n{_tail(log_file)}".rstrip()
    )


def _tail(log_file: Path | None) -> str:
    return log_file.read_text(errors="replace")[-2000:] if log_file else ""


def free_port() -> int:
    """Return a port of loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _create_project(
    http: httpx.AsyncClient, api_url: str, token: str, endpoint: str
) -> dict[str, Any]:
    answer = await http.post(
        f"{api_url}/projects",
        json={"name": "shop", "hmac": True, "metrics_endpoint": endpoint},
        headers={"Authorization": f"Bearer {token}"},
    )
    if not answer.is_success:
        raise SeqPulseError(f"the project could not be created: {answer.text}")
    created: dict[str, Any] = answer.json()
    return created


@asynccontextmanager
async def _background(work: Any) -> AsyncIterator[None]:  # noqa: ANN401 - any coroutine
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
