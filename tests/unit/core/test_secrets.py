from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import secrets
from core.errors import SecretError
from core.secrets import Vault

VAULT = Vault("a" * 32)
OTHER = Vault("b" * 32)


@given(st.text())
def test_what_is_encrypted_comes_back_and_is_not_in_the_token(plain: str) -> None:
    token = VAULT.encrypt(plain)
    assert VAULT.decrypt(token) == plain
    assert len(plain) < 4 or plain not in token


def test_another_key_reads_nothing() -> None:
    with pytest.raises(SecretError, match="SEQPULSE_SECRET_KEY"):
        OTHER.decrypt(VAULT.encrypt("secret"))


def test_a_token_names_its_key_and_the_key_before_still_counts() -> None:
    both = Vault("b" * 32, "a" * 32)
    old, new = VAULT.encrypt("secret"), both.encrypt("secret")
    assert (old.partition(":")[0], new.partition(":")[0]) == (VAULT.key_id, both.key_id)
    assert VAULT.key_id != both.key_id == OTHER.key_id
    assert both.decrypt(old) == both.decrypt(new) == OTHER.decrypt(new) == "secret"
    assert (both.is_current(old), both.is_current(new)) == (False, True)
    with pytest.raises(SecretError):
        VAULT.decrypt(new)
    assert "a" * 32 not in repr(both)


def test_tokens_of_the_time_before_keys_had_names_are_read() -> None:
    bare = VAULT.encrypt("secret").partition(":")[2]
    assert VAULT.decrypt(bare) == Vault("b" * 32, "a" * 32).decrypt(bare) == "secret"
    with pytest.raises(SecretError):
        OTHER.decrypt(bare)


def test_an_altered_token_is_refused() -> None:
    token = VAULT.encrypt("secret")
    with pytest.raises(SecretError):
        VAULT.decrypt(token[:-6] + "AAAAA=")


def test_api_keys_survive_the_round_trip_and_are_all_different() -> None:
    keys = [secrets.new_api_key() for _ in range(100)]
    assert len({key.id for key in keys}) == 100
    for key in keys:
        assert secrets.parse_api_key(f" {key} ") == key
        assert key.secret not in repr(key)


@given(st.text())
def test_any_text_is_a_key_or_none(text: str) -> None:
    key = secrets.parse_api_key(text)
    assert key is None or str(key) == text.strip()


@pytest.mark.parametrize("text", ["", "sp_", "sp_a", "sp_a_", "sp__b", "xx_a_b", "sp_a_b_c"])
def test_what_is_not_a_key(text: str) -> None:
    assert secrets.parse_api_key(text) is None


def test_digests_depend_on_the_master_key() -> None:
    assert VAULT.digest("x") == VAULT.digest("x")
    assert VAULT.digest("x") != VAULT.digest("y")
    assert VAULT.digest("x") != OTHER.digest("x")


@pytest.mark.parametrize(
    ("left", "right", "equal"), [("a", "a", True), ("a", "b", False), ("", "a", False)]
)
def test_same(left: str, right: str, *, equal: bool) -> None:
    assert secrets.same(left, right) is equal
    assert secrets.same(left.encode(), right) is equal
