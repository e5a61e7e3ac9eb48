"""A policy is chosen by its name or by its file."""

from __future__ import annotations

from pathlib import Path

import pytest

from analytics.policy import SEQPULSE_V1, choose
from core.errors import InvalidInputError


def test_a_name_is_a_shipped_policy() -> None:
    assert choose("seqpulse-v1") is SEQPULSE_V1
    with pytest.raises(InvalidInputError, match="not one of"):
        choose("nonsense")


def test_a_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "ours.toml"
    file.write_text('name = "ours"\nextends = "seqpulse-v1"\n')
    assert choose(str(file)).name == "ours"
    with pytest.raises(InvalidInputError):
        choose(str(tmp_path / "none.json"))
