from __future__ import annotations

from typing import Any, cast

import pytest

from analytics import policy
from core.errors import InvalidInputError
from core.types import Metric


def test_finds_a_policy_by_its_name() -> None:
    assert policy.find("reference-v2") is policy.REFERENCE_V2
    assert all(policy.find(name).name == name for name in policy.POLICIES)


def test_names_the_known_policies_but_does_not_echo_the_wrong_one() -> None:
    with pytest.raises(InvalidInputError, match=r"^policy: not one of reference-v2, seqpulse-v1$"):
        policy.find("<script>")


@pytest.mark.parametrize(
    ("metric", "level"),
    [
        (Metric.LATENCY_P95, 270.0),
        (Metric.ERROR_RATE, 0.009),
        (Metric.CPU_USAGE, 0.72),
        (Metric.MEMORY_USAGE, 0.72),
    ],
)
def test_secured_thresholds_are_the_decimals_of_the_docs(metric: Metric, level: float) -> None:
    assert policy.REFERENCE_V2.rules.secured_threshold(metric) == level


def test_traffic_has_no_fixed_threshold() -> None:
    with pytest.raises(KeyError):
        policy.REFERENCE_V2.rules.secured_threshold(Metric.REQUESTS_PER_SEC)


def test_a_published_policy_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        cast("Any", policy.REFERENCE_V2.rules.tolerances)[Metric.CPU_USAGE] = 1.0
    with pytest.raises(TypeError):
        cast("Any", policy.POLICIES)["mine"] = policy.REFERENCE_V2
