"""Is the archive what its manifest says? Every file is read."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence

import polars as pl

from core.errors import ArchiveError
from sql.archive.layout import TABLES
from sql.archive.manifest import Part
from sql.archive.store import Store
from sql.archive.write import decode


def read_sound(store: Store, part: Part) -> bytes:
    """Return the content of a part.

    Raises:
        ArchiveError: It is missing or not the file that was written; the text names it.
    """
    content = store.read(part.path)
    if content is None:
        raise ArchiveError(f"{part.path} is missing")
    if hashlib.sha256(content).hexdigest() != part.sha256:
        raise ArchiveError(f"{part.path} is damaged: it is not the file that was written")
    return content


def read_part(store: Store, part: Part) -> pl.DataFrame:
    """Return the rows of a part.

    Raises:
        ArchiveError: It is missing or not the file that was written; the text names it.
    """
    return decode(read_sound(store, part))


def check_part(store: Store, part: Part) -> None:
    """Make sure that a part is the file that was written, and holds what the manifest says.

    Raises:
        ArchiveError: It does not; the text names it.
    """
    file = io.BytesIO(read_sound(store, part))
    rows = pl.scan_parquet(file)
    if rows.collect_schema() != part.table.schema:
        raise ArchiveError(f"{part.path} has other columns than it should")
    slot_at = pl.col("slot_at")
    found = rows.select(pl.len(), slot_at.min().alias("first"), slot_at.max().alias("last"))
    if found.collect().row(0) != (part.rows, part.min_slot_at, part.max_slot_at):
        raise ArchiveError(f"{part.path} has other rows than the manifest says")


def find_faults(store: Store, parts: Sequence[Part]) -> Iterator[tuple[Part, str | None]]:
    """Yield every part with what is wrong with it, None if nothing is."""
    for part in parts:
        try:
            check_part(store, part)
        except ArchiveError as error:
            yield part, str(error)
        else:
            yield part, None


def find_strays(store: Store, parts: Sequence[Part]) -> list[str]:
    """Return the paths of files that do not belong to the archive: remnants of interrupted runs."""
    known = {part.path for part in parts}
    found = (path for table in TABLES for path in store.find(table.folder))
    return [path for path in found if path not in known]
