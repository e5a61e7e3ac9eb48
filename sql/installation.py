"""What holds for a database as a whole: which master key belongs to it, whether it takes writes."""

from __future__ import annotations

from core import secrets
from core.database import Connection
from core.errors import DatabaseError, SettingsError
from core.secrets import Vault
from sql.texts import query


async def check_key(conn: Connection, vault: Vault) -> None:
    """Make sure the master key, or the one before, is the one of this database.

    The first key it is used with counts, until `sql.rotation` makes another one its own.

    Raises:
        SettingsError: It is another one: API keys would be refused, secrets could not be read.
    """
    await conn.execute(query("installation.insert"), fingerprint(vault))
    stored: bytes = await conn.fetchval(query("installation.key_digest"))
    known = [fingerprint(each) for each in (vault, vault.previous) if each]
    if not any(secrets.same(stored, digest) for digest in known):
        raise SettingsError(
            "SEQPULSE_SECRET_KEY is not the key this database was first used with, or last rotated "
            "to: every process of an installation needs the same one"
        )


async def read_fingerprint(conn: Connection) -> bytes | None:
    """Return the fingerprint of the master key a database goes with; None: no key was used yet."""
    stored: bytes | None = await conn.fetchval(query("installation.key_digest"))
    return stored


def fingerprint(vault: Vault) -> bytes:
    """Return what a database remembers of its master key."""
    return vault.digest("fingerprint of the master key")


async def check_writable(conn: Connection) -> None:
    """Make sure the database takes writes.

    Raises:
        DatabaseError: It is read-only, say a standby.
    """
    if await conn.fetchval(query("installation.is_read_only")):
        raise DatabaseError("the database is read-only")
