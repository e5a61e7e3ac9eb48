"""The signature, held against the published SDK that has to accept it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqpulse import SeqPulse
from seqpulse.core import _canonicalize_path
from starlette.requests import Request

from ingest.signature import canonical_path, sign

PROJECT = UUID("0192f0c1-0000-7000-8000-000000000001")
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def accepted(sdk: SeqPulse, headers: dict[str, str], method: str = "GET") -> bool:
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": "http",
        "method": method,
        "path": "/m",
        "query_string": b"",
        "headers": raw,
        "server": ("service", 80),
    }
    valid, _ = sdk._validate_hmac_request(Request(scope))
    return bool(valid)


def test_the_headers_are_exactly_these() -> None:
    assert sign("s3cret", "get", "/m/?a=1", PROJECT, NOW, "n1") == {
        "X-SeqPulse-Timestamp": "2026-01-02T03:04:05Z",
        "X-SeqPulse-Nonce": "n1",
        "X-SeqPulse-Signature": "sha256="
        "17bb65c62be20d799303dd239e40e4799bd37aee9deb2cd71d35540655fbb954",
        "X-SeqPulse-Signature-Version": "v2",
        "X-SeqPulse-Canonical-Path": "/m",
        "X-SeqPulse-Method": "GET",
        "X-SeqPulse-Nonce-TTL": "300",
        "X-SeqPulse-Project-Id": str(PROJECT),
    }


def test_a_moment_of_another_zone_is_sent_in_utc() -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert sign("s", "GET", "/", PROJECT, elsewhere, "n") == sign(
        "s", "GET", "/", PROJECT, NOW, "n"
    )


@pytest.mark.parametrize(
    ("path", "canonical"),
    [
        ("", "/"),
        ("/", "/"),
        ("//", "/"),
        ("m", "/m"),
        ("/m/", "/m"),
        ("/m///", "/m"),
        ("/m/?q=/x/", "/m"),
        ("?q", "/"),
        ("/a%20b/c", "/a%20b/c"),
    ],
)
def test_the_canonical_path(path: str, canonical: str) -> None:
    assert canonical_path(path) == canonical


@given(st.text(alphabet="/a?%2", max_size=12))
def test_the_sdk_finds_nothing_left_to_canonicalize(path: str) -> None:
    assert _canonicalize_path(canonical_path(path)) == canonical_path(path)


@given(
    path=st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), max_size=40),
    secret=st.text(alphabet=st.characters(codec="utf-8"), min_size=1),
)
def test_the_sdk_computes_the_same_signature(path: str, secret: str) -> None:
    headers = sign(secret, "GET", path, PROJECT, datetime.now(UTC), "nonce")
    assert accepted(SeqPulse(hmac_enabled=True, hmac_secret=secret), headers)


def test_the_sdk_refuses_what_is_wrong_old_early_or_seen() -> None:
    sdk = SeqPulse(hmac_enabled=True, hmac_secret="right")
    now = datetime.now(UTC)
    good = sign("right", "GET", "/m", PROJECT, now, "once")
    assert accepted(sdk, good)
    assert not accepted(sdk, good)
    assert not accepted(sdk, sign("wrong", "GET", "/m", PROJECT, now, "a"))
    assert not accepted(sdk, sign("right", "GET", "/m", PROJECT, now - timedelta(minutes=10), "b"))
    assert not accepted(sdk, sign("right", "GET", "/m", PROJECT, now + timedelta(minutes=10), "c"))
