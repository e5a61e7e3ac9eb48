"""Samples of the archive that lie in windows, found file by file: replay judges by them, too."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import polars as pl

from sql.archive import manifest
from sql.archive.layout import SAMPLES
from sql.archive.manifest import Part
from sql.archive.store import Store, open_store
from sql.archive.verify import read_sound
from sql.spans import FOUND, ROWS, match


class Seeker:
    """Finds samples in an archive; may be called by several threads.

    Args:
        place: Folder or URL of the archive.

    Raises:
        ArchiveError: There is no archive, or its manifest cannot be read.
    """

    def __init__(self, place: str) -> None:
        self.store: Store = open_store(place)
        self._known = (b"", list[Part]())
        self._load()

    def __call__(self, spans: pl.DataFrame) -> pl.DataFrame:
        """Return the samples in `spans` (`sql.spans.SPANS`), a frame of `sql.spans.FOUND`.

        One file at a time is in memory, and of it what the spans' services and times leave.

        Raises:
            ArchiveError: A file is missing or damaged; the text names it.
        """
        found = [FOUND.to_frame()]
        for part in _touched(self._load(), spans):
            near = spans.filter(
                (pl.col("since") <= part.max_slot_at) & (pl.col("until") >= part.min_slot_at)
            )
            found.append(match(near, self._read(part, near)))
        return pl.concat(found)

    def _load(self) -> list[Part]:
        """Return the parts there are by now: a chunk may be archived while history is walked."""
        known, parts = self._known
        content = manifest.read(self.store)
        if content != known:
            parts = [part for part in manifest.parse(content) if part.table is SAMPLES]
            self._known = (content, parts)
        return parts

    def _read(self, part: Part, near: pl.DataFrame) -> pl.DataFrame:
        since, until = near.select(pl.col("since").min(), pl.col("until").max()).row(0)
        return (
            pl.scan_parquet(io.BytesIO(read_sound(self.store, part)), hive_partitioning=False)
            .filter(
                pl.col("project_id").is_in(near["project_id"].unique().to_list()),
                pl.col("slot_at").is_between(since, until),
            )
            .select(ROWS.names())
            .collect()
        )


def _touched(parts: Sequence[Part], spans: pl.DataFrame) -> list[Part]:
    """Return the parts that have a slot in one of the spans, as far as their ends tell."""
    ends = pl.DataFrame(
        {
            "first": pl.Series([part.min_slot_at for part in parts], dtype=spans["since"].dtype),
            "last": pl.Series([part.max_slot_at for part in parts], dtype=spans["since"].dtype),
        }
    )
    # Of the spans that begin before the end of a part, some end only after its begin.
    begun = np.searchsorted(spans["since"].sort(), ends["last"], side="right")
    over = np.searchsorted(spans["until"].sort(), ends["first"])
    return [part for part, touches in zip(parts, begun > over, strict=True) if touches]
