"""What the docs promise must be what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from analytics.catalogue import CATALOGUE
from analytics.reasons import ReasonCode
from core.settings import Settings
from core.types import CollectCode

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def documented(page: str) -> set[str]:
    """The code words in the first column of a page's tables."""
    return set(re.findall(r"^\| `([^`]+)`", (DOCS / page).read_text(), re.MULTILINE))


def test_every_setting_is_documented_and_no_other() -> None:
    names = {f"SEQPULSE_{name.upper()}" for name in Settings.model_fields}
    assert {name for name in documented("settings.md") if name.startswith("SEQ")} == names


def test_every_collect_code_is_documented() -> None:
    assert set(CollectCode) <= documented("errors.md")


def test_every_reason_code_is_documented() -> None:
    text = (DOCS / "method.md").read_text()
    assert not [code for code in ReasonCode if f"`{code}`" not in text]


def test_every_hint_is_documented_and_no_other() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|", (DOCS / "hints.md").read_text(), re.MULTILINE)
    assert {(rule.id, rule.severity or "depends") for rule in CATALOGUE} == set(rows)


def test_links_between_pages_lead_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *DOCS.rglob("*.md")]
    dead = [
        f"{page.name}: {link}"
        for page in pages
        for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())
        if not (page.parent / link).exists()
    ]
    assert not dead
