"""Our signatures, checked by the library receivers use."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from core import webhooks

SECRET, OTHER = webhooks.new_secret(), webhooks.new_secret()
BODY = b'{"type":"deployment.verdict"}'


def sign(*valid: str, at: datetime | None = None, body: bytes = BODY) -> dict[str, str]:
    return webhooks.sign(valid or (SECRET,), "an-id", at or datetime.now(UTC), body)


def verify(secret: str, headers: dict[str, str], body: bytes = BODY) -> None:
    Webhook(secret).verify(body, headers)


def test_a_secret_is_256_random_bits() -> None:
    assert SECRET.startswith("whsec_")
    assert len(base64.b64decode(SECRET.removeprefix("whsec_"), validate=True)) == 32
    assert SECRET != OTHER


# The library parses what it has verified, so it must be JSON.
@given(st.dictionaries(st.text(), st.text() | st.integers() | st.none()), st.uuids())
def test_the_library_accepts_whatever_we_sign(data: dict[str, object], message_id: object) -> None:
    body = json.dumps(data).encode()
    headers = webhooks.sign((SECRET,), str(message_id), datetime.now(UTC), body)
    assert Webhook(SECRET).verify(body, headers) == data


@given(st.text(st.characters(max_codepoint=127), min_size=1, max_size=200), st.data())
def test_whoever_alters_a_byte_has_no_signature(text: str, data: st.DataObject) -> None:
    body = text.encode()
    index = data.draw(st.integers(0, len(body) - 1))
    altered = body[:index] + bytes([body[index] ^ 1]) + body[index + 1 :]
    with pytest.raises(WebhookVerificationError):
        verify(SECRET, sign(body=body), altered)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_every_header_counts(name: str) -> None:
    headers = sign()
    other = webhooks.sign((OTHER,), "another", datetime.now(UTC) + timedelta(seconds=9), BODY)
    with pytest.raises(WebhookVerificationError):
        verify(SECRET, {**headers, name: other[name]})
    with pytest.raises(WebhookVerificationError):
        verify(SECRET, {key: value for key, value in headers.items() if key != name})


@pytest.mark.parametrize("minutes", [-10, 10])
def test_what_is_old_or_of_the_future_is_a_replay(minutes: int) -> None:
    with pytest.raises(WebhookVerificationError):
        verify(SECRET, sign(at=datetime.now(UTC) + timedelta(minutes=minutes)))


def test_both_secrets_of_a_rotation_are_accepted_and_no_third() -> None:
    headers = sign(SECRET, OTHER)
    assert len(headers["webhook-signature"].split()) == 2
    verify(SECRET, headers)
    verify(OTHER, headers)
    with pytest.raises(WebhookVerificationError):
        verify(webhooks.new_secret(), headers)


def test_ours_is_what_the_library_signs() -> None:
    at = datetime(2026, 3, 2, 8, tzinfo=UTC)
    theirs = Webhook(SECRET).sign("an-id", at, BODY.decode())
    assert webhooks.compute(SECRET, "an-id", int(at.timestamp()), BODY) == theirs
