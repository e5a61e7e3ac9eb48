"""Source `prometheus`: one PromQL expression per metric, evaluated at the slot's own moment.

The five are asked in one request, so that they are of one moment and cost the target one read.
What is not a number at that moment is never made one, with a single exception, the one the SDK has
too: without requests there are no errors and no latency, and both are told as 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from core.errors import CollectError, InvalidInputError
from core.types import METRICS, CollectCode, Metric, Reading, Target
from ingest import payload
from ingest.web import Occasion, Route, Web

MAX_QUERY_LENGTH: Final = 2_000
MAX_POINTS: Final = 10_000
"""Of one metric in one answer; a Prometheus itself refuses more than 11,000."""
MAX_RANGE_BYTES: Final = 4_194_304
LABEL: Final = "seqpulse"
_WITHOUT_TRAFFIC: Final = (Metric.LATENCY_P95.value, Metric.ERROR_RATE.value)


@dataclass(frozen=True, slots=True)
class Span:
    """Moments `step` apart, from `first_at` to `last_at`."""

    first_at: datetime
    last_at: datetime
    step: timedelta


def check_queries(queries: Mapping[str, str]) -> None:
    """Make sure there is one expression for each metric and nothing else.

    Raises:
        InvalidInputError: There is not; the text names the metric.
    """
    for name in [*METRICS, *sorted(queries.keys() - set(METRICS))]:
        text = queries.get(name, "")
        if name not in METRICS:
            raise InvalidInputError("queries: there is one for each of the five metrics, no other")
        if not text.strip():
            raise InvalidInputError(f"queries: {name} has no PromQL expression")
        if len(text) > MAX_QUERY_LENGTH:
            raise InvalidInputError(f"queries: {name} is longer than {MAX_QUERY_LENGTH} characters")


async def collect(web: Web, route: Route, target: Target, occasion: Occasion) -> Reading:
    """Evaluate the expressions at the slot's planned moment, however late the read is.

    Raises:
        CollectError: The answer is not an agreed one; `no_data` if a metric has no value.
        httpx.HTTPError: No complete answer came.
    """
    form = {"query": combine(target.queries), "time": f"{occasion.slot_at.timestamp():.3f}"}
    return parse(await _ask(web, route, target, "query", form, payload.MAX_BODY_BYTES))


async def collect_range(
    web: Web, route: Route, target: Target, span: Span
) -> dict[datetime, Reading]:
    """Evaluate the expressions at every moment of a span; moments without all five are left out.

    Raises:
        CollectError: The answer is not an agreed one.
        httpx.HTTPError: No complete answer came.
    """
    form = {
        "query": combine(target.queries),
        "start": f"{span.first_at.timestamp():.3f}",
        "end": f"{span.last_at.timestamp():.3f}",
        "step": f"{span.step.total_seconds():.3f}",
    }
    body = await _ask(web, route, target, "query_range", form, MAX_RANGE_BYTES)
    return parse_range(body, span)


def parse(body: bytes) -> Reading:
    """Return the five numbers in the answer to an instant query.

    Raises:
        CollectError: It is not an agreed one; `no_data` if a metric has no value.
    """
    return to_reading({name: points[0][1] for name, points in _values(body, "vector")})


def parse_range(body: bytes, span: Span) -> dict[datetime, Reading]:
    """Return the readings in the answer to a range query, by the moments that were asked for.

    Raises:
        CollectError: It is not an agreed one.
    """
    series = {name: dict(points) for name, points in _values(body, "matrix")}
    readings: dict[datetime, Reading] = {}
    for index in range(round((span.last_at - span.first_at) / span.step) + 1):
        moment = span.first_at + index * span.step
        at = round(moment.timestamp(), 3)  # Prometheus counts in milliseconds
        values = {name: points[at] for name, points in series.items() if at in points}
        with suppress(CollectError):
            readings[moment] = to_reading(values)
    return readings


def combine(queries: Mapping[str, str]) -> str:
    """Return one expression whose results carry the metric's name in the label `seqpulse`."""
    return " or ".join(
        # The line break ends a comment somebody may have ended an expression with.
        f'label_replace(({queries[name]}\n), "{LABEL}", "{name}", "", "")'
        for name in METRICS
    )


def to_reading(values: Mapping[str, float]) -> Reading:
    """Return the five numbers, as told by a Prometheus.

    Raises:
        CollectError: `no_data` if one is missing or NaN although it cannot be without reason;
            `payload_invalid` if one is out of its range.
    """
    numbers = dict(values)
    if numbers.get(Metric.REQUESTS_PER_SEC) == 0:
        for name in _WITHOUT_TRAFFIC:
            if math.isnan(numbers.get(name, math.nan)):
                numbers[name] = 0.0
    for name in METRICS:
        if math.isnan(numbers.get(name, math.nan)):
            raise CollectError(CollectCode.NO_DATA, f"{name} has no value at this moment")
    return payload.make_reading(numbers, {})


async def _ask(
    web: Web, route: Route, target: Target, verb: str, form: Mapping[str, str], max_bytes: int
) -> bytes:
    base = route.url.raw_path.decode("ascii").partition("?")[0].rstrip("/")
    return await web.exchange(
        route,
        dict([target.header] if target.header else []),
        path=f"{base}/api/v1/{verb}",
        form=urlencode(form).encode(),
        max_bytes=max_bytes,
    )


def _values(body: bytes, kind: str) -> Iterator[tuple[str, list[tuple[float, float]]]]:
    """Yield the metrics in an answer with their points (Unix seconds, value), each metric once."""
    document = payload.load_json(body)
    match document:
        case {"warnings": [_, *_]}:
            raise _invalid("the answer comes with warnings, it may be incomplete")
        case {"status": "success", "data": {"resultType": str(found), "result": [*series]}}:
            if found != kind:
                raise _invalid(f"the result is not a {kind}")
        case _:
            raise _invalid("the answer is not that of a Prometheus")
    seen: set[str] = set()
    for one in series:
        name, points = _series(one)
        if name in seen:
            raise _invalid(f"{name} gives several series, it must be a single one")
        seen.add(name)
        yield name, points


def _series(series: object) -> tuple[str, list[tuple[float, float]]]:
    """Return a single result: the metric it is of, and its points."""
    match series:
        case {"metric": {"seqpulse": str(name)}, "value": [*point]} if name in METRICS:
            return name, [_point(point)]
        case {"metric": {"seqpulse": str(name)}, "values": [*points]} if name in METRICS:
            return name, [_point(point) for point in points]
    raise _invalid("the answer is not that of a Prometheus")


def _point(point: Any) -> tuple[float, float]:  # noqa: ANN401 - whatever the target sent
    """Return a point; Prometheus writes its values as text, because JSON knows no NaN."""
    match point:
        case [int() | float() as at, str(text)] if len(text) <= 40:
            moment = payload.to_float(at)
            with suppress(ValueError):
                if moment is not None and math.isfinite(moment):
                    return moment, float(text)
    raise _invalid("the answer is not that of a Prometheus")


def _invalid(detail: str) -> CollectError:
    return CollectError(CollectCode.PAYLOAD_INVALID, detail)
