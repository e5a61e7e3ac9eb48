"""What the demo ships: four releases of the shop and the verdicts they deserve."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from core.types import Verdict

SLOT_SECONDS: Final = 1.0
"""A second of the demo is a minute of the product."""
METRICS_PATH: Final = "/seqpulse-metrics"
SECRET_VARIABLE: Final = "SHOP_HMAC_SECRET"  # noqa: S105 - the name of a variable, not a secret


class Behaviour(StrEnum):
    """How a release of the shop behaves; the shop implements them."""

    HEALTHY = "healthy"
    SLOW = "slow"
    FAILING = "failing"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Release:
    """One release with the verdict that is right for it."""

    version: str
    behaviour: Behaviour
    story: str
    expected: Verdict
    conclusive: bool


RELEASES: Final = (
    Release("1.1", Behaviour.HEALTHY, "a good release", Verdict.OK, conclusive=True),
    Release("1.2", Behaviour.SLOW, "every page waits 400 ms", Verdict.WARNING, conclusive=True),
    Release(
        "1.3",
        Behaviour.FAILING,
        "crashes under load, comes back with errors",
        Verdict.ROLLBACK_RECOMMENDED,
        conclusive=True,
    ),
    Release(
        "1.4",
        Behaviour.SILENT,
        "its metrics endpoint is gone",
        Verdict.WARNING,
        conclusive=False,
    ),
)
