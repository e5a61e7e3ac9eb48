"""The report in a real Chromium, of deployments that were really judged.

SEQPULSE_PICTURES=FOLDER keeps the pictures and the PDFs, to be looked at.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from api.app import create_app
from api.page import document
from api.page.content import Report
from api.report import gather
from core.database import Connection, Pool
from core.secrets import Vault
from core.settings import Settings
from core.types import Project
from sql import deployments, projects
from tests.chromium import Browser, browsing
from tests.stories import BASELINE_SECONDS, STORIES, Story, tell
from tests.unit.api.test_page import full

PICTURES = os.environ.get("SEQPULSE_PICTURES")

HEADLINES = {
    "rollback": "Rollback recommended",
    "ok": "OK: no harm found",
    "warning": "Warning: something got worse",
    "inconclusive": "Inconclusive: the data cannot tell",
    "watched": "No verdict yet",
    "rolling": "No verdict yet",
}

WIDER = """
[...document.querySelectorAll('body *')]
  .filter(each => !each.closest('.scroller table') && !each.closest('svg'))
  .filter(each => each.getBoundingClientRect().left < 0
               || each.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5)
  .map(each => each.outerHTML.slice(0, 100))
"""
SMALLEST = """
Math.min(...[...document.querySelectorAll('.chart text')]
  .map(each => each.getBoundingClientRect().height))
"""
SHAPE = """
[...document.querySelectorAll('*')]
  .map(each => each.localName + [...each.attributes].map(its => its.name))
"""
A4 = 680
"""Width of a printed page without its margins, in CSS pixels."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as browser:
        yield browser


async def write(
    conn: Connection, pool: Pool, project: Project, story: Story, folder: Path
) -> tuple[Path, Report]:
    identity = await tell(conn, pool, project.id, story)
    deployment, _ = await deployments.load(conn, identity)
    report = await gather(conn, deployment, project.name, BASELINE_SECONDS)
    page = folder / f"{story.name}.html"
    page.write_text(document.render(report))
    keep(page.name, page.read_bytes())
    return page, report


def keep(name: str, content: bytes) -> None:
    if PICTURES:
        Path(PICTURES).mkdir(parents=True, exist_ok=True)
        (Path(PICTURES) / name).write_bytes(content)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
async def test_a_page_fits_a_desk_a_phone_and_paper(
    conn: Connection, pool: Pool, project: Project, browser: Browser, story: Story, tmp_path: Path
) -> None:
    page, report = await write(conn, pool, project, story, tmp_path)
    pictures = {}
    for name, width, dark in (("light", 1100, False), ("dark", 1100, True), ("phone", 360, False)):
        browser.show(width, dark=dark)
        browser.open(page.as_uri())
        assert browser.ask("document.documentElement.scrollWidth") == width
        assert browser.ask(WIDER) == []
        assert browser.ask("document.querySelector('h1').innerText") == HEADLINES[story.name]
        assert browser.ask(SMALLEST) > 9
        assert browser.complaints() == []
        pictures[name] = browser.photograph()
        keep(f"{story.name}-{name}.png", pictures[name])
    assert len(set(pictures.values())) == 3
    text = browser.ask("document.body.innerText")
    for said in (project.name, f"release/{story.name}", *(hint.title for hint in report.hints)):
        assert said in text
    browser.show(A4, media="print")
    assert browser.ask("document.querySelector('.scroller')?.scrollWidth ?? 0") <= A4
    assert browser.ask(WIDER) == []
    browser.show(A4)
    printed = browser.print()
    keep(f"{story.name}.pdf", printed)
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b", printed)) <= 4


async def test_pictures_have_names_and_words_for_those_who_do_not_see_them(
    conn: Connection, pool: Pool, project: Project, browser: Browser, tmp_path: Path
) -> None:
    page, _ = await write(conn, pool, project, STORIES[0], tmp_path)
    browser.open(page.as_uri())
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    found: dict[str, list[str]] = {}
    for node in nodes:
        if not node.get("ignored"):
            name = node.get("name", {}).get("value", "")
            found.setdefault(node["role"]["value"], []).append(name)
    assert [len(found[role]) for role in ("main", "banner", "contentinfo")] == [1, 1, 1]
    assert len(found["image"]) == 5
    assert all("over time" in name and "against" in name for name in found["image"])
    assert found["columnheader"][0].startswith("traffic")
    assert "expected" in found["rowheader"]
    assert found["heading"][0] == HEADLINES["rollback"]
    assert all(found["region"])


async def test_it_is_served_with_a_policy_that_it_keeps(
    conn: Connection,
    pool: Pool,
    vault: Vault,
    settings: Settings,
    database_url: str,
    browser: Browser,
) -> None:
    project, key = await projects.create(conn, vault, name="<b>shop</b>")
    identity = await tell(
        conn, pool, project.id, STORIES[0], branch='"><img src=x onerror=alert(1)>'
    )
    server = uvicorn.Server(
        uvicorn.Config(create_app(settings, database_url), port=0, log_level="error")
    )
    running = asyncio.create_task(server.serve())
    try:
        while not server.started:  # noqa: ASYNC110 - it does not say when
            await asyncio.sleep(0.02)
        port = server.servers[0].sockets[0].getsockname()[1]
        url = f"http://127.0.0.1:{port}/deployments/{identity}/report"
        await asyncio.to_thread(browser.open, url, {"X-API-Key": str(key)})
        complaints = await asyncio.to_thread(browser.complaints)
        assert [each for each in complaints if "favicon" not in each] == []
        text = await asyncio.to_thread(browser.ask, "document.body.innerText")
        assert "<b>shop</b>" in text
        assert await asyncio.to_thread(browser.ask, "document.images.length") == 0
        # The style sheet counts, so the hash in the header is right.
        colour = "getComputedStyle(document.querySelector('.verdict')).borderLeftWidth"
        assert await asyncio.to_thread(browser.ask, colour) == "6px"
    finally:
        server.should_exit = True
        await running


@pytest.mark.parametrize(
    "text",
    [
        "</style><script>document.title='x'</script>",
        "</title></svg><iframe src=javascript:alert(1)>",
        "\"'><svg onload=alert(1)>",
        "<!--",
        "]]><?xml",
        "\u202e\u0000&#60;b&#62;",
    ],
)
def test_to_a_browser_hostile_texts_are_texts(browser: Browser, tmp_path: Path, text: str) -> None:
    shapes: list[Any] = []
    for number, each in enumerate((text, "x")):
        page = tmp_path / f"{number}.html"
        page.write_text(document.render(full(each)))
        browser.open(page.as_uri())
        assert browser.complaints() == []
        shapes.append(browser.ask(SHAPE))
    assert shapes[0] == shapes[1]


def test_what_the_policy_forbids_would_be_noticed(browser: Browser, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    tame = document.render(full("x"))
    for wrong in ("<p style='color: red'>x", "<script>1</script>", "<img src='data:,x'>"):
        page.write_text(tame.replace("<main>", f"<main>{wrong}"))
        browser.open(page.as_uri())
        assert browser.complaints(), wrong
