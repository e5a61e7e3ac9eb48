from __future__ import annotations

import pytest

from core.errors import SettingsError
from sql.embedded.psql import connect_with, split_password


@pytest.mark.parametrize(
    ("url", "safe", "password"),
    [
        ("postgresql://u:pw@h:1/db", "postgresql://u@h:1/db", "pw"),
        ("postgresql://u:p%40%2F:w@h/db", "postgresql://u@h/db", "p@/:w"),
        ("postgresql://u@h/db", "postgresql://u@h/db", None),
        ("postgresql:///db", "postgresql:///db", None),
        ("postgresql://u:pw@h1:1,h2:2/db?a=b", "postgresql://u@h1:1,h2:2/db?a=b", "pw"),
        (
            "postgresql://u@h/db?password=pw&sslmode=require",
            "postgresql://u@h/db?sslmode=require",
            "pw",
        ),
        ("postgresql://u:p#w@h/db", "postgresql://u@h/db", "p#w"),
        ("postgresql://u:@h/db?a=1+2", "postgresql://u@h/db?a=1+2", ""),
        ("postgresql://u:pw@[::1]:5/db", "postgresql://u@[::1]:5/db", "pw"),
    ],
)
def test_the_password_leaves_the_url(url: str, safe: str, password: str | None) -> None:
    assert split_password(url) == (safe, password)


@pytest.mark.parametrize("url", ["", "host=h password=pw", "postgresql://u:p@w@h/db"])
def test_what_cannot_be_split_is_refused_without_quoting_it(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        split_password(url)
    assert "pw" not in str(caught.value)


def test_the_password_goes_by_the_environment() -> None:
    assert connect_with("postgresql://u:pw@h/db") == (
        "--dbname=postgresql://u@h/db",
        {"PGPASSWORD": "pw"},
    )
    assert connect_with("postgresql://u@h/db") == ("--dbname=postgresql://u@h/db", {})
