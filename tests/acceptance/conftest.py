"""Lends a test an installation of its own."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from demo.stage import environment
from tests.acceptance.installation import Installation


@pytest.fixture
async def installation(database_url: str, tmp_path: Path) -> AsyncIterator[Installation]:
    async with httpx.AsyncClient(trust_env=False) as http:
        with contextlib.ExitStack() as stack:
            env = environment(database_url)
            yield Installation(env, tmp_path / "processes.log", http, stack)
