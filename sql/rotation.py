"""Rotation: what was encrypted with the master key before is encrypted with the present one."""

from __future__ import annotations

from dataclasses import dataclass

from core.database import Connection
from core.errors import SecretError
from core.secrets import Vault
from sql.installation import fingerprint
from sql.texts import query


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
        for row in await conn.fetch(query("rotation.project_secrets")):
            if not vault.is_current(row["token"]):
                token = vault.encrypt(vault.decrypt(row["token"]))
                await conn.execute(query("rotation.update_project"), row["id"], token)
                count += 1
        for row in await conn.fetch(query("rotation.target_secrets")):
            if not vault.is_current(row["token"]):
                token = vault.encrypt(vault.decrypt(row["token"]))
                await conn.execute(
                    query("rotation.update_target"), row["project_id"], row["env"], token
                )
                count += 1
        for row in await conn.fetch(query("rotation.kept_answers")):
            if not vault.is_current(row["token"]):
                token = vault.encrypt(vault.decrypt(row["token"]))
                await conn.execute(query("rotation.update_kept_answer"), row["place"], token)
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
