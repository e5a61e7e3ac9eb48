from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Literal

import pytest
import structlog

from core import logs, secrets, webhooks


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
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
    assert (line["event"], line["level"], line["logger"]) == (
        "port 80 is busy",
        "warning",
        "uvicorn.error",
    )


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
