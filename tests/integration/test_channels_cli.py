"""`seqpulse channels`: the same as over HTTP, for whoever has the database."""

from __future__ import annotations

import asyncio
import re

import pytest
from typer.testing import CliRunner, Result

from core.cli import app
from core.database import Connection
from core.errors import ConflictError, InvalidInputError, SeqPulseError
from core.secrets import Vault
from core.types import Project

URL = "https://hooks.example.com/services/SecretPathOfTheTests"


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch, database_url: str, vault: Vault) -> None:
    monkeypatch.setenv("SEQPULSE_DATABASE_URL", database_url)
    monkeypatch.setenv("SEQPULSE_SECRET_KEY", vault.master_key)


async def run(*arguments: object, given: str = "") -> Result:
    words = ["channels", *map(str, arguments)]
    return await asyncio.to_thread(CliRunner().invoke, app, words, given)


async def done(*arguments: object, given: str = "") -> str:
    result = await run(*arguments, given=given)
    assert result.exit_code == 0, result.output + repr(result.exception)
    return result.output


async def test_a_channel_from_its_beginning_to_its_end(
    project: Project, conn: Connection, vault: Vault
) -> None:
    added = await done("add", project.id, "webhook", "ops", "--verdict", "warning", given=URL)
    [channel_id] = re.findall(r"^channel (\S+)$", added, re.MULTILINE)
    [secret] = re.findall(r"^secret (whsec_\S+)$", added, re.MULTILINE)
    listed = await done("list", project.id)
    assert "https://hooks.example.com" in listed
    for hidden in (secret, "SecretPath"):
        assert hidden not in listed
    stored = await conn.fetchrow("SELECT * FROM channels")
    assert stored is not None
    assert vault.decrypt(stored["access_encrypted"]) == URL
    rotated = await done("rotate", project.id, channel_id, "--overlap-hours", 1)
    [anew] = re.findall(r"^secret (whsec_\S+)$", rotated, re.MULTILINE)
    assert anew != secret
    tested = await done("test", project.id, channel_id)
    [delivery_id] = re.findall(r"^delivery (\S+)$", tested, re.MULTILINE)
    assert delivery_id in await done("log", project.id)
    await done("remove", project.id, channel_id)
    assert channel_id not in await done("list", project.id)


async def test_github_takes_a_repository_and_a_token(project: Project) -> None:
    added = await done(
        "add", project.id, "github", "gh", "--repository", "acme/.github", given="ghp_x\n"
    )
    assert "secret" not in added
    assert "acme/.github" in await done("list", project.id)


@pytest.mark.parametrize(
    ("arguments", "given", "error"),
    [
        (("webhook", "ops"), "", InvalidInputError),
        (("webhook", "ops"), "ftp://x/", InvalidInputError),
        (("webhook", " "), URL, InvalidInputError),
        (("webhook", "ops", "--env", "no spaces"), URL, InvalidInputError),
        (("webhook", "ops", "--repository", "a/b"), URL, InvalidInputError),
        (("github", "ops"), "ghp_x", InvalidInputError),
        (("github", "ops", "--repository", "a/.."), "ghp_x", InvalidInputError),
        (("github", "ops", "--repository", "a/b"), "two words", InvalidInputError),
        (("webhook", "taken"), URL, ConflictError),
    ],
)
async def test_what_is_wrong_is_said(
    project: Project, arguments: tuple[str, ...], given: str, error: type[SeqPulseError]
) -> None:
    await done("add", project.id, "webhook", "taken", given=URL)
    result = await run("add", project.id, *arguments, given=given)
    assert isinstance(result.exception, error)
    assert "SecretPath" not in str(result.exception)
