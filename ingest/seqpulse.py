"""Source `seqpulse`: the endpoint of a published SDK, asked with a signed GET."""

from __future__ import annotations

from core.types import Reading, Target
from ingest import payload
from ingest.signature import sign
from ingest.web import Occasion, Route, Web


async def collect(web: Web, route: Route, target: Target, occasion: Occasion) -> Reading:
    """Read what the service reports now; the endpoint knows of no other moment.

    Raises:
        CollectError: The answer is not an agreed one.
        httpx.HTTPError: No complete answer came.
    """
    headers = dict([target.header] if target.header else [])
    if target.hmac_secret is not None:
        path = route.url.raw_path.decode("ascii")
        headers |= sign(
            target.hmac_secret, "GET", path, target.project_id, occasion.now, occasion.nonce
        )
    return payload.parse(await web.exchange(route, headers))
