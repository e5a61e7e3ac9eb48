"""Probes: is the process alive, can it do its work."""

from __future__ import annotations

from fastapi import APIRouter

from api.routes import Route
from api.state import ConnectionDep
from sql import edition, installation, migrate

router = APIRouter(tags=["health"], route_class=Route)


@router.get("/livez")
async def livez() -> dict[str, str]:
    """Say that the process answers."""
    return {"status": "ok"}


@router.get("/readyz")
async def readyz(conn: ConnectionDep) -> dict[str, str]:
    """Say that the database answers, takes writes and has the schema of this code, else 503."""
    await migrate.check(conn)
    await installation.check_writable(conn)
    return {"status": "ok"}


@router.get("/health")
async def health(conn: ConnectionDep) -> dict[str, str]:
    """Say the same as /readyz, and which edition of TimescaleDB the database is."""
    return {**await readyz(conn), "edition": await edition.find(conn)}
