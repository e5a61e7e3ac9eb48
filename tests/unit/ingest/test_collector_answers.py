"""The pure parts of the collector: statuses, Retry-After, and what an exception is called."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.errors import CollectError, InvalidInputError
from core.types import CollectCode
from ingest.web import check_status, explain, parse_retry_after

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_only_200_passes() -> None:
    check_status(httpx.Response(200), NOW)
    for status in {*range(201, 600)} - {401, 403, 429}:
        with pytest.raises(CollectError) as caught:
            check_status(httpx.Response(status), NOW)
        assert (caught.value.code, caught.value.detail) == (CollectCode.STATUS, f"HTTP {status}")
        assert not caught.value.permanent


@pytest.mark.parametrize(
    ("status", "code", "permanent", "pause"),
    [
        (401, CollectCode.AUTH_REJECTED, True, None),
        (403, CollectCode.AUTH_REJECTED, True, None),
        (429, CollectCode.RATE_LIMITED, False, 7),
        (500, CollectCode.STATUS, False, None),
        (503, CollectCode.STATUS, False, 7),
    ],
)
def test_what_a_status_means(
    status: int, code: CollectCode, permanent: bool, pause: float | None
) -> None:
    with pytest.raises(CollectError) as caught:
        check_status(httpx.Response(status, headers={"Retry-After": "7"}), NOW)
    assert caught.value.code is code
    assert caught.value.permanent is permanent
    assert caught.value.retry_after_seconds == pause


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        ("3601", 3600),
        ("9" * 5000, 3600),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90),
        ("Fri, 02 Jan 2026 03:05:35 -0000", 90),
        (format_datetime(NOW - timedelta(days=1), usegmt=True), 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3600),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("nan", None),
        ("\u0661\u0662", None),
        ("Fri, 99 Foo 99999 99:99:99 GMT", None),
    ],
)
def test_retry_after(text: str, seconds: float | None) -> None:
    assert parse_retry_after(text, NOW) == seconds


@given(st.text())
@example("Mon, 01 Jan 0001 00:00:00 +2359")
@example("Fri, 31 Dec 9999 23:59:59 -9999999999")
@example("Fri, 31 Dec 99999999999999999999999 23:59:59 GMT")
def test_retry_after_is_bounded_or_unknown(text: str) -> None:
    seconds = parse_retry_after(text, NOW)
    assert seconds is None or 0 <= seconds <= 3600


def raised(*errors: Exception) -> Exception:
    """Return the first error, raised from the second, raised from the third ..."""
    for outer, inner in pairwise(errors):
        outer.__cause__ = inner
    return errors[0]


@pytest.mark.parametrize(
    ("error", "code", "detail"),
    [
        (TimeoutError(), "timeout", "no complete answer in time"),
        (httpx.ReadTimeout("x"), "timeout", "no complete answer in time"),
        (raised(httpx.ConnectError("x"), OSError("x"), TimeoutError(110, "x")), "timeout", ""),
        (raised(httpx.ConnectError("x"), ssl.SSLError(1, "x")), "tls", "TLS failed"),
        (raised(httpx.ConnectError("x"), ConnectionRefusedError()), "refused", ""),
        (httpx.RemoteProtocolError("x"), "network", "not HTTP"),
        (raised(httpx.ConnectError("x"), OSError(113, "10.0.0.1")), "network", "no route to host"),
        (raised(httpx.ReadError("x"), ConnectionResetError(104, "x")), "network", "reset by peer"),
        (ValueError("hunter2"), "network", "(ValueError)"),
        (OSError("hunter2"), "network", "(OSError)"),
    ],
)
def test_every_exception_has_a_code(error: Exception, code: str, detail: str) -> None:
    explained = explain(error)
    assert explained.code == code
    assert detail in explained.detail
    assert "hunter2" not in explained.detail
    assert not explained.permanent


def test_an_endpoint_that_is_no_longer_acceptable_is_permanent() -> None:
    explained = explain(InvalidInputError("metrics_endpoint has a port outside 1..65535"))
    assert explained.code is CollectCode.FORBIDDEN_TARGET
    assert explained.permanent


def test_a_foreign_text_is_short_redacted_and_on_one_line() -> None:
    refusal = ssl.SSLCertVerificationError(1, "x")
    refusal.verify_message = "bad\n\tname hmac_" + "a" * 64 + " " + "b" * 1000
    detail = explain(raised(httpx.ConnectError("x"), refusal)).detail
    assert detail.startswith("certificate refused: bad name [redacted] bbb")
    assert len(detail) == 200
