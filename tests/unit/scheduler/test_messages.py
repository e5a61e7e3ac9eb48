"""What receivers are told: as documented, whatever the names in it are."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from core.codes import ChannelKind, DeliveryStatus
from core.types import Hint, Metric, Severity, Verdict
from scheduler import github, messages
from sql.notifications import Delivery, News

SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "webhook.schema.json").read_text())
VALIDATOR = Draft202012Validator(SCHEMA, format_checker=FormatChecker())
AT = datetime(2026, 3, 2, 8, tzinfo=UTC)
PUBLIC = "https://seqpulse.example.com"
HOSTILE = "<!channel> <https://evil.example|ok> & *b* \x00\u202e\U0001f600 </script>"

text = st.text(max_size=300)
hints = st.builds(
    Hint,
    rule=text,
    severity=st.sampled_from(Severity),
    title=text,
    diagnosis=text,
    actions=st.lists(text, max_size=2).map(tuple),
    metrics=st.lists(st.sampled_from(Metric), max_size=2).map(tuple),
)
news_of = st.builds(
    News,
    deployment_id=st.uuids(),
    project_id=st.uuids(),
    project=text,
    env=text,
    branch=text,
    triggered_at=st.just(AT),
    finished_at=st.just(AT),
    judged_at=st.datetimes(timezones=st.just(UTC)),
    revision=st.integers(1, 99),
    verdict=st.sampled_from(Verdict),
    conclusive=st.booleans(),
    reason_code=text,
    confidence=st.floats(0, 1),
    coverage_ratio=st.floats(0, 1),
    policy=text,
    hints=st.lists(hints, max_size=8).map(tuple),
)
NEWS = News(
    deployment_id=UUID(int=1),
    project_id=UUID(int=2),
    project="shop",
    env="prod",
    branch="main",
    triggered_at=AT,
    finished_at=AT + timedelta(minutes=5),
    judged_at=AT + timedelta(minutes=20),
    revision=1,
    verdict=Verdict.ROLLBACK_RECOMMENDED,
    conclusive=True,
    reason_code="regression",
    confidence=0.97,
    coverage_ratio=1.0,
    policy="seqpulse-v1",
    hints=(Hint("errors", Severity.CRITICAL, "Errors", "5 % fail", ("Roll back",), ()),),
)


def pack(news: News | None) -> Delivery:
    return Delivery(
        id=UUID(int=3),
        status=DeliveryStatus.PENDING,
        created_at=AT,
        channel_id=UUID(int=4),
        kind=ChannelKind.WEBHOOK,
        channel="ops",
        enabled=True,
        project_id=UUID(int=2),
        project="shop",
        shown="https://hooks.example.com",
        access="https://hooks.example.com/secret",
        signing=(),
        news=news,
    )


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    wrong = json.loads(messages.write_webhook(pack(NEWS), PUBLIC))
    del wrong["data"]["verdict"]
    assert not VALIDATOR.is_valid(wrong)


@given(news_of, st.sampled_from([PUBLIC, None]))
def test_a_webhook_is_as_documented_and_repeats_itself(news: News, public_url: str | None) -> None:
    body = messages.write_webhook(pack(news), public_url)
    VALIDATOR.validate(json.loads(body))
    assert json.loads(body)["data"]["branch"] == news.branch
    assert messages.write_webhook(pack(news), public_url) == body


def test_nothing_is_sent_that_is_not_documented() -> None:
    sent = json.loads(messages.write_webhook(pack(NEWS), PUBLIC))
    documented = SCHEMA["$defs"]
    assert set(sent) == set(SCHEMA["required"])
    assert set(sent["data"]) == set(documented["verdict"]["properties"])
    assert set(sent["data"]["hints"][0]) == set(documented["hint"]["properties"])
    assert sent["data"]["urls"]["report"] == f"{PUBLIC}/deployments/{NEWS.deployment_id}/report"
    assert messages.write_webhook(pack(NEWS), None).endswith(b'"urls":null}}')


def test_a_test_says_that_it_is_one() -> None:
    sent = json.loads(messages.write_webhook(pack(None), PUBLIC))
    VALIDATOR.validate(sent)
    assert sent["type"] == "channel.test"
    assert set(sent["data"]) == set(SCHEMA["$defs"]["test"]["properties"])
    assert "shop" not in json.loads(messages.write_slack(pack(None), PUBLIC))["text"]


def texts(message: object) -> list[str]:
    """All texts Slack would read as its markup."""
    if isinstance(message, dict):
        found = [message["text"]] if message.get("type") == "mrkdwn" else []
        return found + [each for value in message.values() for each in texts(value)]
    if isinstance(message, list):
        return [each for value in message for each in texts(value)]
    return []


@given(news_of)
def test_slack_sees_no_markup_but_ours(news: News) -> None:
    message = json.loads(messages.write_slack(pack(news), PUBLIC))
    link = f"{PUBLIC}/deployments/{news.deployment_id}/report"
    for said in [message["text"], *texts(message["blocks"])]:
        assert set(re.findall(r"<[^>]*>", said)) <= {
            f"<{link}|report>",
            f"<{link}|Open the report>",
        }
        assert not re.search(r"&(?!amp;|lt;|gt;)", said)
        assert len(said) <= 3000
    assert 0 < len(message["blocks"][0]["text"]["text"]) <= 150
    assert len(message["blocks"]) <= 50
    assert f"<{link}|report>" in message["text"]


def test_hostile_names_are_text() -> None:
    hostile = replace(NEWS, project=HOSTILE, branch=HOSTILE, env="prod")
    message = json.loads(messages.write_slack(pack(hostile), None))
    assert "<" not in message["text"]
    assert HOSTILE in html.unescape("\n".join(texts(message["blocks"])))
    assert json.loads(messages.write_webhook(pack(hostile), None))["data"]["project"] == HOSTILE


@pytest.mark.parametrize(
    ("verdict", "conclusive", "state", "says"),
    [
        (Verdict.OK, True, "success", "SeqPulse: ok: Errors"),
        (Verdict.WARNING, False, "success", "SeqPulse: warning (inconclusive): Errors"),
        (Verdict.ROLLBACK_RECOMMENDED, True, "failure", "SeqPulse: rollback recommended: Errors"),
    ],
)
def test_github_is_told_in_its_words(
    verdict: Verdict, conclusive: bool, state: str, says: str
) -> None:
    news = replace(NEWS, verdict=verdict, conclusive=conclusive)
    status = json.loads(messages.write_github_status(news, PUBLIC))
    assert (status["state"], status["description"]) == (state, says)
    assert status["log_url"] == f"{PUBLIC}/deployments/{NEWS.deployment_id}/report"
    assert status["auto_inactive"] is False
    assert "log_url" not in json.loads(messages.write_github_status(news, None))


@given(news_of)
def test_github_takes_the_description_whatever_the_hint(news: News) -> None:
    assert len(json.loads(messages.write_github_status(news, None))["description"]) <= 140


def made(identity: int, minutes: float) -> dict[str, object]:
    at = (NEWS.finished_at + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"id": identity, "created_at": at}


def test_the_latest_deployment_made_for_this_rollout_is_meant() -> None:
    listed = [made(1, -9), made(2, -6), made(3, +1), made(4, -24 * 60)]
    assert github.find_deployment(listed, NEWS) == 2
    assert github.find_deployment([made(3, +1), made(4, -24 * 60)], NEWS) is None


@pytest.mark.parametrize(
    "listed",
    [None, {}, [], [None], [{}], [{"id": "1", "created_at": "2026-03-02T08:00:00Z"}],
     [{"id": 1, "created_at": "today"}], [{"id": 1, "created_at": "2026-03-02T08:00:00"}],
     [{"id": True, "created_at": "2026-03-02T08:00:00Z"}], [{"id": 1, "created_at": None}]],
)  # fmt: skip
def test_what_is_no_list_of_deployments_has_none(listed: object) -> None:
    assert github.find_deployment(listed, NEWS) is None
