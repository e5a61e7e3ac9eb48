"""Recipes: what their heads say, and values that never become SQL."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInputError, NotFoundError
from sql import recipes

RECIPES = recipes.shipped()


def test_there_are_enough_of_them() -> None:
    assert len(RECIPES) >= 15


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda each: each.name)
def test_heads_say_question_values_and_columns(recipe: recipes.Recipe) -> None:
    assert recipe.question.endswith("?")
    assert len(recipe.head.split()) >= 12
    assert recipe.gives
    assert None not in recipe.values.values(), "every recipe runs as it is"
    bound = recipes.bind(recipe.text, recipe.values, {})
    assert len(bound.arguments) == len(recipe.values)
    assert ":'" not in bound.text


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda each: each.name)
def test_they_read_views_of_the_report_only_and_name_their_columns(recipe: recipes.Recipe) -> None:
    sql = "\n".join(line for line in recipe.text.splitlines() if not line.startswith("--"))
    assert "report." in sql
    assert "SELECT *" not in sql


def test_places_are_found_and_nothing_else() -> None:
    text = """
    SELECT :'a'::integer, x::text, ':''a', 'it''s :' || :'b', ":'c'", E'\\' :', $$:'d'$$,
           $t$ :'e' $t$, ARRAY[1,2][1:2] -- :'f'
           /* :'g' */, :'a'
    """
    bound = recipes.bind(text, {"a": "1"}, {"b": "two"})
    assert bound.arguments == ("1", "two")
    assert bound.text.count("$1::text") == 2
    assert bound.text.count("$2::text") == 1
    for left in ("\":'c'\"", "$$:'d'$$", ":'e'", "-- :'f'", "/* :'g' */", "':''a'"):
        assert left in bound.text


@given(
    before=st.text(st.characters(exclude_characters="'\"$-/\\:eE")),
    after=st.text(st.characters(exclude_characters="'\"$-/\\:eE")),
    value=st.text(),
)
def test_a_value_is_never_part_of_the_text(before: str, after: str, value: str) -> None:
    text = f"{before} :'x' {after}"
    bound = recipes.bind(text, {}, {"x": value})
    assert bound.text == f"{before} $1::text {after}"
    assert bound.arguments == (value,)
    # Wherever the server points to, it is the same character as it was written.
    for position in range(1, len(before) + 2):
        assert bound.origin(position) == position
    for back in range(len(after) + 1):
        assert bound.origin(len(bound.text) - back) == len(text) - back


@pytest.mark.parametrize(
    ("given_values", "says"),
    [({}, "give a value, x="), ({"x": "1", "y": "2"}, "no place :'y'")],
)
def test_values_and_places_must_match(given_values: dict[str, str], says: str) -> None:
    with pytest.raises(InvalidInputError, match=says):
        recipes.bind("SELECT :'x'", {"x": None}, given_values)


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="--list"):
        recipes.find("nothing")
    with pytest.raises(InvalidInputError, match="No such file"):
        recipes.read(tmp_path / "none.sql")
    (tmp_path / "odd.sql").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(InvalidInputError, match="no text"):
        recipes.read(tmp_path / "odd.sql")


def test_a_file_without_a_head_is_a_query_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "one.sql").write_text("SELECT 1")
    recipe = recipes.read(tmp_path / "one.sql")
    assert (recipe.question, recipe.gives, dict(recipe.values)) == ("", (), {})
