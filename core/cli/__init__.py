"""The command `seqpulse`: the composition root, the one place that may see every room."""

from __future__ import annotations

import sys

import asyncpg
import typer

from core.cli import (
    archive,
    ask,
    backup,
    channels,
    dashboards,
    db,
    demo,
    gate,
    history,
    jobs,
    judge,
    past,
    projects,
    replay,
    report,
    roles,
    search,
    secrets,
    serve,
)
from core.errors import SeqPulseError
from core.logs import redact

app = typer.Typer(
    name="seqpulse",
    help="Deployment verification: did this deploy hurt, what exactly, how sure, what to do.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
demo.app.command("history")(past.run)
db.app.command("roles")(roles.run)
db.app.command("team")(roles.team)
db.app.command("dump")(backup.dump)
db.app.command("restore")(backup.restore)
app.add_typer(db.app, name="db")
app.add_typer(archive.app, name="archive")
app.add_typer(dashboards.app, name="dashboards")
app.add_typer(projects.app, name="projects")
app.add_typer(channels.app, name="channels")
app.add_typer(jobs.app, name="jobs")
app.add_typer(secrets.app, name="secrets")
app.command("import")(history.load)
app.command("workers")(jobs.workers)
app.command("api")(serve.api)
app.command("worker")(serve.worker)
app.command("up")(serve.up)
app.command("migrate")(serve.migrate)
app.command("judge")(judge.run)
app.command("replay")(replay.run)
app.command("sql")(ask.run)
app.command("search")(search.run)
app.add_typer(demo.app, name="demo")
app.command("report")(report.run)
app.command("gate", context_settings=gate.ITS_OWN, add_help_option=False)(gate.run)


def main() -> None:
    """Run the command line; what is wrong is said in one line, with exit code 1."""
    try:
        app()
        return
    except SeqPulseError as error:
        complaint = str(error)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, UnicodeEncodeError) as error:
        complaint = f"the database refused: {redact(str(error))}"
    sys.stderr.write(f"seqpulse: {complaint}\n")
    sys.exit(1)
