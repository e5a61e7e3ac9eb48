"""Structured logs: one event name per fact, context bound once, secrets redacted.

`configure` is called once per process; modules use `structlog.get_logger()`.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Literal

import structlog

SECRET_NAME = re.compile(r"(?i)secret|password|token|api_key|authorization|signature|nonce")
SECRET_TEXT = re.compile(
    r"(sp_[0-9a-z]+_|hmac_)[0-9a-zA-Z]+|whsec_[0-9a-zA-Z+/=]+|(gh[a-z]|github_pat)_[0-9a-zA-Z_]+"
    r"|(?<=://)[^/\s:@]*:[^/\s@]*(?=@)"
)
REDACTED = "[redacted]"

EventDict = MutableMapping[str, Any]


def redact(text: str) -> str:
    """Return `text` without API keys, HMAC secrets and passwords in URLs."""
    return SECRET_TEXT.sub(REDACTED, text)


def _redact_event(_logger: Any, _method: str, event: EventDict) -> EventDict:  # noqa: ANN401
    """Drop values whose name says secret, and secrets inside any other text."""
    for name, value in event.items():
        if name != "event" and SECRET_NAME.search(name):
            event[name] = REDACTED
        elif isinstance(value, str):
            event[name] = redact(value)
    return event


def _drop_colours(_logger: Any, _method: str, event: EventDict) -> EventDict:  # noqa: ANN401
    """Uvicorn says everything twice, once in colour."""
    event.pop("color_message", None)
    return event


def configure(level: str = "info", log_format: Literal["auto", "json", "console"] = "auto") -> None:
    """Send structlog and the standard library's logging to stderr in one shape.

    Args:
        level: Least severe level that is written.
        log_format: `console` for people, `json` for machines, `auto` decides by the terminal.
    """
    pretty = sys.stderr.isatty() if log_format == "auto" else log_format == "console"
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    final: list[structlog.typing.Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        _drop_colours,
    ]
    final += [
        structlog.processors.format_exc_info,  # plain, without locals, and before the redaction
        _redact_event,
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
        if pretty
        else structlog.processors.JSONRenderer(default=str),
    ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=final)
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for noisy in ("httpx", "httpcore", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    for foreign in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(foreign).handlers = []
        logging.getLogger(foreign).setLevel(logging.NOTSET)
        logging.getLogger(foreign).propagate = True
