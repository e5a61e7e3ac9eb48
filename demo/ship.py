"""Ships the releases as a pipeline would, with the published SDK's CI client."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

from seqpulse import SeqPulseCIClient

from core.errors import SeqPulseError
from demo.releases import RELEASES, Behaviour, Release
from demo.stage import PATIENCE_SECONDS, Say, Stage

BASELINE_SECONDS: Final = 6.0
ROLLOUT_SECONDS: Final = 1.5


@dataclass(frozen=True, slots=True)
class Shipped:
    """A release and what GET /deployments/{id}/verdict says of it."""

    release: Release
    answer: dict[str, Any]

    @property
    def as_expected(self) -> bool:
        """Whether the verdict is the right one."""
        release, answer = self.release, self.answer
        return bool(
            answer["verdict"] == release.expected and answer["conclusive"] == release.conclusive
        )


async def ship_all(on: Stage, say: Say) -> AsyncIterator[Shipped]:
    """Ship every release in turn, each rolled back before the next, and yield the verdicts."""
    say(f"letting the shop run for {BASELINE_SECONDS:.0f} s: the baseline")
    await asyncio.sleep(BASELINE_SECONDS)
    for release in RELEASES:
        yield Shipped(release, await _ship(on, release, say))
        await on.put_release(Behaviour.HEALTHY)


async def _ship(on: Stage, release: Release, say: Say) -> dict[str, Any]:
    say(f"release {release.version}, {release.story}: deploying")
    ci = SeqPulseCIClient(
        base_url=on.api_url,
        api_key=on.api_key,
        metrics_endpoint=on.shop.metrics_endpoint,
        non_blocking=False,
    )
    begun = await asyncio.to_thread(
        ci.trigger, branch=f"release-{release.version}", idempotency_key=release.version
    )
    await asyncio.sleep(ROLLOUT_SECONDS / 2)
    await on.put_release(release.behaviour)
    await asyncio.sleep(ROLLOUT_SECONDS / 2)
    await asyncio.to_thread(ci.finish, deployment_id=begun["deployment_id"], result="success")
    say(f"release {release.version}: deployed, observing 5 slots")
    return await _verdict(on, begun["deployment_id"])


async def _verdict(on: Stage, deployment_id: str) -> dict[str, Any]:
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < give_up_at:
        response = await on.get(f"/deployments/{deployment_id}/verdict")
        if response.status_code == 200:
            answer: dict[str, Any] = response.json()
            return answer
        await asyncio.sleep(0.2)
    raise SeqPulseError(f"no verdict for {deployment_id} after {PATIENCE_SECONDS:.0f} s")
