"""Results of any length in a file, written lot by lot: CSV, Parquet or JSON by its ending."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import polars as pl

Write: TypeAlias = Callable[[pl.DataFrame], None]


@contextmanager
def open_results(path: Path | None) -> Iterator[Write]:
    """Yield a function that takes the next lot of rows.

    The file appears under its name when the block has ended without an error; one that was there
    before stays until then.

    Args:
        path: Ends in `.csv`, `.parquet` or `.json` (one array of objects); None: rows are dropped.
    """
    if path is None:
        yield lambda _: None
        return
    with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as folder:
        draft = Path(folder) / path.name
        kind = {".csv": _csv, ".parquet": _parquet, ".json": _json}[path.suffix]
        with kind(draft) as write:
            yield write
        draft.replace(path)


@contextmanager
def _csv(draft: Path) -> Iterator[Write]:
    """Lists become texts, separated by spaces."""
    with draft.open("wb") as file:

        def write(lot: pl.DataFrame) -> None:
            flat = lot.with_columns(pl.col(pl.List(pl.String)).list.join(" "))
            flat.write_csv(file, include_header=file.tell() == 0)

        yield write


@contextmanager
def _json(draft: Path) -> Iterator[Write]:
    with draft.open("w") as file:
        file.write("[")

        def write(lot: pl.DataFrame) -> None:
            if not lot.is_empty():
                file.write(",\n" if file.tell() > 1 else "\n")
                file.write(lot.write_json()[1:-1])

        yield write
        file.write("\n]\n")


@contextmanager
def _parquet(draft: Path) -> Iterator[Write]:
    """Lots become files, and in the end those one."""
    parts: list[Path] = []

    def write(lot: pl.DataFrame) -> None:
        parts.append(draft.with_name(f"{len(parts):06d}.part"))
        lot.write_parquet(parts[-1])

    yield write
    if parts:
        pl.scan_parquet(parts).sink_parquet(draft)
    else:
        pl.DataFrame().write_parquet(draft)
