"""`seqpulse gate`: `seqpulse_gate.py`, the file that pipelines copy, as a command."""

from __future__ import annotations

from typing import Final

import typer

import seqpulse_gate

ITS_OWN: Final = {"allow_extra_args": True, "ignore_unknown_options": True}
"""It reads its arguments itself: they are defined where those find them who copy the file."""


def run(ctx: typer.Context) -> None:
    """Wait for a verdict and end with an exit code a pipeline can act on; see docs/ci.md."""
    raise typer.Exit(seqpulse_gate.main(ctx.args))
