from __future__ import annotations

import stat
from pathlib import Path

import pytest

from core import keys
from core import settings as configuration
from core.errors import SettingsError
from core.secrets import Vault

NEW, OLD = "n" * 40, "o" * 40


def test_a_key_file_is_replaced_at_once_and_nobody_else_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"
    first = keys.read_or_create(path)
    keys.write(path, Vault(NEW, first.master_key))
    assert keys.read(path) == keys.read_or_create(path) == Vault(NEW, first.master_key)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    keys.write(path, Vault(NEW))
    assert keys.read(path) == Vault(NEW)
    assert [found.name for found in tmp_path.iterdir()] == ["secret.key"]


@pytest.mark.parametrize("text", ["", "short", f"{NEW}\nshort", f"{NEW}\n{OLD}\n{NEW}", "\xff"])
def test_another_content_is_refused_and_not_shown(tmp_path: Path, text: str) -> None:
    path = tmp_path / "secret.key"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(SettingsError, match=r"secret\.key") as caught:
        keys.read(path)
    assert NEW not in str(caught.value)


def test_where_the_keys_come_from(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(f"{NEW}\n{OLD}\n")
    load = configuration.load
    assert load(secret_key_file=path).vault() == Vault(NEW, OLD)
    assert load(secret_key=NEW).vault() == Vault(NEW)
    assert load(secret_key=NEW, secret_key_previous=OLD).vault() == Vault(NEW, OLD)
    with pytest.raises(SettingsError, match="cannot be read"):
        load(secret_key_file=tmp_path / "missing").vault()
