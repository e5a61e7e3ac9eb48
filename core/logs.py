"""Structured logs: one event name per fact, context bound once, secrets redacted.

`configure` is called once per process; modules use `structlog.get_logger()`. Every event of ours
is in docs/logs.md. What libraries say is one event, `library_said`, with their words as `text`.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterable, Mapping, MutableMapping
from contextlib import suppress
from functools import lru_cache, partial
from typing import Any, Final, Literal, TextIO

import structlog
from structlog.processors import NAME_TO_LEVEL

SECRET_NAME: Final = re.compile(
    r"(?i)secret|password|token|api_key|authorization|signature|nonce|credential|cookie"
)
SECRET_TEXT: Final = re.compile(
    r"(sp_[0-9a-z]+_|hmac_)[0-9a-zA-Z]+"
    r"|whsec_[0-9a-zA-Z+/=_-]+"
    r"|(gh[a-z]|github_pat)_[0-9a-zA-Z_]+"
    r"|(?<=://)[^/\s@]+(?=@)"  # user and password in a URL
    r"|(?i:(?<=\bbearer )|(?<=\bbasic ))[^\s,;'\"]+"
)
REDACTED: Final = "[redacted]"
LEAST_LENGTH: Final = 8
"""A shorter secret is not looked for by itself: it would be found in innocent words."""
OURS: Final = frozenset({"event", "level", "logger", "timestamp"})
"""Values that are never from outside."""
DEPTH: Final = 6
"""Values that are nested deeper are not shown."""
ENCODER: Final = json.JSONEncoder(default=str)

EventDict = MutableMapping[str, Any]


class Stderr(logging.StreamHandler[TextIO]):
    """Where every line goes: ours as they are, those of libraries as records."""

    def write(self, line: str) -> None:
        """Write a line at once; if nobody can read it, whoever said it goes on all the same."""
        self.acquire()
        try:
            with suppress(OSError, ValueError):
                self.stream.write(line + self.terminator)
                self.stream.flush()
        finally:
            self.release()


class Lines:
    """What structlog calls a logger: told rendered events only."""

    def __init__(self, handler: Stderr, name: str | None = None) -> None:
        self.name = name
        self.debug = self.info = self.warning = self.error = self.critical = handler.write


def redact(text: str) -> str:
    """Return `text` without API keys, other secrets of ours, and passwords in URLs."""
    return SECRET_TEXT.sub(REDACTED, text)


@lru_cache(maxsize=1024)
def _is_secret(name: str) -> bool:
    return SECRET_NAME.search(name) is not None


def _redact_value(value: Any, hidden: re.Pattern[str] | None, depth: int = 0) -> Any:  # noqa: ANN401
    """Return a value without secrets, however they are nested in it."""
    if isinstance(value, str):
        text = redact(value)
        return hidden.sub(REDACTED, text) if hidden else text
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth >= DEPTH:
        return REDACTED
    if isinstance(value, Mapping):
        return {
            str(name): REDACTED if _is_secret(str(name)) else _redact_value(each, hidden, depth + 1)
            for name, each in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_redact_value(each, hidden, depth + 1) for each in value]
    return _redact_value(str(value), hidden)


def _redact_event(
    hidden: re.Pattern[str] | None,
    _logger: Any,  # noqa: ANN401
    _method: str,
    event: EventDict,
) -> EventDict:
    """Drop values whose name says secret, and secrets inside any other value."""
    for name, value in event.items():
        if name in OURS:
            continue
        if _is_secret(name):
            event[name] = REDACTED
        else:
            event[name] = _redact_value(value, hidden)
    return event


def _name_foreign(_logger: Any, _method: str, event: EventDict) -> EventDict:  # noqa: ANN401
    """Make what a library says one event; uvicorn says everything twice, once in colour."""
    event.pop("color_message", None)
    event["text"] = event.pop("event")
    event["event"] = "library_said"
    return event


def _drop_below(least: int, _logger: Any, method: str, event: EventDict) -> EventDict:  # noqa: ANN401
    """Drop what is less severe. No class of loggers that does: modules keep those they have."""
    if NAME_TO_LEVEL[method] < least:
        raise structlog.DropEvent
    return event


def _render_json(_logger: Any, _method: str, event: EventDict) -> str:  # noqa: ANN401
    return ENCODER.encode(event)


def configure(
    level: str = "info",
    log_format: Literal["auto", "json", "console"] = "auto",
    hidden: Iterable[str] = (),
) -> None:
    """Send structlog, the standard library's logging and warnings to stderr in one shape.

    Args:
        level: Least severe level that is written.
        log_format: `console` for people, `json` for machines, `auto` decides by the terminal.
        hidden: Secrets of this process, which are to be seen in no text whatever.
    """
    pretty = sys.stderr.isatty() if log_format == "auto" else log_format == "console"
    words = [re.escape(word) for word in hidden if len(word) >= LEAST_LENGTH]
    redacting = partial(_redact_event, re.compile("|".join(words)) if words else None)
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    final: list[structlog.typing.Processor] = [
        structlog.processors.format_exc_info,  # plain, without locals, and before the redaction
        redacting,
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()) if pretty else _render_json,
    ]
    handler = Stderr(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder(), _name_foreign],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
        )
    )
    structlog.configure(
        processors=[partial(_drop_below, NAME_TO_LEVEL[level]), *shared, *final],
        logger_factory=partial(Lines, handler),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    logging.captureWarnings(capture=True)
    for noisy in ("httpx", "httpcore", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    for foreign in ("uvicorn", "uvicorn.error", "uvicorn.access", "py.warnings"):
        logging.getLogger(foreign).handlers = []
        logging.getLogger(foreign).setLevel(logging.NOTSET)
        logging.getLogger(foreign).propagate = True
