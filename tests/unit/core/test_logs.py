from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator
from typing import Literal

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from core import logs, secrets, webhooks


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    logging.captureWarnings(capture=False)
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def read(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_json_lines_carry_event_level_time_and_bound_context(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure("info", "json")
    with structlog.contextvars.bound_contextvars(deployment_id="d1"):
        structlog.get_logger("a").info("verdict_saved", verdict="ok")
    structlog.get_logger("a").debug("not_shown")
    [line] = read(capsys)
    assert line["event"] == "verdict_saved"
    assert line["deployment_id"] == "d1"
    assert line["level"] == "info"
    assert str(line["timestamp"]).endswith("Z")


def test_foreign_logs_have_the_same_shape(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    logging.getLogger("uvicorn.error").warning("port %d is busy", 80)
    [line] = read(capsys)
    assert line["event"] == "library_said"
    assert (line["text"], line["level"], line["logger"]) == (
        "port 80 is busy",
        "warning",
        "uvicorn.error",
    )


def test_warnings_have_the_same_shape(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        with warnings.catch_warnings():
            logs.configure("info", "json")
            warnings.simplefilter("always")
            warnings.warn("old postgresql://user:hunter2@host/db", DeprecationWarning, stacklevel=1)
    finally:
        logging.captureWarnings(capture=False)
    [line] = read(capsys)
    assert (line["event"], line["level"], line["logger"]) == (
        "library_said",
        "warning",
        "py.warnings",
    )
    assert "DeprecationWarning: old postgresql://[redacted]@host/db" in str(line["text"])


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_secrets_are_found_however_deep(
    capsys: pytest.CaptureFixture[str], log_format: Literal["json", "console"]
) -> None:
    logs.configure("info", log_format, hidden=["operator-token-of-ours", "short"])
    log = structlog.get_logger("a")
    log.info("one", facts={"list": [{"password": "hunter2"}, ("Bearer abcdef123",)]})
    log.info("two", error=ValueError("it said operator-token-of-ours"), url="http://tok3n@host/x")
    log.info("three", value="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", ok=True, none=None)
    logging.getLogger("x").error("got %r", {"header": "Basic dXNlcjpwYXNz"})
    written = capsys.readouterr().err
    for secret in ("hunter2", "abcdef123", "operator-token", "tok3n", "MfKQ9", "dXNlcj"):
        assert secret not in written
    assert written.count("[redacted]") == 6


class Deep:
    def __str__(self) -> str:
        return "sp_0123_abcdef"


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text() | st.builds(Deep),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner),
    )
)
def test_any_value_can_be_redacted(value: object) -> None:
    event = logs._redact_event(None, None, "info", {"event": "x", "value": value})
    assert "abcdef" not in str(event)


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_secrets_never_reach_the_log(
    capsys: pytest.CaptureFixture[str], log_format: Literal["json", "console"]
) -> None:
    logs.configure("info", log_format)
    key, hmac_secret = secrets.new_api_key(), secrets.new_hmac_secret()
    log = structlog.get_logger("a")
    log.info("one", api_key="plain", text=f"key {key} and {hmac_secret}")
    signing, token = webhooks.new_secret(), "ghp_0123abcDEF"
    log.info("one more", text=f"signed by {signing}, sent with {token}")
    log.info("two", url="postgresql://user:hunter2@host/db")
    try:
        raise RuntimeError(f"bad {key} at postgresql://user:hunter2@host/db")
    except RuntimeError:
        log.exception("three")
    logging.getLogger("x").error("refused %s", key)
    written = capsys.readouterr().err
    for secret in ("plain", key.secret, hmac_secret, signing, token, "hunter2"):
        assert secret not in written
    assert written.count("[redacted]") >= 5


def test_console_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "console")
    structlog.get_logger("a").info("hello", token="secret")
    written = capsys.readouterr().err
    assert "hello" in written
    assert "secret" not in written
