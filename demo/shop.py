"""A small shop: FastAPI, instrumented with the published SDK, HMAC on. `python -m demo.shop`.

The release in effect is switched while it runs (PUT /release/...), as by a hot reload. A failing
release takes the whole process down once, and its supervisor brings it back with the same release.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
from collections.abc import Awaitable, Callable

# The SDK reports CPU and memory of the whole machine, or 0 where there is no psutil. The demo's
# verdicts must be about the shop, not about what else this machine is doing.
sys.modules["psutil"] = None  # type: ignore[assignment]

import seqpulse.core  # noqa: E402
import uvicorn  # noqa: E402
from fastapi import FastAPI, HTTPException, Request, Response  # noqa: E402
from seqpulse import SeqPulse  # noqa: E402

from demo.releases import METRICS_PATH, SECRET_VARIABLE, SLOT_SECONDS, Behaviour  # noqa: E402

# The SDK sums up the last minute, the length of a slot. Here a slot takes a second, so does that.
seqpulse.core.SAMPLE_WINDOW_SECONDS = SLOT_SECONDS

SLOW_SECONDS = 0.4
FAILING_RATIO = 0.3
TURNED_AWAY_RATIO = 0.6
"""Of the shoppers of a failing release: as if most of its instances had not come back."""
CRASH_CODE = 3


def create_shop(behaviour: Behaviour, hmac_secret: str, *, restarted: bool = False) -> FastAPI:
    """Return the shop with one release in effect.

    Args:
        behaviour: The release to begin with.
        hmac_secret: The SDK refuses reads that are not signed with it.
        restarted: Whether the supervisor has brought it back; then it does not crash again.
    """
    shop = FastAPI()
    shop.state.behaviour = behaviour
    shop.state.restarted = restarted
    sdk = SeqPulse(endpoint=METRICS_PATH, hmac_enabled=True, hmac_secret=hmac_secret)
    shop.middleware("http")(sdk.middleware())

    @shop.middleware("http")
    async def stand_before(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        """Answer what never gets as far as the shop and its SDK.

        A silent release has no metrics route any more. Most shoppers of a failing one are turned
        away by the load balancer.
        """
        behaviour, path = shop.state.behaviour, request.url.path
        if behaviour is Behaviour.SILENT and path == METRICS_PATH:
            return Response(status_code=404)
        limping = shop.state.restarted and behaviour is Behaviour.FAILING and path == "/products"
        if limping and random.random() < TURNED_AWAY_RATIO:  # noqa: S311 - a dice, not a secret
            return Response(status_code=503)
        return await call_next(request)

    @shop.get("/products")
    async def products() -> dict[str, list[str]]:
        if shop.state.behaviour is Behaviour.SLOW:
            await asyncio.sleep(SLOW_SECONDS)
        elif shop.state.behaviour is Behaviour.FAILING:
            if not shop.state.restarted:
                os._exit(CRASH_CODE)
            if random.random() < FAILING_RATIO:  # noqa: S311 - a dice, not a secret
                raise HTTPException(500, "out of stock, out of luck")
        return {"products": ["a cup", "a spoon"]}

    @shop.put("/release/{behaviour}")
    async def release(behaviour: Behaviour) -> dict[str, str]:
        shop.state.behaviour = behaviour
        return {"release": behaviour}

    return shop


def main() -> None:
    """Serve the shop on loopback until it is stopped, or crashes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--behaviour", type=Behaviour, default=Behaviour.HEALTHY)
    parser.add_argument("--restarted", action="store_true")
    options = parser.parse_args()
    secret = os.environ.get(SECRET_VARIABLE)
    if not secret:
        sys.exit(f"{SECRET_VARIABLE} is not set")
    shop = create_shop(options.behaviour, secret, restarted=options.restarted)
    uvicorn.run(shop, host="127.0.0.1", port=options.port, log_level="critical")


if __name__ == "__main__":
    main()
