"""A bare FastAPI route doing one fetchrow: what the verdict lookup is compared with.

python -P tests/benchmarks/load/bare.py PORT DATABASE_URL POOL_SIZE
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
import uvicorn
from fastapi import FastAPI, HTTPException


def create(url: str, pool_size: int) -> FastAPI:
    """Return the application."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with asyncpg.create_pool(url, min_size=1, max_size=pool_size) as pool:
            app.state.pool = pool
            yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/verdicts/{deployment_id}")
    async def show(deployment_id: UUID) -> dict[str, Any]:
        row = await app.state.pool.fetchrow(
            "SELECT * FROM verdicts WHERE deployment_id = $1", deployment_id
        )
        if row is None:
            raise HTTPException(404)
        return dict(row)

    return app


if __name__ == "__main__":
    port, url, pool_size = sys.argv[1:]
    config = uvicorn.Config(
        create(url, int(pool_size)),
        port=int(port),
        http="h11",
        log_config=None,
        access_log=False,
        server_header=False,
    )
    uvicorn.Server(config).run()
