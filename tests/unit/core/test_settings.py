from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core import settings as configuration
from core.errors import SettingsError


def test_defaults_are_valid() -> None:
    settings = configuration.load()
    assert settings.slot_seconds == 60
    assert settings.collect_retry_seconds == (5, 15, 30)
    assert settings.target_allow == ()


def test_lists_are_comma_separated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQPULSE_COLLECT_RETRY_SECONDS", "1, 2.5")
    monkeypatch.setenv("SEQPULSE_TARGET_ALLOW", "10.0.0.0/8,fd00::/8")
    settings = configuration.load()
    assert settings.collect_retry_seconds == (1, 2.5)
    assert settings.target_allow == ("10.0.0.0/8", "fd00::/8")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SEQPULSE_SLOT_SECONDS", "0"),
        ("SEQPULSE_SLOT_SECONDS", "nan"),
        ("SEQPULSE_POOL_SIZE", "many"),
        ("SEQPULSE_API_PORT", "70000"),
        ("SEQPULSE_TARGET_ALLOW", "10.0.0.1/8"),
        ("SEQPULSE_COLLECT_RETRY_SECONDS", "5,soon"),
        ("SEQPULSE_SECRET_KEY", "hunter2"),
        ("SEQPULSE_SECRET_KEY", " " * 40),
        ("SEQPULSE_TARGET_ALLOW", "hunter2"),
        ("SEQPULSE_TARGET_HOSTS", "http://hunter2/"),
        ("SEQPULSE_TARGET_PORTS", "hunter2"),
        ("SEQPULSE_TARGET_PORTS", "0"),
        ("SEQPULSE_TARGET_PORTS", "80,70000"),
        ("SEQPULSE_TARGET_PORTS", "9000-8000"),
        ("SEQPULSE_TARGET_PORTS", "80-x"),
        ("SEQPULSE_HOST_READS_PER_SECOND", "0"),
        ("SEQPULSE_SECRET_KEY_PREVIOUS", "hunter2"),
        ("SEQPULSE_BASELINE_INTERVAL_SECONDS", "20"),
        ("SEQPULSE_PUBLIC_URL", "hunter2"),
        ("SEQPULSE_PUBLIC_URL", "https://user:hunter2@x/"),
        ("SEQPULSE_PUBLIC_URL", "https://x/?hunter2"),
        ("SEQPULSE_GITHUB_API_URL", "ftp://hunter2/"),
        ("SEQPULSE_NOTIFY_RETRY_SECONDS", "0"),
    ],
)
def test_a_wrong_setting_is_named_and_its_value_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name) as caught:
        configuration.load()
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_links_begin_without_a_slash_at_the_end() -> None:
    assert configuration.load(public_url="https://x.example:8443/a/").public_url == (
        "https://x.example:8443/a"
    )


def test_an_external_database_needs_a_key() -> None:
    settings = configuration.load(database_url="postgresql://db.example/seqpulse")
    with pytest.raises(SettingsError, match="SEQPULSE_SECRET_KEY"):
        settings.vault()


def test_the_private_key_is_made_once_even_by_many_at_once(tmp_path: Path) -> None:
    settings = configuration.load(data_dir=tmp_path / "data")
    with ThreadPoolExecutor(8) as threads:
        vaults = list(threads.map(lambda _: settings.vault(), range(32)))
    assert len({vault.master_key for vault in vaults}) == 1
    key_file = tmp_path / "data" / "secret.key"
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert [path.name for path in key_file.parent.iterdir()] == ["secret.key"]


def test_secrets_do_not_show_in_the_representation() -> None:
    key = "k" * 40
    settings = configuration.load(
        database_url="postgresql://user:hunter2@db.example/seqpulse", secret_key=key
    )
    assert "hunter2" not in repr(settings)
    assert key not in repr(settings)
    assert key not in repr(settings.vault())


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQPULSE_DATABASE_URL", "")
    assert configuration.load().database_url is None


def test_an_empty_key_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.key").write_text("\n")
    with pytest.raises(SettingsError, match=r"secret\.key"):
        configuration.load(data_dir=tmp_path).vault()
