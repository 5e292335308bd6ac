"""Cut reports into sentences of words, and join words into reports again. A recipe has the rules of one paper or
language, a `Vocabulary` has the words that a model knows, and a `TextSpec` names the recipe and its limits. All
three are saved with a model, so that it writes text by the rules of its training. Two files say in words what is
wrong with the arguments of a call and with the settings of generation. The wing needs no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .learned import LearnedRecipe
    from .recipes import RECIPES, Recipe, split_sentences, with_stop
    from .spec import (
        BOS,
        EOS,
        PAD,
        SPECIAL,
        UNK,
        TextSpec,
        Vocabulary,
        build_vocabulary,
        count_cut_words,
        cut_note,
        given_recipe,
        join,
        learned_recipe,
        recipe,
        recipe_sentences,
        report_words,
        sentence_words,
        shown_words,
        spans,
        unflatten,
    )

__all__ = [
    "BOS",
    "EOS",
    "PAD",
    "RECIPES",
    "SPECIAL",
    "UNK",
    "LearnedRecipe",
    "Recipe",
    "TextSpec",
    "Vocabulary",
    "build_vocabulary",
    "count_cut_words",
    "cut_note",
    "given_recipe",
    "join",
    "learned_recipe",
    "recipe",
    "recipe_sentences",
    "report_words",
    "sentence_words",
    "shown_words",
    "spans",
    "split_sentences",
    "unflatten",
    "with_stop",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "learned": ["LearnedRecipe"],
        "recipes": ["RECIPES", "Recipe", "split_sentences", "with_stop"],
        "spec": [
            "BOS",
            "EOS",
            "PAD",
            "SPECIAL",
            "UNK",
            "TextSpec",
            "Vocabulary",
            "build_vocabulary",
            "report_words",
            "join",
            "recipe",
            "recipe_sentences",
            "sentence_words",
            "cut_note",
            "given_recipe",
            "learned_recipe",
            "shown_words",
            "spans",
            "unflatten",
            "count_cut_words",
        ],
    },
)
