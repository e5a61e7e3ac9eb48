"""How values look: words beside every colour, thresholds, and where links lead."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import dashboard as model

Properties = list[model.DynamicConfigValue]

WORDS: Final = {
    "ok": ("ok", "green"),
    "warning": ("Warning", "orange"),
    "rollback_recommended": ("Rollback recommended", "red"),
    "inconclusive": ("Inconclusive", "purple"),
    "critical": ("Critical", "red"),
    "info": ("Info", "blue"),
    "fine": ("fine", "green"),
    "failing": ("Failing", "orange"),
    "resting": ("Resting: failed too long", "red"),
    "failed": ("Failed", "red"),
    "passed": ("passed", "green"),
}
"""What the database says, what readers see, and its colour: never the colour alone."""

OPEN: Final = (
    "/d/seqpulse-deployment?${DS:queryparam}&${api:queryparam}"
    "&var-project=${__data.fields.project_id}&var-env=${__data.fields.env:percentencode}"
    "&var-deployment=${__data.fields.deployment_id}"
    "&from=${__data.fields.from_ms}&to=${__data.fields.to_ms}"
)
"""The board of the deployment in a row, at the time it happened."""

REPORT: Final = "${api:raw}/deployments/${__data.fields.deployment_id}/report"
"""The page of the API on the deployment in a row."""

PROJECT: Final = (
    "/d/seqpulse-overview?${DS:queryparam}&${api:queryparam}"
    "&var-project=${__data.fields.project_id}&var-env=${__data.fields.env:percentencode}"
    "&${__url_time_range}"
)
"""The overview of the service in a row."""


def words() -> list[model.ValueMapping]:
    """Mappings of all words the database uses."""
    options = {
        value: model.ValueMappingResult(text=text, color=colour, index=index)
        for index, (value, (text, colour)) in enumerate(WORDS.items())
    }
    return [model.ValueMap(options=options)]


def steps(*limits: tuple[float | None, str]) -> build.ThresholdsConfig:
    """Thresholds: from which value on which colour; the first one begins at None."""
    return (
        build.ThresholdsConfig()
        .mode(model.ThresholdsMode.ABSOLUTE)
        .steps([model.Threshold(value=value, color=colour) for value, colour in limits])
    )


PLAIN: Final = ((None, "text"),)
"""Thresholds of what is neither good nor bad."""


def link(title: str, url: str) -> model.DynamicConfigValue:
    """A link on every cell of a column."""
    return model.DynamicConfigValue(id_val="links", value=[{"title": title, "url": url}])


def unit(name: str, decimals: int | None = None) -> Properties:
    """The unit of a column."""
    found = [model.DynamicConfigValue(id_val="unit", value=name)]
    if decimals is not None:
        found.append(model.DynamicConfigValue(id_val="decimals", value=decimals))
    return found


def hidden() -> Properties:
    """A column that only links need."""
    return [model.DynamicConfigValue(id_val="custom.hidden", value=True)]


def coloured() -> Properties:
    """A column whose words have colours."""
    return [
        model.DynamicConfigValue(id_val="mappings", value=words()),
        model.DynamicConfigValue(id_val="custom.cellOptions", value={"type": "color-text"}),
    ]


def width(pixels: int) -> model.DynamicConfigValue:
    """The width of a column, in pixels."""
    return model.DynamicConfigValue(id_val="custom.width", value=pixels)


def named(word: str) -> Properties:
    """A series that is called as the database calls it, and shown as readers do."""
    text, colour = WORDS[word]
    return [model.DynamicConfigValue(id_val="displayName", value=text), *line("solid", colour)]


def line(style: str, colour: str, fill_to: str | None = None) -> Properties:
    """A line told apart by its dashes, not by its colour alone.

    Args:
        style: `solid`, `dash` or `dot`.
        colour: Of the line.
        fill_to: Series to fill the space to.
    """
    found = [
        model.DynamicConfigValue(id_val="custom.lineStyle", value={"fill": style}),
        model.DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": colour}),
    ]
    if fill_to is not None:
        found += [
            model.DynamicConfigValue(id_val="custom.fillBelowTo", value=fill_to),
            model.DynamicConfigValue(id_val="custom.fillOpacity", value=15),
        ]
    return found
