"""`seqpulse sql`: ask the database, with a query of your own or a recipe."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Final

import asyncpg
import typer
from asyncpg import Record
from asyncpg.prepared_stmt import PreparedStatement

from core import logs
from core import settings as configuration
from core.cli import wiring
from core.cli.formats import Column, Format, open_format, take_texts
from core.database import Connection, connect
from core.errors import InvalidInputError
from sql import recipes
from sql.recipes import Bound
from sql.texts import query

LOT: Final = 2_000
"""Rows that are held at a time."""
GONE: Final = 141
"""Exit code when nobody reads any more, as a shell says it of others."""


def run(
    file: Annotated[
        str | None, typer.Argument(help="Name of a recipe, or a .sql file.", show_default=False)
    ] = None,
    command: Annotated[str | None, typer.Option("-c", help="The query itself.")] = None,
    form: Annotated[
        Format | None, typer.Option("--format", help="By default what -o ends in, else a table.")
    ] = None,
    out: Annotated[Path | None, typer.Option("-o", help="File for the answer.")] = None,
    param: Annotated[
        list[str] | None, typer.Option(help="name=value, for :'name' in the query; repeatable.")
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=0.001, max=86_400, help="Seconds a statement may take.")
    ] = 300,
    show_list: Annotated[
        bool, typer.Option("--list", help="Tell which recipes there are.")
    ] = False,
) -> None:
    """Ask the database one question. It is only read, whatever the query says.

    SEQPULSE_ANALYST_URL counts, else the database of SeqPulse itself.
    """
    logs.configure("warning")
    if show_list:
        _list()
        return
    name, text, known = _choose(file, command)
    bound = recipes.bind(text, known, _read_values(param or []))
    chosen = form or _guess(out)
    if chosen is Format.PARQUET and (out is None or out.suffix != ".parquet"):
        raise InvalidInputError("-o: name a file that ends in .parquet")
    try:
        asyncio.run(_ask(bound, timeout, chosen, out))
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(GONE) from None
    except asyncpg.PostgresError as error:
        raise InvalidInputError(_explain(name, text, bound, error)) from None


def _list() -> None:
    for recipe in recipes.shipped():
        values = ", ".join(
            name if value is None else f"{name}={value}" for name, value in recipe.values.items()
        )
        typer.echo(f"{recipe.name:<24} {recipe.question}{f'  [{values}]' if values else ''}")


def _choose(file: str | None, command: str | None) -> tuple[str, str, Mapping[str, str | None]]:
    """Return how the query is called, its text, and the values it knows."""
    if (file is None) == (command is None):
        raise InvalidInputError(
            "name a recipe or a file, or give a query with -c; --list tells more"
        )
    if file is None:
        return "-c", command or "", {}
    path = Path(file)
    recipe = recipes.read(path) if path.suffix == ".sql" or path.exists() else recipes.find(file)
    return path.name, recipe.text, recipe.values


def _read_values(given: Sequence[str]) -> dict[str, str]:
    values: dict[str, str] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z_]\w*", name) or name in values:
            raise InvalidInputError(f"--param: must be name=value, each name once, not {each!r}")
        values[name] = value
    return values


def _guess(out: Path | None) -> Format:
    ending = "" if out is None else out.suffix.removeprefix(".")
    return Format(ending) if ending in (*Format,) else Format.TABLE


async def _ask(bound: Bound, seconds: float, form: Format, out: Path | None) -> None:
    async with _reading(seconds) as conn:
        statement = await conn.prepare(bound.text.rstrip().removesuffix(";"))
        columns = [Column(each.name, each.type.name) for each in statement.get_attributes()]
        if not columns:
            raise InvalidInputError("that is no query: it gives no columns")
        with open_format(form, columns, out) as write:
            async for lot in _fetch(statement, bound.arguments):
                write(lot)


@asynccontextmanager
async def _reading(seconds: float) -> AsyncIterator[Connection]:
    """Yield a connection in a transaction that can only read."""
    settings = configuration.load()
    secret = settings.analyst_url
    url = wiring.database_url(settings) if secret is None else secret.get_secret_value()
    conn = await connect(url, application="seqpulse sql", command_timeout=None)
    try:
        await take_texts(conn)
        async with conn.transaction(readonly=True):
            await conn.execute(query("ask.limit"), f"{seconds * 1000:.0f}ms")
            yield conn
    finally:
        conn.terminate()  # a query nobody waits for any more must not keep us


async def _fetch(
    statement: PreparedStatement[Record], arguments: Sequence[str]
) -> AsyncIterator[list[Record]]:
    cursor = await statement.cursor(*arguments)
    while lot := await cursor.fetch(LOT):
        yield lot


def _explain(name: str, text: str, bound: Bound, error: asyncpg.PostgresError) -> str:
    """Return in one line what the server says, and of which place."""
    said = " ".join(str(error).split())
    hint = f" ({' '.join(error.hint.split())})" if error.hint else ""
    if error.position is None:
        return f"{name}: {said}{hint}"
    before = text[: bound.origin(int(error.position)) - 1]
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    return f"{name}, line {line}, column {column}: {said}{hint}"
