"""What a report is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from core.judgement import Evidence, Judgement
from core.types import Deployment, Hint, Metric
from sql.reports import Moment, Origin
from sql.verdicts import ShadowVerdict


@dataclass(frozen=True, slots=True)
class Report:
    """Everything a page shows.

    Attributes:
        project: Name of the project.
        deployment: The deployment.
        moments: Its slots and those of the baseline, in time order.
        before: Baseline values the judge compared with, by metric, in the metrics' units.
        judgement: The verdict; None if there is none yet.
        origin: Who said it, if it was said.
    """

    project: str
    deployment: Deployment
    moments: Sequence[Moment] = ()
    before: Mapping[Metric, Sequence[float]] = field(default_factory=dict)
    judgement: Judgement | None = None
    origin: Origin | None = None
    hints: Sequence[Hint] = ()
    shadows: Sequence[ShadowVerdict] = ()

    def find_evidence(self, metric: Metric) -> Evidence | None:
        """Return what is known of a metric, if there is a verdict."""
        known = () if self.judgement is None else self.judgement.evidence
        return next((each for each in known if each.metric is metric), None)
