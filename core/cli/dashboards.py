"""`seqpulse dashboards`: the boards for a Grafana that is there already."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from core.errors import InvalidInputError
from dashboards.export import export as write

app = typer.Typer(help="Boards for Grafana.", no_args_is_help=True)


@app.callback()
def root() -> None:
    """Boards for Grafana."""


@app.command()
def export(
    folder: Annotated[Path, typer.Option("--dir", help="Where to; laid out as /etc/grafana.")],
) -> None:
    """Write the boards and provisioning files into a folder."""
    try:
        written = write(folder)
    except OSError as error:
        raise InvalidInputError(f"cannot write to {folder}: {error.strerror}") from None
    for path in written:
        typer.echo(path)
