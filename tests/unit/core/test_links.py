"""Signed links to reports."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import links
from core.secrets import Vault

VAULT = Vault("k" * 40)
ID = UUID("01a22ef0-57f5-7598-891a-ec763bf8188d")
JUDGED = datetime(2026, 3, 2, 10, 0, 0, 123_456, tzinfo=UTC)
LAST = (JUDGED + links.LIFE).replace(microsecond=0)


def token_of(vault: Vault = VAULT) -> str:
    return links.seal(vault, ID, JUDGED + links.LIFE)


def test_a_link_is_good_for_its_report_until_it_ends() -> None:
    link = links.Links("https://x.example", VAULT).open_report(ID, JUDGED)
    assert link == f"https://x.example/deployments/{ID}/report?token={token_of()}"
    assert links.is_good(VAULT, ID, token_of(), LAST - timedelta(seconds=1))
    assert not links.is_good(VAULT, ID, token_of(), LAST)
    assert not links.is_good(VAULT, uuid4(), token_of(), JUDGED)


def test_it_ends_with_the_master_key() -> None:
    assert links.is_good(Vault("n" * 40, VAULT.master_key), ID, token_of(), JUDGED)
    assert not links.is_good(Vault("n" * 40), ID, token_of(), JUDGED)


@given(st.text() | st.from_regex(r"[0-9]{1,11}\.[0-9a-f]{64}", fullmatch=True))
def test_no_other_token_is_good(token: str) -> None:
    assert token == token_of() or not links.is_good(VAULT, ID, token, JUDGED)


@pytest.mark.parametrize("longer", ["1", "0", "9"])
def test_an_end_cannot_be_put_off(longer: str) -> None:
    assert not links.is_good(VAULT, ID, longer + token_of(), JUDGED)
    assert not links.is_good(VAULT, ID, token_of() + "\n", JUDGED)


def test_without_an_address_there_are_no_links() -> None:
    assert links.make(None, VAULT) is None
