"""The archive before it meets a database: URLs, manifests nobody should trust, days."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from core.errors import ArchiveError
from sql.archive import manifest, scan
from sql.archive.layout import MISSED, SAMPLES
from sql.archive.manifest import Part
from sql.archive.store import Folder, open_store

START = datetime(2026, 1, 1, tzinfo=UTC)
LINE: dict[str, Any] = {
    "version": 1,
    "path": "samples/day=2026-01-01/part-_hyper_1_1_chunk-0001.parquet",
    "rows": 60,
    "min_slot_at": "2026-01-01T00:00:00Z",
    "max_slot_at": "2026-01-01T23:59:59.999999Z",
    "bytes": 9_000,
    "sha256": "ab" * 32,
    "chunk": "_hyper_1_1_chunk",
    "database": "9a8f5f0e-6a63-4e4b-9d0b-1d9a5f3f1c11",
    "archived_at": "2026-02-07T00:00:00Z",
}


@pytest.mark.parametrize(
    ("place", "complaint"),
    [
        ("s3://key:hunter2@bucket/folder", "credentials"),
        ("https://bucket.example/folder?token=hunter2", "credentials"),
        ("nonsense://hunter2/folder", "nonsense:// cannot be used"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_being_repeated(
    place: str, complaint: str
) -> None:
    with pytest.raises(ArchiveError, match=complaint) as error:
        open_store(place)
    assert "hunter2" not in str(error.value)


def change(**values: object) -> Callable[[dict[str, Any]], str]:
    return lambda line: json.dumps({**line, **values})


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda line: json.dumps(line)[:-9], "Invalid JSON"),
        (lambda _: "[]", "should be an object"),
        (change(path="samples/day=2026-01-01/../../../../etc/passwd"), "path"),
        (change(path="/etc/passwd"), "path"),
        (change(path="other/day=2026-01-01/part-x-0001.parquet"), "path"),
        (change(path="samples/day=2026-13-01/part-x-0001.parquet"), "month"),
        (change(path="samples/day=2026-01-02/part-x-0001.parquet"), "do not fit the day"),
        (change(min_slot_at="2026-01-01T00:00:00"), "min_slot_at"),
        (change(rows=0), "rows"),
        (change(rows="many"), "rows"),
        (change(sha256="0"), "sha256"),
        (change(version=2), "newer version"),
    ],
)
def test_a_line_of_the_manifest_that_cannot_be_used_is_named(
    tmp_path: Path, spoil: Callable[[dict[str, Any]], str], complaint: str
) -> None:
    lines = [json.dumps(LINE), spoil(LINE), json.dumps(LINE)]
    (tmp_path / manifest.MANIFEST).write_text("\n".join(lines))
    with pytest.raises(ArchiveError, match=rf"line 2 of _manifest\.jsonl .*{complaint}"):
        manifest.load(Folder(tmp_path))


def test_a_manifest_is_read_as_it_was_written(tmp_path: Path) -> None:
    store = Folder(tmp_path / "archive")
    manifest.create(store)
    assert manifest.load(store) == []
    part = Part.model_validate(LINE)
    other = Part.model_validate({**LINE, "path": LINE["path"].replace("0001", "0012")})
    manifest.add(store, [part])
    manifest.add(store, [other])
    manifest.create(store)  # changes nothing
    assert manifest.load(store) == [part, other]
    assert (part.table, part.day, part.number) == (SAMPLES, START.date(), 1)
    assert other.number == 12
    assert [*tmp_path.rglob("*.draft")] == []


@pytest.mark.parametrize(
    ("since", "until", "found"),
    [
        (None, None, True),
        (None, START, False),
        (None, START + timedelta(microseconds=1), True),
        (START + timedelta(days=1), None, False),
        (START + timedelta(days=1, microseconds=-1), None, True),
    ],
)
def test_parts_are_chosen_by_their_slots(
    since: datetime | None, until: datetime | None, *, found: bool
) -> None:
    part = Part.model_validate(LINE)
    assert manifest.select([part], SAMPLES, since, until) == [part] * found
    assert manifest.select([part], MISSED, since, until) == []


def test_an_archive_that_is_not_there_is_not_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="there is no archive"):
        scan(str(tmp_path))
    manifest.create(Folder(tmp_path))
    assert scan(f"file://{tmp_path}", MISSED).collect().schema == MISSED.schema
