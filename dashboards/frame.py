"""What every board has: its place among the others, variables, deploy markers, and a grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as model

from sql.texts import query

PREFIX: Final = "seqpulse-"


class Source(NamedTuple):
    """A datasource that the reader of a board can choose.

    Attributes:
        variable: Name of the variable that holds it.
        type: Plugin of it.
        label: What readers see.
    """

    variable: str
    type: str
    label: str

    @property
    def ref(self) -> common.DataSourceRef:
        """How panels name it."""
        return common.DataSourceRef(type_val=self.type, uid=f"${{{self.variable}}}")


POSTGRES: Final = Source("DS", "grafana-postgresql-datasource", "Database")


class Sql(Dataquery, Builder[Dataquery]):
    """A query of the PostgreSQL datasource, for which the SDK has no class."""

    def __init__(self, text: str, kind: str, ref: str = "A") -> None:
        self.text = text
        self.kind = kind
        self.ref = ref

    def build(self) -> Sql:
        """Return itself: it is its own builder."""
        return self

    def to_json(self) -> dict[str, object]:
        """Return what the datasource reads."""
        return {
            "refId": self.ref,
            "datasource": POSTGRES.ref,
            "editorMode": "code",
            "format": self.kind,
            "rawQuery": True,
            "rawSql": self.text,
        }


def sql(name: str, **parts: str) -> str:
    """Return a query of sql/queries/panels.

    Args:
        name: `board.section`.
        **parts: What stands for `{name}` in it, beside the fragments that boards share.
    """
    shared = {part: fragment(f"shared.{part}") for part in ("chosen", "span", "words")}
    text = fragment(name)
    for part, value in (parts | shared).items():
        text = text.replace(f"{{{part}}}", value)
    return text


def fragment(name: str) -> str:
    """Return a piece of SQL of sql/queries/panels, without comments."""
    lines = query(f"panels/{name}").splitlines()
    return "\n".join(line for line in lines if not line.startswith("--"))


def choose(name: str, label: str, text: str, every: str) -> build.QueryVariable:
    """A variable for several values, or all of them.

    Args:
        name: What queries call it.
        label: What readers see.
        text: Query for its values.
        every: What stands for all of them. A query, so nothing has to be listed.
    """
    return (
        choose_one(name, label, text)
        .multi(True)
        .include_all(True)
        .all_value(every)
        .current(model.VariableOption(text="All", value="$__all", selected=True))
    )


def choose_one(name: str, label: str, text: str) -> build.QueryVariable:
    """A variable for one value; the first one, unless a link says another."""
    return (
        build.QueryVariable(name)
        .label(label)
        .datasource(POSTGRES.ref)
        .query(
            {
                "refId": name,
                "rawSql": text,
                "rawQuery": True,
                "editorMode": "code",
                "format": "table",
            }
        )
        .definition(text)
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.DISABLED)
    )


def services() -> list[build.QueryVariable]:
    """The variables `project` and `env`."""
    return [
        choose("project", "Project", sql("shared.projects"), sql("shared.every_project")),
        choose("env", "Environment", sql("shared.environments"), sql("shared.every_environment")),
    ]


def mark(name: str, text: str, colour: str) -> build.AnnotationQuery:
    """Moments or spans drawn into every chart, each with words of its own."""
    return (
        build.AnnotationQuery()
        .name(name)
        .datasource(POSTGRES.ref)
        .enable(True)
        .icon_color(colour)
        .target(Sql(text, "table", ref=name))
    )


@dataclass
class Board:
    """A board while it is made.

    Attributes:
        name: The end of its uid, which is public: links of others lead there.
        title: What readers see.
        description: What it is for.
        rows: Panels from the top down, each with its width, and their height.
        variables: Beside the datasource and the address of the API.
        marks: Drawn into every chart.
        since: Begin of the time it shows first.
        sources: What it reads.
    """

    name: str
    title: str
    description: str
    rows: Sequence[tuple[int, Sequence[tuple[Any, int]]]]
    variables: Sequence[Any] = ()
    marks: Sequence[build.AnnotationQuery] = ()
    since: str = "now-7d"
    sources: Sequence[Source] = field(default=(POSTGRES,))

    def build(self) -> model.Dashboard:
        """Return it with everything in its place."""
        board = (
            build.Dashboard(self.title)
            .uid(PREFIX + self.name)
            .description(self.description)
            .tags(["seqpulse"])
            .time(self.since, "now")
            .timezone("browser")
            .refresh("1m")
            .editable()
            .tooltip(model.DashboardCursorSync.CROSSHAIR)
            .link(_others())
        )
        for source in self.sources:
            board.with_variable(
                build.DatasourceVariable(source.variable).label(source.label).type(source.type)
            )
        for variable in (*self.variables, _api()):
            board.with_variable(variable)
        for each in self.marks:
            board.annotation(each)
        made = board.build()
        made.panels = list(self._place())
        for annotation in made.annotations.list_val or []:
            # The SDK moves them into a menu; markers must be switched on and off in sight.
            annotation.placement = None  # type: ignore[assignment]
        return made

    def _place(self) -> list[model.Panel]:
        """Put the panels into the grid, from left to right, and number them."""
        placed: list[model.Panel] = []
        y = 0
        for height, row in self.rows:
            x = 0
            for panel, width in row:
                made = panel.build()
                made.id_val = len(placed) + 1
                made.grid_pos = model.GridPos(h=height, w=width, x=x, y=y)
                placed.append(made)
                x += width
            y += height
        return placed


def _others() -> build.DashboardLink:
    return (
        build.DashboardLink("SeqPulse")
        .type(model.DashboardLinkType.DASHBOARDS)
        .tags(["seqpulse"])
        .include_vars(True)
        .keep_time(True)
    )


def _api() -> build.TextBoxVariable:
    """Where links to report pages lead."""
    return (
        build.TextBoxVariable("api")
        .label("API")
        .description("Address of the SeqPulse API as browsers see it; links to reports lead there")
        .default_value("http://127.0.0.1:8080")
    )
