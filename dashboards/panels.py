"""The kinds of panels, each with a unit, a description, thresholds and words for nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from grafana_foundation_sdk.builders import barchart, common, stat, table, timeseries
from grafana_foundation_sdk.models import common as shape

from dashboards import looks
from dashboards.frame import POSTGRES, Sql

P = TypeVar("P", timeseries.Panel, stat.Panel, table.Panel, barchart.Panel)
Limits = tuple[tuple[float | None, str], ...]


def _begin(panel: P, title: str, description: str, empty: str, limits: Limits) -> P:
    return (
        panel.title(title)
        .description(description)
        .datasource(POSTGRES.ref)
        .no_value(empty)
        .thresholds(looks.steps(*limits))
    )


def _legend() -> common.VizLegendOptions:
    return (
        common.VizLegendOptions()
        .show_legend(True)
        .display_mode(shape.LegendDisplayMode.LIST)
        .placement(shape.LegendPlacement.BOTTOM)
        .calcs([])
    )


def _tooltip() -> common.VizTooltipOptions:
    return common.VizTooltipOptions().mode(shape.TooltipDisplayMode.MULTI)


def number(
    title: str,
    description: str,
    text: str,
    *,
    unit: str = "short",
    limits: Limits = looks.PLAIN,
    empty: str = "none yet",
    decimals: int = 0,
) -> stat.Panel:
    """One value of one row, or a word of it."""
    panel = _begin(stat.Panel(), title, description, empty, limits)
    reduced = common.ReduceDataOptions().calcs(["lastNotNull"]).fields("/^value$/").values(False)
    return (
        panel.unit(unit)
        .decimals(decimals)
        .mappings(looks.words())
        .reduce_options(reduced)
        .graph_mode(shape.BigValueGraphMode.NONE)
        .color_mode(shape.BigValueColorMode.VALUE)
        .text_mode(shape.BigValueTextMode.VALUE)
        .with_target(Sql(text, "table"))
    )


def lines(
    title: str,
    description: str,
    text: str,
    *,
    unit: str,
    empty: str = "nothing in this time",
    limits: Limits = looks.PLAIN,
    every: str = "1m",
    styles: Mapping[str, looks.Properties] | None = None,
    top: float | None = None,
) -> timeseries.Panel:
    """Values over time; gaps stay gaps."""
    panel = _begin(timeseries.Panel(), title, description, empty, limits)
    panel.unit(unit).interval(every).max_data_points(400).min(0).line_width(1)
    panel.span_nulls(False).show_points(shape.VisibilityMode.AUTO).point_size(4)
    panel.legend(_legend()).tooltip(_tooltip())
    if top is not None:
        panel.max(top)
    for name, properties in (styles or {}).items():
        panel.override_by_name(name, properties)
    return panel.with_target(Sql(text, "time_series"))


def stacks(
    title: str, description: str, text: str, *, every: str, empty: str = "nothing in this time"
) -> timeseries.Panel:
    """Counts over time as bars on top of each other."""
    panel = _begin(timeseries.Panel(), title, description, empty, looks.PLAIN)
    panel.unit("short").decimals(0).interval(every).max_data_points(60).min(0)
    panel.draw_style(shape.GraphDrawStyle.BARS).fill_opacity(70).line_width(1)
    panel.stacking(common.StackingConfig().mode(shape.StackingMode.NORMAL).group("A"))
    panel.legend(_legend()).tooltip(_tooltip())
    for word in looks.WORDS:
        panel.override_by_name(word, looks.named(word))
    return panel.with_target(Sql(text, "time_series"))


def bars(
    title: str, description: str, text: str, *, by: str, empty: str = "nothing in this time"
) -> barchart.Panel:
    """Counts by name, the largest first; the columns after `by` are stacked."""
    panel = _begin(barchart.Panel(), title, description, empty, looks.PLAIN)
    panel.unit("short").decimals(0).x_field(by).orientation(shape.VizOrientation.HORIZONTAL)
    panel.stacking(shape.StackingMode.NORMAL).show_value(shape.VisibilityMode.AUTO)
    panel.legend(_legend()).tooltip(_tooltip())
    for word in looks.WORDS:
        panel.override_by_name(word, looks.named(word))
    return panel.with_target(Sql(text, "table"))


def rows(
    title: str,
    description: str,
    text: str,
    *,
    columns: Mapping[str, Any] | None = None,
    links: Mapping[str, tuple[str, str]] | None = None,
    empty: str = "nothing in this time",
) -> table.Panel:
    """A table.

    Args:
        title: What readers see.
        description: What it says.
        text: Its query; ids and moments that only links need are hidden.
        columns: Properties by column.
        links: Where the cells of a column lead: title and URL.
        empty: What stands there without rows.
    """
    panel = _begin(table.Panel(), title, description, empty, looks.PLAIN)
    panel.unit("string").filterable(True)
    for name in ("deployment_id", "project_id", "from_ms", "to_ms"):
        panel.override_by_name(name, looks.hidden())
    found = {name: list(properties) for name, properties in (columns or {}).items()}
    for name, (label, url) in (links or {}).items():
        found.setdefault(name, []).append(looks.link(label, url))
    for name, properties in found.items():
        panel.override_by_name(name, properties)
    return panel.with_target(Sql(text, "table"))
