"""Steady traffic: real HTTP requests at a fixed rate, whether they are answered or not."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import httpx


@dataclass
class Traffic:
    """Shoppers that arrive at a fixed rate (open loop); counts what became of their requests."""

    base_url: str
    per_second: float
    answered: int = 0
    failed: int = 0
    _shoppers: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self) -> None:
        """Send requests until cancelled."""
        loop = asyncio.get_running_loop()
        next_at = loop.time()
        limits = httpx.Limits(max_connections=100, max_keepalive_connections=0)
        async with httpx.AsyncClient(
            base_url=self.base_url, timeout=3.0, trust_env=False, limits=limits
        ) as client:
            try:
                while True:
                    shopper = asyncio.create_task(self._shop(client))
                    self._shoppers.add(shopper)
                    shopper.add_done_callback(self._shoppers.discard)
                    next_at = max(next_at + 1 / self.per_second, loop.time() - 1)
                    await asyncio.sleep(max(0.0, next_at - loop.time()))
            finally:
                for shopper in self._shoppers:
                    shopper.cancel()
                await asyncio.gather(*self._shoppers, return_exceptions=True)

    async def _shop(self, client: httpx.AsyncClient) -> None:
        try:
            response = await client.get("/products")
        except httpx.HTTPError:
            self.failed += 1
        else:
            self.answered += response.is_success
            self.failed += not response.is_success
