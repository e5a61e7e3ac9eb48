"""Deployments that are bad in their last slots only: harmless until more is known?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from analytics.reasons import ReasonCode
from core.judgement import Judgement
from core.types import Verdict

Compare = Callable[..., Judgement]
Sample = dict[str, object]

OUTAGE: Sample = {"requests_per_sec": 0.0}
SLOW: Sample = {"latency_p95": 800.0}
QUIET: Sample = {"requests_per_sec": 0.2}


@pytest.mark.parametrize(
    "case",
    [
        {"after": [{}] * 12 + [OUTAGE] * 3},
        {"after": [{}] * 3 + [SLOW] * 2},
        {"after": [{}] * 28 + [SLOW] * 2},
        {"after": [{}] * 13 + [{"requests_per_sec": 5.5}] * 2},  # 45 % lost
        {"after": [{}] * 3 + [SLOW] * 2, "before": [{}] * 20 + [SLOW] + [{}] * 9},
    ],
)
def test_what_is_bad_at_the_very_end_is_not_called_harmless(
    compare: Compare, case: dict[str, Any]
) -> None:
    judgement = compare(**case)
    assert (judgement.verdict, judgement.conclusive) == (Verdict.OK, False)
    assert judgement.reason_code == ReasonCode.BAD_END


@pytest.mark.parametrize(
    "case",
    [
        {"after": [{}] * 14 + [SLOW]},  # one blip
        {"after": [{}] * 12 + [SLOW] * 2 + [{}]},  # over
        {"after": [{}] * 13 + [{"latency_p95": 90.0}] * 2},  # not doubled
        {"after": [{}] * 13 + [{"requests_per_sec": 6.0}] * 2},
        {"after": [{}] * 13 + [OUTAGE] * 2, "before": [OUTAGE] * 2 + [{}] * 28},  # as before
        {"after": [QUIET] * 13 + [OUTAGE] * 2, "before": [QUIET] * 30},  # 24 requests lost
    ],
)
def test_what_may_be_chance_or_is_over_at_the_end_is_harmless(
    compare: Compare, case: dict[str, Any]
) -> None:
    assert compare(**case).reason_code == ReasonCode.NO_REGRESSION
