"""The status of a deployment on GitHub: find the deployment there, then say how it went.

Nobody tells us its id there (the SDK knows none), but GitHub knows environment and ref of each. Of
those that were made for this rollout the latest counts; if there is none, none is guessed.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote, urlencode

from core.errors import CollectError
from core.types import CollectCode
from ingest.outbound import Outbound, Parcel, Reply
from ingest.payload import load_json
from scheduler import messages
from sql.notifications import Delivery, News

LONGEST_PIPELINE: Final = timedelta(hours=6)
"""The deployment is made when the pipeline's job begins; so long before the trigger at most."""
UNKNOWN_BRANCH: Final = "unknown"
PAGE: Final = 100


async def tell(
    outbound: Outbound, delivery: Delivery, api_url: str, public_url: str | None
) -> Reply:
    """Set the status, or for a test only look whether the token opens the repository.

    Args:
        outbound: Sends.
        delivery: To a channel of this kind.
        api_url: Of GitHub's API, without a slash at the end.
        public_url: Where our API is reached; None: no link.

    Raises:
        CollectError: There was no answer, or GitHub knows no such deployment.
    """
    news = delivery.news
    place = f"{api_url}/repos/{quote(delivery.shown)}/deployments"
    asked = {"per_page": 1} if news is None else _ask(news)
    listed = await _send(outbound, delivery, f"{place}?{urlencode(asked)}")
    if news is None or not 200 <= listed.status < 300:
        return listed
    found = find_deployment(load_json(listed.body), news)
    if found is None:
        raise CollectError(
            CollectCode.NO_DATA,
            f"GitHub has no deployment of {news.branch} to {news.env} from that time",
            permanent=True,
        )
    body = messages.write_github_status(news, public_url)
    return await _send(outbound, delivery, f"{place}/{found}/statuses", body)


def find_deployment(listed: Any, news: News) -> int | None:  # noqa: ANN401 - whatever was answered
    """Return the id of the latest deployment that was made for this rollout, if there is one."""
    made = {
        moment: each["id"]
        for each in (listed if isinstance(listed, list) else ())
        if isinstance(each, dict) and type(each.get("id")) is int
        if (moment := _read_moment(each.get("created_at"))) is not None
    }
    since = news.triggered_at - LONGEST_PIPELINE
    latest = max((moment for moment in made if since <= moment <= news.finished_at), default=None)
    return None if latest is None else made[latest]


def _ask(news: News) -> dict[str, object]:
    ref = {} if news.branch == UNKNOWN_BRANCH else {"ref": news.branch}
    return {"environment": news.env, "per_page": PAGE, **ref}


def _read_moment(text: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo else None


async def _send(
    outbound: Outbound, delivery: Delivery, url: str, body: bytes | None = None
) -> Reply:
    headers = {
        "Authorization": f"Bearer {delivery.access}",
        "Accept": "application/vnd.github+json",
        "X-GitHub-Api-Version": "2022-11-28",
    }
    media_type = {} if body is None else messages.JSON
    parcel = Parcel(url, {**headers, **media_type}, body)
    reply = await outbound.send(parcel, delivery.project_id, wants_body=body is None)
    if reply.status == 403 and reply.retry_after_seconds is not None:
        return reply._replace(status=429)  # as GitHub says it, too
    return reply
