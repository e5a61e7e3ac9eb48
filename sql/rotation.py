"""Rotation: what was encrypted with the master key before is encrypted with the present one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from core.database import Connection
from core.errors import SecretError
from core.secrets import Vault
from sql.installation import fingerprint
from sql.texts import query

STORED: Final = {
    "rotation.project_secrets": "rotation.update_project",
    "rotation.target_secrets": "rotation.update_target",
    "rotation.channel_secrets": "rotation.update_channel",
    "rotation.kept_answers": "rotation.update_kept_answer",
}
"""What finds stored secrets, each a place and a token, and what puts a token there."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a rotation did, or would do.

    Attributes:
        secrets: Stored secrets that were encrypted anew.
        api_keys: Live API keys whose digest is still of the master key before; each moves by itself
            the next time it is used.
    """

    secrets: int
    api_keys: int


async def rotate(conn: Connection, vault: Vault) -> Rotation:
    """Encrypt every stored secret with the present master key, all in one transaction.

    Doing it again changes nothing; if it is interrupted nothing has changed.

    Raises:
        SecretError: A secret was encrypted with neither key; then nothing is changed.
    """
    async with conn.transaction():
        await conn.execute(query("rotation.lock"))
        first = vault.previous or vault
        await conn.execute(query("rotation.name_api_keys"), first.key_id)
        count = 0
        for stored, update in STORED.items():
            for *place, token in await conn.fetch(query(stored)):
                if not vault.is_current(token):
                    anew = vault.encrypt(vault.decrypt(token))
                    await conn.execute(query(update), *place, anew)
                    count += 1
        await conn.execute(query("rotation.set_key_digest"), fingerprint(vault))
    return Rotation(count, await count_old_api_keys(conn, vault))


async def count_old_api_keys(conn: Connection, vault: Vault) -> int:
    """Return how many live API keys still need the master key before."""
    count: int = await conn.fetchval(query("rotation.live_api_keys"), vault.key_id)
    return count


async def is_rotated(conn: Connection, vault: Vault) -> bool:
    """Return whether the database belongs to the present master key, not to the one before."""
    stored: bytes = await conn.fetchval(query("installation.key_digest"))
    if stored is None:
        raise SecretError("no process has used this database yet: there is nothing to rotate")
    return stored == fingerprint(vault)
