"""Results in files, lot by lot."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from core.cli.results import open_results

LOTS = [
    pl.DataFrame({"id": ["a", "b"], "metrics": [["x", "y"], []], "level": [1.5, None]}),
    pl.DataFrame({"id": ["c"], "metrics": [["z"]], "level": [0.1 + 0.2]}),
]


def write(path: Path, lots: list[pl.DataFrame]) -> None:
    with open_results(path) as write_lot:
        for lot in lots:
            write_lot(lot)


def test_parquet_is_the_frame_itself(tmp_path: Path) -> None:
    write(tmp_path / "r.parquet", LOTS)
    assert pl.read_parquet(tmp_path / "r.parquet").equals(pl.concat(LOTS))


def test_json_is_one_array(tmp_path: Path) -> None:
    write(tmp_path / "r.json", [LOTS[0], LOTS[0].clear(), LOTS[1]])
    assert json.loads((tmp_path / "r.json").read_text()) == pl.concat(LOTS).to_dicts()


def test_csv_has_one_header_and_lists_in_words(tmp_path: Path) -> None:
    write(tmp_path / "r.csv", LOTS)
    assert (tmp_path / "r.csv").read_text().splitlines() == [
        "id,metrics,level",
        "a,x y,1.5",
        'b,"",',
        "c,z,0.30000000000000004",
    ]


@pytest.mark.parametrize("ending", ["csv", "json", "parquet"])
def test_a_failure_leaves_the_old_file(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"r.{ending}"
    path.write_text("old")
    with pytest.raises(AttributeError):
        write(path, [LOTS[0], None])  # type: ignore[list-item]
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("ending", ["csv", "json", "parquet"])
def test_no_results_are_an_empty_file_of_its_kind(tmp_path: Path, ending: str) -> None:
    write(tmp_path / f"r.{ending}", [])
    assert list(tmp_path.iterdir()) == [tmp_path / f"r.{ending}"]


def test_without_a_file_lots_are_dropped() -> None:
    with open_results(None) as write_lot:
        write_lot(LOTS[0])
