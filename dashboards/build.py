"""Writes the boards as JSON that Grafana provisions: `make dashboards`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards.boards import accuracy, deployment, overview, projects, sdh
from dashboards.frame import Board

FOLDER: Final = Path(__file__).parent / "grafana"
BOARDS: Final[tuple[Board, ...]] = (
    overview.BOARD,
    deployment.BOARD,
    sdh.BOARD,
    projects.BOARD,
    accuracy.BOARD,
)


def write(board: Board) -> str:
    """Return a board as text, the same every time."""
    text = json.dumps(board.build(), cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False)
    return text + "\n"


def main() -> None:
    """Write all boards into their folder."""
    for board in BOARDS:
        (FOLDER / f"{board.name}.json").write_text(write(board))


if __name__ == "__main__":
    main()
