"""Secrets: encryption at rest, API keys, and their fingerprints.

One master key (`SEQPULSE_SECRET_KEY`) yields, by HKDF-SHA256 (RFC 5869), an encryption key for
stored secrets and a pepper for API key digests. Losing it means that stored secrets cannot be read
and API keys no longer match: keep it with the backups, apart from the database.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from core.errors import SecretError

MIN_MASTER_KEY_LENGTH = 32

_API_KEY = re.compile(r"sp_(?P<id>[0-9A-Za-z]{1,64})_(?P<secret>[0-9A-Za-z]{1,128})")


@lru_cache(maxsize=16)
def _derive(master_key: str, purpose: bytes) -> bytes:
    kdf = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=b"seqpulse/" + purpose)
    return kdf.derive(master_key.encode())


def _fernet(master_key: str) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(_derive(master_key, b"secrets")))


@dataclass(frozen=True)
class Vault:
    """Encrypts stored secrets and fingerprints API keys with keys derived from the master key.

    Attributes:
        master_key: What everything new is made with.
        previous_key: The master key before; what was made with it still counts.
    """

    master_key: str = field(repr=False)
    previous_key: str | None = field(default=None, repr=False)

    @property
    def key_id(self) -> str:
        """Tells master keys apart and says nothing of them; 8 hexadecimal digits."""
        return _derive(self.master_key, b"key-id").hex()[:8]

    @property
    def previous(self) -> Vault | None:
        """The vault of the master key before, alone."""
        return None if self.previous_key is None else Vault(self.previous_key)

    def encrypt(self, plain: str) -> str:
        """Return `plain` as an authenticated token (`key id:Fernet`) that may be stored."""
        return f"{self.key_id}:{_fernet(self.master_key).encrypt(plain.encode()).decode()}"

    def decrypt(self, token: str) -> str:
        """Return what was encrypted, with this key or the one before.

        Raises:
            SecretError: The token was made with another key, or was altered.
        """
        key_id, _, sealed = token.rpartition(":")  # the first tokens named no key
        for vault in filter(None, (self, self.previous)):
            if key_id in ("", vault.key_id):
                with suppress(InvalidToken):
                    return _fernet(vault.master_key).decrypt(sealed.encode()).decode()
        raise SecretError(
            "a stored secret cannot be decrypted: neither SEQPULSE_SECRET_KEY nor the key before "
            "it is the one it was stored with"
        )

    def is_current(self, token: str) -> bool:
        """Whether a token was made with the master key, not the one before."""
        return token.startswith(f"{self.key_id}:")

    def digest(self, secret: str) -> bytes:
        """Return the peppered SHA-256 digest of an API key secret (32 bytes).

        A fast digest is right here: the secret has 256 random bits, there is nothing to guess.
        """
        return hmac.new(_derive(self.master_key, b"api-key"), secret.encode(), "sha256").digest()

    def sign(self, text: str) -> str:
        """Return a signature of a text (SHA-256, hexadecimal)."""
        return hmac.new(_derive(self.master_key, b"link"), text.encode(), "sha256").hexdigest()


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key `sp_<id>_<secret>`: the id finds the row, the secret proves the caller."""

    id: str
    secret: str = field(repr=False)

    def __str__(self) -> str:
        return f"sp_{self.id}_{self.secret}"


def new_api_key() -> ApiKey:
    """Return a fresh API key: 48-bit id, 256-bit secret, both hexadecimal."""
    return ApiKey(id=secrets.token_hex(6), secret=secrets.token_hex(32))


def parse_api_key(text: str) -> ApiKey | None:
    """Return the parts of `sp_<id>_<secret>`, or None if it is not of that shape."""
    found = _API_KEY.fullmatch(text.strip())
    return ApiKey(found["id"], found["secret"]) if found else None


def new_hmac_secret() -> str:
    """Return a fresh 256-bit HMAC secret for a target."""
    return f"hmac_{secrets.token_hex(32)}"


def same(left: str | bytes, right: str | bytes) -> bool:
    """Compare two secrets in constant time, whatever their lengths."""
    digests = (
        hashlib.sha256(value.encode() if isinstance(value, str) else value).digest()
        for value in (left, right)
    )
    return hmac.compare_digest(*digests)
