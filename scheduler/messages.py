"""What receivers are told, in the form each of them understands. Pure: news in, bytes out.

Whatever comes from outside (names of projects, branches, environments) is text in the answer and
nothing else. The same news make the same bytes, however often they are sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic_core import to_json

from core.codes import ChannelKind
from core.types import Verdict
from sql.notifications import Delivery, News

VERSION: Final = 1
"""Of the webhook's JSON; it rises when a member changes its meaning or goes away."""
JSON: Final = {"Content-Type": "application/json"}

SYMBOLS: Final = {
    Verdict.OK: ":white_check_mark:",
    Verdict.WARNING: ":warning:",
    Verdict.ROLLBACK_RECOMMENDED: ":rotating_light:",
}
WORDS: Final = {
    Verdict.OK: "ok",
    Verdict.WARNING: "warning",
    Verdict.ROLLBACK_RECOMMENDED: "rollback recommended",
}
GITHUB_STATES: Final = {
    Verdict.OK: "success",
    Verdict.WARNING: "success",  # it stays deployed, the description warns
    Verdict.ROLLBACK_RECOMMENDED: "failure",
}
MOST_HINTS: Final = 5
"""In a message for people; the webhook has all."""
TITLE_LENGTH: Final = 150
HINT_LENGTH: Final = 500
"""Before escaping, which makes it five times as long at worst; a section may have 3000."""
GITHUB_LENGTH: Final = 140


def write_webhook(delivery: Delivery, public_url: str | None) -> bytes:
    """Return the JSON of a webhook, as docs/webhook.schema.json has it.

    Args:
        delivery: Of a verdict, or a test.
        public_url: Where the API is reached, without a slash at the end; None: no links.
    """
    news = delivery.news
    return to_json(
        {
            "type": "channel.test" if news is None else "deployment.verdict",
            "version": VERSION,
            "timestamp": delivery.created_at if news is None else news.judged_at,
            "data": _test_data(delivery) if news is None else _data(news, public_url),
        }
    )


def write_slack(delivery: Delivery, public_url: str | None) -> bytes:
    """Return a message for Slack: blocks, and a text for what does not understand them."""
    news = delivery.news
    if news is None:
        text = f"SeqPulse reaches this channel ({_escape(_cut(delivery.channel, TITLE_LENGTH))})"
        return to_json({"text": text, "blocks": [_section(text)]})
    title = _cut(f"{news.project} in {news.env}: {_say(news)}", TITLE_LENGTH)
    link = _link(news, public_url)
    said = [_section(_say_hint(hint.title, hint.diagnosis)) for hint in news.hints[:MOST_HINTS]]
    facts = _escape(
        f"branch {_cut(news.branch, TITLE_LENGTH)}, {news.reason_code}, "
        f"confidence {news.confidence:.0%}, revision {news.revision}"
    )
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": title, "emoji": False}},
        *said,
        {"type": "context", "elements": [{"type": "mrkdwn", "text": facts}]},
    ]
    if link is not None:
        blocks.append(_section(f"<{_escape(link)}|Open the report>"))
    tail = "" if link is None else f" <{_escape(link)}|report>"
    return to_json({"text": f"{SYMBOLS[news.verdict]} {_escape(title)}{tail}", "blocks": blocks})


def write_github_status(news: News, public_url: str | None) -> bytes:
    """Return the body that sets the status of a deployment on GitHub."""
    first = f": {news.hints[0].title}" if news.hints else ""
    status: dict[str, object] = {
        "state": GITHUB_STATES[news.verdict],
        "description": _cut(f"SeqPulse: {_say(news)}{first}", GITHUB_LENGTH),
        "auto_inactive": False,
    }
    link = _link(news, public_url)
    return to_json(status if link is None else {**status, "log_url": link})


WRITERS: Final = {ChannelKind.WEBHOOK: write_webhook, ChannelKind.SLACK: write_slack}
"""Of messages that are one request to the URL of the channel."""


def _data(news: News, public_url: str | None) -> Mapping[str, object]:
    link = _link(news, public_url)
    return {
        "deployment_id": news.deployment_id,
        "project_id": news.project_id,
        "project": news.project,
        "env": news.env,
        "branch": news.branch,
        "triggered_at": news.triggered_at,
        "finished_at": news.finished_at,
        "revision": news.revision,
        "verdict": news.verdict,
        "conclusive": news.conclusive,
        "reason_code": news.reason_code,
        "confidence": news.confidence,
        "coverage_ratio": news.coverage_ratio,
        "policy": news.policy,
        "hints": news.hints,
        "urls": link
        and {
            "verdict": f"{public_url}/deployments/{news.deployment_id}/verdict",
            "report": link,
        },
    }


def _test_data(delivery: Delivery) -> Mapping[str, object]:
    return {
        "project_id": delivery.project_id,
        "project": delivery.project,
        "channel_id": delivery.channel_id,
        "channel": delivery.channel,
    }


def _say(news: News) -> str:
    return WORDS[news.verdict] + ("" if news.conclusive else " (inconclusive)")


def _say_hint(title: str, diagnosis: str) -> str:
    return f"*{_escape(_cut(title, TITLE_LENGTH))}*\n{_escape(_cut(diagnosis, HINT_LENGTH))}"


def _link(news: News, public_url: str | None) -> str | None:
    return public_url and f"{public_url}/deployments/{news.deployment_id}/report"


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _escape(text: str) -> str:
    """Return a text in which Slack sees no link, mention or entity."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
