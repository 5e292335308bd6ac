"""Text recipes that plugins bring: found by name, used for words and texts, and refused in one line if they are none."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from reportgen_core import Entry, PluginError, UnknownName, load
from reportgen_core.registries import text_recipes
from reportgen_core.testing import tiny_model
from reportgen_core.text import Recipe, TextSpec, build_vocabulary, join, report_words, sentence_words, spec


def lines(text):
    return [line.split() for line in text.splitlines()]


def written(sentences):
    return "\n".join(" ".join(s) for s in sentences)


@pytest.fixture
def recipes(monkeypatch):
    """A module with a recipe, `by-line`, and with something that is none."""
    module = ModuleType("own_recipes")
    module.by_line, module.no_recipe = Recipe(lines, written, mark="|"), lines
    monkeypatch.setitem(sys.modules, "own_recipes", module)
    for name in ("by_line", "no_recipe", "missing"):
        entry = Entry(name.replace("_", "-"), f"own_recipes:{name}", "a test")
        monkeypatch.setitem(text_recipes._entries(), entry.name, ("own:own", entry))
    yield
    spec._recipe_of_plugin.cache_clear()


TEXT = "heart is Large\nno Effusion"


def test_a_recipe_of_a_plugin_cuts_and_joins(recipes):
    by_line = TextSpec(recipe="by-line")
    assert sentence_words(TEXT, by_line) == [["heart", "is", "Large"], ["no", "Effusion"]]
    assert report_words(TEXT, by_line) == ["heart", "is", "Large", "|", "no", "Effusion", "|"]
    assert join(sentence_words(TEXT, by_line), by_line) == TEXT
    assert "|" in build_vocabulary([TEXT], by_line).words


def test_a_model_keeps_the_name_of_its_recipe(recipes, tmp_path):
    model = tiny_model()
    model.text = TextSpec(recipe="by-line", max_sentences=3, max_words=5)
    assert load(model.save(tmp_path / "m")).text.recipe == "by-line"


@pytest.mark.parametrize(
    ("name", "error", "says"),
    [
        ("by-lin", UnknownName, "did you mean 'by-line'"),
        ("no-recipe", PluginError, "own_recipes:no_recipe is no reportgen_core.text.Recipe"),
        ("missing", PluginError, "has no attribute 'missing'"),
    ],
)
def test_what_is_no_recipe_is_one_line(recipes, name, error, says):
    with pytest.raises(error, match=says) as raised:
        sentence_words(TEXT, TextSpec(recipe=name))
    assert "\n" not in str(raised.value)
