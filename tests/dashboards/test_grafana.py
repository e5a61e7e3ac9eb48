"""What stands for Grafana in these tests, against what Grafana's own tests and sources say."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.dashboards.grafana import ALL, GrafanaError, Query, Range, expand, interpolate, interval

SPAN = Range(datetime(2018, 4, 12, 18, tzinfo=UTC), datetime(2018, 4, 12, 18, 5, tzinfo=UTC))
QUERY = Query("b", "t", "timeseries", "", "table")

EXPANDED = {
    "SELECT $__time(at)": 'SELECT at AS "time"',
    "WHERE $__timeFilter(at)": (
        "WHERE at BETWEEN '2018-04-12T18:00:00Z' AND '2018-04-12T18:05:00Z'"
    ),
    "$__timeFrom()": "'2018-04-12T18:00:00Z'",
    "$__timeTo()": "'2018-04-12T18:05:00Z'",
    "GROUP BY $__timeGroup(at,'5m')": "GROUP BY time_bucket('300.000s',at)",
    "GROUP BY $__timeGroup(at , '5m')": "GROUP BY time_bucket('300.000s',at)",
    "SELECT $__timeGroup(at,'5m'), x": "SELECT time_bucket('300.000s',at) AS \"time\", x",
    "$__timeGroupAlias(at, $__interval)": "time_bucket('1.000s',at) AS \"time\"",
    "$__unixEpochFilter(at)": "at >= 1523556000 AND at <= 1523556300",
    "$__unixEpochGroup(at,'5m')": "floor((at)/300)*300",
    "$__timeFilter(coalesce(a,b))": (
        "coalesce(a BETWEEN '2018-04-12T18:00:00Z' AND '2018-04-12T18:05:00Z')"
    ),
}


@pytest.mark.parametrize(("text", "expected"), EXPANDED.items())
def test_macros_are_expanded_as_the_plugin_does(text: str, expected: str) -> None:
    assert expand(text, QUERY, SPAN) == expected


def test_without_timescaledb_a_group_is_a_number() -> None:
    text = expand("$__timeGroup(at,'5m')", QUERY, SPAN, timescaledb=False)
    assert text == "floor(extract(epoch from at)/300)*300"


@pytest.mark.parametrize("text", ["$__nothing(at)", "$__timeGroup(at)", "$__timeGroup(at, x)"])
def test_what_grafana_refuses_is_refused(text: str) -> None:
    with pytest.raises(GrafanaError):
        expand(text, QUERY, SPAN)


VARIABLES: list[dict[str, Any]] = [
    {"name": "env", "allValue": "SELECT env FROM report.services"},
    {"name": "severity", "query": "critical,warning"},
]


@pytest.mark.parametrize(
    ("text", "chosen", "expected"),
    [
        ("${env:sqlstring}", {"env": "it's"}, "'it''s'"),
        ("${env:sqlstring}", {"env": ["a", "b'"]}, "'a','b'''"),
        ("${env:sqlstring}", {"env": ALL}, "SELECT env FROM report.services"),
        ("${severity:sqlstring}", {"severity": ALL}, "'critical','warning'"),
        ("${env}", {"env": "it's"}, "it's"),
    ],
)
def test_variables_are_put_in_as_the_browser_does(
    text: str, chosen: dict[str, Any], expected: str
) -> None:
    assert interpolate(text, chosen, VARIABLES) == expected


def test_an_interval_has_points_to_draw() -> None:
    panel = Query("b", "t", "timeseries", "", "time_series", points=100, every="1m")
    assert interval(panel, SPAN) == "60s"
    assert interval(panel, Range.ending(SPAN.until, days=90)) == "86400s"
