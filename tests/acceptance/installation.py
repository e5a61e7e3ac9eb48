"""A whole installation in processes of its own: API and workers on a fresh database, and a shop."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import httpx

from core import processes
from demo.stage import Shop, answering, free_port

PIPELINE = Path(__file__).with_name("pipeline.py")


class Watched(Protocol):
    """A service with an endpoint of its own."""

    @property
    def metrics_endpoint(self) -> str: ...


@dataclass
class Installation:
    """What a test may start, stop and ask."""

    env: dict[str, str]
    log_path: Path
    http: httpx.AsyncClient
    stack: contextlib.ExitStack
    api_url: str = ""
    project: dict[str, Any] = field(default_factory=dict)

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start `seqpulse ARGUMENTS`; it is stopped at the end of the test."""
        log = self.stack.enter_context(self.log_path.open("ab"))
        process = processes.start(["core.cli", *arguments], self.env, log)
        self.stack.callback(processes.stop, process)
        return process

    async def start_api(self) -> None:
        port = free_port()
        self.start("api", "--port", str(port))
        self.api_url = f"http://127.0.0.1:{port}"
        await answering(self.http, f"{self.api_url}/readyz", self.log_path)

    async def start_shop(self, *, right_secret: bool = True) -> Shop:
        """Create the project and start its shop, with the secret it was given or another one."""
        answer = await self.http.post(
            f"{self.api_url}/projects",
            json={"name": "shop", "hmac": True},
            headers={"Authorization": f"Bearer {self.env['SEQPULSE_OPERATOR_TOKEN']}"},
        )
        self.project = answer.json()
        log = self.stack.enter_context(self.log_path.open("ab"))
        secret = self.project["hmac_secret"]
        shop = Shop(free_port(), log, secret if right_secret else secret[::-1])
        shop.start()
        self.stack.callback(shop.stop)
        await answering(self.http, f"{shop.url}/products", self.log_path)
        return shop

    def pipeline(self, action: str, watched: Watched, **arguments: str) -> dict[str, Any]:
        """Run the published SDK's CI client in a process of its own and return its answer."""
        done = subprocess.run(
            [sys.executable, str(PIPELINE), action, json.dumps(arguments)],
            env={
                "SEQPULSE_BASE_URL": self.api_url,
                "SEQPULSE_API_KEY": self.project["api_key"],
                "SEQPULSE_METRICS_ENDPOINT": watched.metrics_endpoint,
            },
            capture_output=True,
            check=True,
            timeout=30,
        )
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    async def get(self, path: str) -> httpx.Response:
        headers = {"X-API-Key": self.project["api_key"]}
        return await self.http.get(self.api_url + path, headers=headers)

    async def logged(self, event: str, times: int = 1) -> None:
        """Wait until processes have logged an event so often."""
        async with asyncio.timeout(30):
            while self.log.count(f'"{event}"') < times:  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.02)

    @property
    def log(self) -> str:
        return self.log_path.read_text()
