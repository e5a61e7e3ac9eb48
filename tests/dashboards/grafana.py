"""What Grafana does with a board before the database sees a query, as its sources say (13.0).

First the browser puts variables in (`interpolate`), then the server expands macros (`expand`). What
a variable holds may therefore look like a macro.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

ALL = "$__all"
_VARIABLE = re.compile(r"\$\{(\w+)(?::(\w+))?\}")
_MACRO = re.compile(r"\$([_a-zA-Z0-9]+)\(([^)]*)\)")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "y": 31_557_600}
_STEPS = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10_800, 21_600,
          43_200, 86_400, 604_800, 2_592_000)  # fmt: skip


class GrafanaError(Exception):
    """What Grafana shows instead of a panel."""


@dataclass(frozen=True)
class Range:
    """What the time picker says."""

    since: datetime
    until: datetime

    @classmethod
    def ending(cls, until: datetime, **length: float) -> Range:
        return cls(until - timedelta(**length), until)

    @property
    def seconds(self) -> float:
        return (self.until - self.since).total_seconds()


@dataclass(frozen=True)
class Query:
    """A query of a board: of a panel, a variable or an annotation.

    Attributes:
        board, title: Where it stands.
        kind: Kind of the panel, `variable` or `annotation`.
        text: As it stands in the file.
        format: `table` or `time_series`.
        points, every: How finely the panel asks.
        owner: The JSON around it.
    """

    board: str
    title: str
    kind: str
    text: str
    format: str
    points: int = 1000
    every: str = "1s"
    owner: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def name(self) -> str:
        return f"{self.board}: {self.kind} {self.title}"


def queries(board: Mapping[str, Any]) -> Iterator[Query]:
    """Every SQL query of a board."""
    name = board["uid"].removeprefix("seqpulse-")
    for each in board["templating"]["list"]:
        if each["type"] == "query":
            yield Query(
                name, each["name"], "variable", each["query"]["rawSql"], "table", owner=each
            )
    for each in board["annotations"].get("list", []):
        target = each["target"]
        yield Query(
            name, each["name"], "annotation", target["rawSql"], target["format"], owner=each
        )
    for panel in board["panels"]:
        for target in panel["targets"]:
            yield Query(
                name,
                panel["title"],
                panel["type"],
                target["rawSql"],
                target["format"],
                panel.get("maxDataPoints", 1000),
                panel.get("interval", "1s"),
                panel,
            )


def interpolate(
    text: str, chosen: Mapping[str, str | Sequence[str]], variables: Sequence[Mapping[str, Any]]
) -> str:
    """Put variables in, as the browser does.

    Args:
        text: A query.
        chosen: What is chosen of each variable: a value, several, or `ALL`.
        variables: Of the board.
    """
    known = {each["name"]: each for each in variables}

    def put(match: re.Match[str]) -> str:
        variable = known[match[1]]
        values = chosen[match[1]]
        if values == ALL:
            if variable.get("allValue"):
                return str(variable["allValue"])  # never formatted: it is the author's
            values = variable["query"].split(",")
        if match[2] != "sqlstring":
            return values if isinstance(values, str) else ",".join(values)
        listed = [values] if isinstance(values, str) else values
        return ",".join("'" + value.replace("'", "''") + "'" for value in listed)

    return _VARIABLE.sub(put, text)


def seconds(text: str) -> float:
    """The length that `5m`, `'1d'` or `300s` says."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdwy])", text.strip("'"))
    if match is None:
        raise GrafanaError(f"error parsing interval {text}")
    return float(match[1]) * _UNITS[match[2]]


def interval(query: Query, span: Range) -> str:
    """What `$__interval` is: as fine as the panel has points for, and never finer than it says."""
    wished = max(span.seconds / query.points, seconds(query.every))
    return f"{next((step for step in _STEPS if step >= wished), _STEPS[-1])}s"


def _macro(name: str, args: list[str], span: Range, timescaledb: bool) -> str:
    since, until = (
        moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
        for moment in (span.since, span.until)
    )
    epochs = [int(moment.timestamp()) for moment in (span.since, span.until)]
    match name:
        case "__time":
            return f'{args[0]} AS "time"'
        case "__timeEpoch":
            return f'extract(epoch from {args[0]}) as "time"'
        case "__timeFilter":
            return f"{args[0]} BETWEEN '{since}' AND '{until}'"
        case "__timeFrom":
            return f"'{since}'"
        case "__timeTo":
            return f"'{until}'"
        case "__unixEpochFilter":
            return f"{args[0]} >= {epochs[0]} AND {args[0]} <= {epochs[1]}"
        case "__unixEpochNanoFilter":
            return f"{args[0]} >= {epochs[0]}000000000 AND {args[0]} <= {epochs[1]}000000000"
        case "__unixEpochNanoFrom":
            return f"{epochs[0]}000000000"
        case "__unixEpochNanoTo":
            return f"{epochs[1]}000000000"
        case "__timeGroupAlias" | "__unixEpochGroupAlias":
            return _macro(name.removesuffix("Alias"), args, span, timescaledb) + ' AS "time"'
        case "__timeGroup" | "__unixEpochGroup":
            if len(args) < 2:
                raise GrafanaError(f"macro {name} needs time column and interval")
            width = seconds(args[1])
            if name == "__unixEpochGroup":
                return f"floor(({args[0]})/{width:g})*{width:g}"
            if timescaledb:
                return f"time_bucket('{width:.3f}s',{args[0]})"
            return f"floor(extract(epoch from {args[0]})/{width:g})*{width:g}"
        case _:
            raise GrafanaError(f'unknown macro "{name}"')


def expand(text: str, query: Query, span: Range, *, timescaledb: bool = True) -> str:
    """Expand macros as the server does: an argument ends at the first closing parenthesis."""
    text = text.replace("$__interval_ms", str(int(seconds(interval(query, span)) * 1000)))
    text = text.replace("$__interval", interval(query, span))

    def put(match: re.Match[str]) -> str:
        name = match[1]
        if name == "__timeGroup" and text[match.end() : match.end() + 1] == ",":
            name = "__timeGroupAlias"
        return _macro(name, [arg.strip(" ") for arg in match[2].split(",")], span, timescaledb)

    return _MACRO.sub(put, text)
