"""Calls psql and its like: the password travels in the environment, never in argv."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from core.errors import SettingsError
from sql.embedded.install import program
from sql.embedded.keeper import ENVIRONMENT
from sql.embedded.process import run

# Not urllib: it drops an empty host and cuts the text at a `#`, which libpq takes as it is.
_URL: Final = re.compile(
    r"(?P<scheme>[a-z]+://)(?:(?P<user>[^:@/?]*)(?::(?P<password>[^@/?]*))?@)?"
    r"(?P<place>[^?@]*)(?:\?(?P<options>.*))?"
)


def split_password(url: str) -> tuple[str, str | None]:
    """Return the URL without its password, and the password if it has one.

    Raises:
        SettingsError: This is not the URL of a database.
    """
    found = _URL.fullmatch(url)
    if not found:
        raise SettingsError(
            "the database URL is not of the form postgresql://user:password@host/db"
        )
    password = found["password"]
    options = (found["options"] or "").split("&")
    for option in options:
        if option.startswith("password="):
            password = option.removeprefix("password=")
    kept = "&".join(option for option in options if not option.startswith("password="))
    user = "" if found["user"] is None else f"{found['user']}@"
    safe = f"{found['scheme']}{user}{found['place']}{'?' if kept else ''}{kept}"
    return safe, None if password is None else unquote(password)


def execute(root: Path, url: str, sql: str) -> None:
    """Run one statement in a session of its own, with the psql of the installation in `root`.

    Raises:
        EmbeddedError: The server refused; the text says why.
    """
    database, password = connect_with(url)
    environment = {**ENVIRONMENT, **password, "PGCONNECT_TIMEOUT": "10"}
    run(program(root, "psql"), "-X", "-q", database, "-c", sql, environment=environment)


def connect_with(url: str) -> tuple[str, dict[str, str]]:
    """Return the option and the environment that make a PostgreSQL program use the database."""
    safe, password = split_password(url)
    return f"--dbname={safe}", {} if password is None else {"PGPASSWORD": password}
