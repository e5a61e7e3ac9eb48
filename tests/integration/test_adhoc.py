"""The recipes of sql/adhoc, run by an analyst on a past that the real judge has judged.

Of the important ones the numbers are computed again from what was planted, or with polars.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

import polars as pl
import pytest

from core.database import connect
from sql import recipes
from tests.past import Past
from tests.roles import ANALYST, make, url_as

RECIPES = recipes.shipped()
MAY_BE_EMPTY = {
    "missed_harm",
    "overlapping_deployments",
    "false_alarms.rule",
    "inconclusive_services.reason_code",
    "inconclusive_services.penalties",
}
"""What a judge that is right, or a small past, may leave empty."""


async def ask(url: str, recipe: str, **values: str) -> list[dict[str, Any]]:
    """Ask as an analyst."""
    found = recipes.find(recipe)
    bound = recipes.bind(found.text, found.values, values)
    analyst = await connect(url_as(url, ANALYST))
    try:
        rows = await analyst.fetch(bound.text.rstrip().removesuffix(";"), *bound.arguments)
    finally:
        await analyst.close()
    return [dict(row) for row in rows]


async def fetch(url: str, text: str) -> list[dict[str, Any]]:
    conn = await connect(url)
    try:
        return [dict(row) for row in await conn.fetch(text)]
    finally:
        await conn.close()


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda each: each.name)
async def test_every_recipe_gives_what_it_says_to_an_analyst(
    past: Past, recipe: recipes.Recipe
) -> None:
    bound = recipes.bind(recipe.text, recipe.values, {})
    analyst = await connect(url_as(past.url, ANALYST))
    try:
        statement = await analyst.prepare(bound.text.rstrip().removesuffix(";"))
        assert tuple(each.name for each in statement.get_attributes()) == recipe.gives
        rows = await statement.fetch(*bound.arguments)
    finally:
        await analyst.close()
    assert rows or recipe.name in MAY_BE_EMPTY
    for name in recipe.gives:
        if rows and not {recipe.name, f"{recipe.name}.{name}"} & MAY_BE_EMPTY:
            assert any(row[name] is not None for row in rows), name


async def test_recipes_are_legal_on_an_empty_database(database_url: str) -> None:
    await make(database_url)
    for recipe in RECIPES:
        await ask(database_url, recipe.name)


async def test_change_failure_and_restore_are_those_of_the_planted_releases(past: Past) -> None:
    """By what the generator knows: who said what, who rolled back, and when."""
    since = datetime.now(UTC) - timedelta(days=20)
    harmful: Counter[tuple[str, str]] = Counter()
    total: Counter[tuple[str, str]] = Counter()
    restored: dict[tuple[str, str], list[float]] = {}
    names = {
        row["deployment_id"]: (row["project"], row["env"])
        for row in await fetch(past.url, "SELECT * FROM report.deployment_overview")
    }
    made = sorted(past.made.deployments, key=lambda each: (each.service, each.triggered_at))
    for release, following in zip(made, [*made[1:], None], strict=True):
        name = names[release.id]
        back = (
            following is not None and following.service == release.service and following.rolls_back
        )
        if release.finished_at < since:
            continue
        total[name] += 1
        harmful[name] += release.feedback is True or (release.feedback is None and back)
        if back and following is not None:
            seconds = (following.triggered_at - release.finished_at).total_seconds()
            restored.setdefault(name, []).append(seconds)
    rows = await ask(past.url, "dora_metrics", days="20")
    assert sum(harmful.values()) >= 3
    assert {(row["project"], row["env"]): row["deployments"] for row in rows} == dict(total)
    for row in rows:
        name = (row["project"], row["env"])
        assert row["change_failure_ratio"] == pytest.approx(harmful[name] / total[name])
        expected = median(restored[name]) if name in restored else None
        assert row["restore_seconds"] == (None if expected is None else pytest.approx(expected))


async def test_rollbacks_are_found_with_their_times(past: Past) -> None:
    rows = await ask(past.url, "time_to_restore")
    planted = [each for each in past.made.deployments if each.rolls_back]
    assert len(rows) == len(planted) > 0
    slowest = [row["restore_seconds"] for row in rows]
    assert slowest == sorted(slowest, reverse=True)
    assert {each.branch for each in planted} == {row["back_to"] for row in rows}


async def test_medians_before_and_after_are_those_of_the_samples(past: Past) -> None:
    [deployment] = await fetch(
        past.url,
        "SELECT * FROM report.deployment_overview WHERE verdict <> 'ok' AND conclusive "
        "ORDER BY finished_at DESC LIMIT 1",
    )
    rows = await ask(past.url, "before_and_after", deployment=str(deployment["deployment_id"]))
    samples = pl.DataFrame(
        await fetch(
            past.url,
            "SELECT slot_at, latency_p95 FROM report.deployment_samples "
            f"WHERE project_id = '{deployment['project_id']}' AND env = '{deployment['env']}'",
        )
    )
    half = timedelta(minutes=30)
    before, after = (
        samples.filter(pl.col("slot_at") >= since, pl.col("slot_at") < since + half)
        for since in (deployment["triggered_at"] - half, deployment["finished_at"])
    )
    [latency] = [row for row in rows if row["metric"] == "latency_p95"]
    assert latency["before"] == pytest.approx(before["latency_p95"].median())
    assert latency["after"] == pytest.approx(after["latency_p95"].median())
    assert (latency["slots_before"], latency["slots_after"]) == (before.height, after.height)


async def test_the_fleets_percentile_is_that_of_all_samples(past: Past) -> None:
    rows = await ask(past.url, "fleet_p95_by_week", weeks="2")
    whole = rows[-2] if rows[-1]["env"] == "staging" else rows[-1]
    [edge] = await fetch(past.url, "SELECT rolled_fleet_1h_until AS until FROM history_edges")
    values = await fetch(
        past.url,
        f"SELECT latency_p95 FROM metric_samples WHERE env = 'prod' AND slot_at >= "
        f"'{whole['week']}' AND slot_at < least('{edge['until']}', "
        f"'{whole['week']}'::timestamptz + interval '7 days')",
    )
    latency = pl.DataFrame(values)["latency_p95"]
    assert whole["samples"] == latency.len() > 5000
    assert whole["p95_ms"] == pytest.approx(latency.quantile(0.95, "higher"), rel=0.021)


async def test_cost_and_errors_count_every_slot(past: Past) -> None:
    cost = await ask(past.url, "monitoring_cost", days="30")
    assert sum(row["samples"] for row in cost) == pytest.approx(past.made.samples, rel=0.001)
    assert sum(row["missed"] for row in cost) == past.made.missed
    errors = await ask(past.url, "collection_errors", days="30")
    assert sum(row["slots"] for row in errors) == past.made.missed
    assert sum(row["share"] for row in errors) == pytest.approx(1)


async def test_hints_that_come_together_are_counted_right(past: Past) -> None:
    given = await fetch(past.url, "SELECT deployment_id, rule FROM report.hints")
    sets: dict[Any, set[str]] = {}
    for row in given:
        sets.setdefault(row["deployment_id"], set()).add(row["rule"])
    pairs = Counter(
        (one, other) for rules in sets.values() for one in rules for other in rules if one < other
    )
    alone = Counter(rule for rules in sets.values() for rule in rules)
    verdicts = len(past.made.deployments)
    rows = await ask(past.url, "hints_together")
    for row in rows:
        one, other = row["rule"], row["other_rule"]
        assert row["together"] == pairs[(one, other)]
        assert row["lift"] == pytest.approx(
            pairs[(one, other)] * verdicts / (alone[one] * alone[other])
        )
    assert len(rows) == min(50, len(pairs))


async def test_a_shadows_pairs_add_up(past: Past) -> None:
    rows = await ask(past.url, "what_would_policy_say")
    assert sum(row["deployments"] for row in rows) == len(past.made.deployments)
    nobody = await ask(past.url, "what_would_policy_say", policy="nobody'; --")
    assert nobody == []


async def test_false_alarms_are_those_people_called_harmless(past: Past) -> None:
    rows = await ask(past.url, "false_alarms")
    alarms = await fetch(
        past.url,
        "SELECT deployment_id FROM verdicts WHERE conclusive AND verdict <> 'ok'",
    )
    assert sum(row["alarms"] for row in rows) == len(alarms)
    said = {each.id: each.feedback for each in past.made.deployments}
    false = sum(said[row["deployment_id"]] is False for row in alarms)
    assert sum(row["false_alarms"] for row in rows) == false
