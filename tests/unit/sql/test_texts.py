from __future__ import annotations

import pytest

from sql.texts import FOLDER, query


def test_a_section_ends_where_the_next_begins() -> None:
    assert query("locks.unlock") == "SELECT pg_advisory_unlock($1::int, $2::int)"
    assert "unlock" not in query("locks.try_lock")


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(KeyError):
        query("locks.nothing")


def test_every_file_has_unique_named_sections() -> None:
    for path in (FOLDER / "queries").glob("*.sql"):
        names = [
            line.removeprefix("-- name: ")
            for line in path.read_text().splitlines()
            if line.startswith("-- name: ")
        ]
        assert names, path
        assert len(set(names)) == len(names), path
        for name in names:
            assert query(f"{path.stem}.{name}")
