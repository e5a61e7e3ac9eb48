"""Skeleton."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from analytics.blocks import Block
from analytics.compare import NONE, Comparison, Decision, blank
from analytics.profile import Stack
from analytics.reasons import CODES, Penalty, ReasonCode

TESTS: Final = ("shift", "rate")


@dataclass(frozen=True, slots=True)
class Rules:
    """Numbers."""


def compare(block: Block, rules: Rules, profiles: Stack | None) -> Comparison:
    """Compare."""
    del rules, profiles
    zero = np.zeros((block.rows.size, 5), dtype=np.int64)
    said = {"tolerance_ratio": np.zeros(zero.shape), "baseline_n": zero, "post_n": zero}
    return Comparison(**blank(block) | said)  # type: ignore[arg-type]


def decide(block: Block, comparison: Comparison, rules: Rules) -> Decision:
    """Decide."""
    del comparison, rules
    size = block.rows.size
    return Decision(
        reason=np.full(size, CODES.index(ReasonCode.NO_REGRESSION)),
        confidence=np.full(size, 0.5),
        quality_ratio=np.ones(size),
        penalties=np.zeros((size, len(Penalty)), dtype=np.bool_),
        decided_at=np.full(size, NONE, dtype=np.int64),
    )
