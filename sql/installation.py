"""What holds for a database as a whole: which master key belongs to it, whether it takes writes."""

from __future__ import annotations

from core import secrets
from core.database import Connection
from core.errors import DatabaseError, SettingsError
from core.secrets import Vault
from sql.texts import query


async def check_key(conn: Connection, vault: Vault) -> None:
    """Make sure the master key is the one this database was first used with; the first one counts.

    Raises:
        SettingsError: It is another one: API keys would be refused, secrets could not be read.
    """
    digest = vault.digest("fingerprint of the master key")
    await conn.execute(query("installation.insert"), digest)
    stored: bytes = await conn.fetchval(query("installation.key_digest"))
    if not secrets.same(stored, digest):
        raise SettingsError(
            "SEQPULSE_SECRET_KEY is not the key this database was first used with: every process "
            "of an installation needs the same one"
        )


async def check_writable(conn: Connection) -> None:
    """Make sure the database takes writes.

    Raises:
        DatabaseError: It is read-only, say a standby.
    """
    if await conn.fetchval(query("installation.is_read_only")):
        raise DatabaseError("the database is read-only")
