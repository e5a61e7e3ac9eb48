from __future__ import annotations

import asyncpg
import pytest

from core import database
from core.errors import DatabaseError


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:hunter2@127.0.0.1:1/db",
        "postgresql://user:hun/ter2@127.0.0.1:1/db",
        "postgresql://user:p@hunter2@127.0.0.1:1/db",
        "postgresql://127.0.0.1:1/db?user=user&password=hunter2",
        "postgresql://user:hunter2#x?y@127.0.0.1:1/db",
        "hunter2",
    ],
)
async def test_no_part_of_the_password_is_said(url: str) -> None:
    with pytest.raises(DatabaseError) as caught:
        await database.connect(url)
    for part in ("hunter2", "hun", "ter2"):
        assert part not in str(caught.value).replace("user:password@", "")


def test_what_the_library_quotes_is_not_repeated() -> None:
    error = asyncpg.exceptions.ClientConfigurationError("invalid literal 'hunter2'")
    assert "hunter2" not in database.unreachable("postgresql://x/db", error)


def test_the_place_is_said() -> None:
    text = database.unreachable("postgresql://u:p@db.example:5432/seqpulse", OSError("no route"))
    assert text == "the database at db.example:5432/seqpulse cannot be used: no route"
