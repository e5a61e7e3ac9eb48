"""The file a master key is kept in: the key, and below it the one before while that counts."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from core.errors import SettingsError
from core.secrets import MIN_MASTER_KEY_LENGTH, Vault


def new_master_key() -> str:
    """Return 256 random bits as text."""
    return secrets.token_hex(32)


def read_or_create(path: Path) -> Vault:
    """Return the vault of the key in `path`, creating it (mode 0600) if there is none.

    Safe against two processes creating it at once: the one that comes second reads the first's.

    Raises:
        SettingsError: The file holds less than a key, or more than two.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        draft = _draft(path, new_master_key())
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # somebody else was first; theirs counts
        finally:
            draft.unlink()
    return read(path)


def read(path: Path) -> Vault:
    """Return the vault of the key in `path`.

    Raises:
        SettingsError: The file cannot be read, or holds less than a key, or more than two.
    """
    try:
        found = path.read_text().split()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read ({type(error).__name__})") from None
    if not 1 <= len(found) <= 2 or any(len(key) < MIN_MASTER_KEY_LENGTH for key in found):
        raise SettingsError(
            f"{path} must hold a key of {MIN_MASTER_KEY_LENGTH} characters or more, and below it "
            "at most the one before"
        )
    return Vault(*found)


def write(path: Path, vault: Vault) -> None:
    """Replace the keys in `path` at once: whoever reads sees the old ones or the new ones."""
    draft = _draft(path, "\n".join(filter(None, (vault.master_key, vault.previous_key))))
    draft.replace(path)


def _draft(path: Path, text: str) -> Path:
    """Write a file beside `path` that nobody else can read."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    return draft
