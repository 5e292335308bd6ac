"""From the text of a report to the words of a vocabulary, and back (torch-free). The recipes are in recipes.py."""

from __future__ import annotations

import hashlib
import re
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache, lru_cache
from itertools import pairwise
from typing import Any, cast

from ..errors import (
    CheckpointError,
    CompositionError,
    DataError,
    OptionError,
    PluginError,
    ReportgenError,
    UnknownName,
    lists_only,
    quoted,
)
from ..registries import text_recipes
from ..registry import did_you_mean, resolve
from ..types import Study
from .arguments import known_fields
from .learned import LearnedRecipe
from .recipes import RECIPES, Recipe

PAD, BOS, EOS, UNK = 0, 1, 2, 3
SPECIAL = ("<pad>", "<bos>", "<eos>", "<unk>")


@lists_only
@dataclass(frozen=True, slots=True)
class TextSpec:
    """How reports become words: the name of a recipe, and limits. It is saved with the model."""

    recipe: str = "plain"
    sections: tuple[str, ...] = ("findings",)
    min_count: int = 1  # a word that occurs less often becomes <unk>
    max_vocabulary: int | None = None  # the most words of the vocabulary, the commonest; None: no limit
    max_sentences: int = 8
    max_words: int = 30  # per sentence, without the end mark
    max_length: int | None = None  # words of a whole report; None: max_sentences × (max_words + 1)
    recipe_options: Mapping[str, Any] = field(default_factory=dict, hash=False)  # of a `LearnedRecipe`
    files: Mapping[str, bytes] = field(default_factory=dict, hash=False, repr=False)  # those of a `LearnedRecipe`

    @classmethod
    def from_json(
        cls,
        values: Mapping[str, Any],
        files: Mapping[str, bytes] | None = None,
        *,
        what: str = "a text spec",
        error: type[ReportgenError] = DataError,
    ) -> TextSpec:
        """Return the spec that `to_json` wrote, with the contents of its `files`.

        Raises `error` with a line that begins with `what` for an unknown key or a wrong value.
        """
        fields = known_fields(cls, values, what, error)
        if not isinstance(sections := fields.get("sections", ()), tuple):
            raise error(f"sections {sections!r} of {what} must be a list, as {[sections]}")
        if not isinstance(options := fields.get("recipe_options", {}), Mapping):
            raise error(f'recipe_options {options!r} of {what} must be an object, as {{"size": 2000}}')
        named = fields.pop("files", {})
        if set(named) != set(files or {}):
            raise error(f"files of {what} are written by training, which makes them; leave them out")
        spec = cls(**fields, files=dict(files or {}))
        _check_recipe(spec)
        return spec

    def to_json(self) -> dict[str, Any]:
        """Return the spec as JSON values, with the sha256 of its files. What only some recipes have is left out."""
        values = {**asdict(replace(self, files={})), "sections": list(self.sections), "files": self.hashes}
        return {k: v for k, v in values.items() if v or k not in ("files", "recipe_options")}

    @property
    def hashes(self) -> dict[str, str]:
        """Return the sha256 of each of its files by name."""
        return {name: hashlib.sha256(content).hexdigest() for name, content in sorted(self.files.items())}

    @property
    def length(self) -> int:
        """Return the most words of a report, sentence marks included."""
        return self.max_sentences * (self.max_words + 1) if self.max_length is None else self.max_length


@lists_only
class Vocabulary:
    """The words of a model, the special ones first. The id of a word is its position."""

    def __init__(self, words: Iterable[str] = ()) -> None:
        self.words: tuple[str, ...] = (*SPECIAL, *words)
        self._ids = {w: i for i, w in enumerate(self.words)}

    def __len__(self) -> int:
        return len(self.words)

    @lists_only
    def encode(self, words: Iterable[str]) -> list[int]:
        """Return the ids of words; an unknown word gets the id of <unk>."""
        return [self._ids.get(w, UNK) for w in words]

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Return the words of ids, without <pad>, <bos> and <eos>."""
        return [self.words[i] for i in ids if i not in (PAD, BOS, EOS)]


def recipe(spec: TextSpec) -> Recipe:
    """Return the recipe of a spec, ours first.

    Raises UnknownName, PluginError for a recipe that is none, CompositionError for one that has to be learned first,
    and CheckpointError for files that are none of it.
    """
    if spec.recipe in RECIPES:
        return RECIPES[spec.recipe]
    kind = _recipe_of_plugin(spec.recipe)
    if isinstance(kind, Recipe):
        return kind
    if not spec.files:
        raise CompositionError(
            f"text recipe {spec.recipe!r} is not made yet: training makes it from its reports (rg train MODEL)"
        )
    return _read_recipe(spec.recipe, tuple(sorted(spec.files.items())))


def recipe_files(name: str) -> tuple[str, ...]:
    """Return the names of the files that a recipe has in a model's folder; () if it has none."""
    kind = RECIPES[name] if name in RECIPES else _recipe_of_plugin(name)
    return () if isinstance(kind, Recipe) else kind.files


def given_recipe(spec: TextSpec) -> TextSpec:
    """Return the spec with the files of its recipe, if these need no training reports. Raises OptionError."""
    _check_recipe(spec)
    return spec if spec.files or not recipe_files(spec.recipe) else replace(spec, files=dict(_maker(spec).given()))


def learned_recipe(spec: TextSpec, texts: Sequence[str]) -> TextSpec:
    """Return the spec with the files of its recipe, learned from training reports unless it has them."""
    spec = given_recipe(spec)
    if spec.files or not recipe_files(spec.recipe):
        return spec
    files = dict(_maker(spec).learn(texts))
    if set(files) != set(recipe_files(spec.recipe)):
        raise PluginError(
            f"text recipe {spec.recipe!r} of {text_recipes.owner(spec.recipe)} learned the files "
            f"{', '.join(sorted(files)) or 'none'}, and its class names {', '.join(recipe_files(spec.recipe))}"
        )
    return replace(spec, files=files)


def _check_recipe(spec: TextSpec) -> None:
    """Raise UnknownName for a recipe that does not exist, and OptionError for options that it does not have."""
    if recipe_files(spec.recipe):
        if not spec.files:
            _maker(spec)
    elif spec.recipe_options:
        raise OptionError(f"text recipe {spec.recipe!r} has no options; leave out recipe_options")


def _maker(spec: TextSpec) -> LearnedRecipe:
    return cast(LearnedRecipe, text_recipes.create(spec.recipe, **spec.recipe_options))


@lru_cache(maxsize=16)
def _read_recipe(name: str, files: tuple[tuple[str, bytes], ...]) -> Recipe:
    kind = _recipe_of_plugin(name)
    assert not isinstance(kind, Recipe), "recipe() has asked"
    try:
        return kind.read(dict(files))
    except (ValueError, KeyError, TypeError) as e:
        raise CheckpointError(f"{', '.join(n for n, _ in files)} of text recipe {name!r}: {e}") from e


OWN_FILES = {"config.json", "model.safetensors", "vocabulary.json", "tags.json", "card.md", "domain.safetensors"}


@cache
def _recipe_of_plugin(name: str) -> Recipe | type[LearnedRecipe]:
    if name not in text_recipes:
        raise UnknownName(f"no text recipe named {name!r}; {did_you_mean(name, [*RECIPES, *text_recipes])}")
    value = resolve(text_recipes[name].target)
    if isinstance(value, Recipe):
        return value
    what = f"text recipe {name!r} of {text_recipes.owner(name)}: {text_recipes[name].target}"
    if not (isinstance(value, type) and issubclass(value, LearnedRecipe)):
        raise PluginError(f"{what} is no reportgen_core.text.Recipe or LearnedRecipe, but {quoted(value)}")
    if bad := [file for file in value.files if not re.fullmatch(r"\w[\w-]*\.(json|txt)", file) or file in OWN_FILES]:
        raise PluginError(f"{what} names the file {bad[0]!r}; give it a name of its own that ends with .json or .txt")
    if not value.files:
        raise PluginError(f"{what} names no file in `files`; a recipe without files is a Recipe")
    return value


def sentence_words(text: str, spec: TextSpec) -> list[list[str]]:
    """Return a report as sentences of words, by the recipe of the spec, cut to its limits.

    Sentences without a word are left out; a report without words is [].
    """
    sentences = [s[: spec.max_words] for s in recipe(spec).split(text) if _has_word(s)]
    return sentences[: spec.max_sentences]


def report_words(text: str, spec: TextSpec) -> list[str]:
    """Return a report as one row of words, with a mark after each sentence, cut to `spec.length`.

    For r2gen recipes these are exactly the words that R2Gen trains on and scores against: sentence limits do not cut,
    and sentences without words after cleaning keep their mark. A report without words is [].
    """
    rules = recipe(spec)
    if rules.flat:
        sentences = rules.split(text)
        sentences = sentences if any(map(_has_word, sentences)) else []
    else:
        sentences = sentence_words(text, spec)
    return [word for s in sentences for word in (*s, rules.mark)][: spec.length]


def count_cut_words(text: str, words: Sequence[str], spec: TextSpec) -> int:
    """Return how many words the limits cut off a report, marks included. `words` are its words by `report_words`."""
    longest = max((b - a for a, b in spans(words, spec)), default=0)
    if len(words) < spec.length and longest < spec.max_words and words.count(recipe(spec).mark) < spec.max_sentences:
        return 0  # within all limits, as nearly all reports are
    unlimited = replace(spec, max_sentences=sys.maxsize, max_words=sys.maxsize, max_length=sys.maxsize)
    return len(report_words(text, unlimited)) - len(words)


def cut_note(texts: Sequence[str], spec: TextSpec) -> str:
    """Return a sentence on the number of training reports that the limits cut; "" if they cut none."""
    cut = sum(count_cut_words(text, report_words(text, spec), spec) > 0 for text in texts)
    whole = "" if spec.max_length is None else f" or {spec.max_length} words in all"
    limits = f"{spec.max_sentences} sentences of {spec.max_words} words{whole}"
    verb = "is" if cut == 1 else "are"
    return f"{cut} of {len(texts)} reports to learn from {verb} longer than {limits}, and {verb} cut" if cut else ""


def spans(words: Sequence[str], spec: TextSpec) -> list[tuple[int, int]]:
    """Return the start and end of each sentence in a row of words, without the marks between sentences."""
    mark = recipe(spec).mark
    cuts = [-1, *(i for i, word in enumerate(words) if word == mark), len(words)]
    return [(a + 1, b) for a, b in pairwise(cuts) if b > a + 1]


def unflatten(words: Iterable[str], spec: TextSpec) -> list[list[str]]:
    """Return a row of words as sentences, cut at the marks and without them."""
    row = list(words)
    return [row[a:b] for a, b in spans(row, spec)]


def join(sentences: Iterable[Sequence[str]], spec: TextSpec) -> str:
    """Return the text of sentences of words, by the recipe. A sentence may be a row of sentences with their marks."""
    rules = recipe(spec)
    return rules.write([rules.unknown if w == SPECIAL[UNK] else w for w in s] for s in sentences)


def build_vocabulary(texts: Iterable[str], spec: TextSpec) -> Vocabulary:
    """Return the vocabulary of training texts, by `min_count` and `max_vocabulary`. Words are counted before any cut.

    The recipe's sentence mark is always a word; it is counted only if it is a word like any other (r2gen).
    Order: the commonest first and equals by the alphabet, or all by the alphabet, as the recipe says. A recipe that
    names all its `words` gives all of them, in its order; the limits take the commonest of the training texts.
    """
    rules = recipe(spec)
    if rules.words and spec.min_count <= 1 and spec.max_vocabulary is None:
        return Vocabulary(rules.words)
    counts = Counter(w for text in texts for s in rules.split(text) for w in (*s, rules.mark))
    for special in SPECIAL:
        del counts[special]
    marks = counts.pop(rules.mark, 0)
    if rules.flat and marks:
        counts[rules.mark] = marks
    common = sorted((w for w, n in counts.items() if n >= spec.min_count), key=lambda w: (-counts[w], w))
    common = common[: spec.max_vocabulary]
    if rules.flat:
        return Vocabulary(sorted(common) if rules.alphabetical else common)
    return Vocabulary((rules.mark, *(sorted(common) if rules.alphabetical else common)))


def shown_words(words: Iterable[str], spec: TextSpec) -> tuple[str, ...]:
    """Return words as pages show them: pieces of words without the signs of their tokenizer."""
    show = recipe(spec).show
    return tuple(map(show, words))


def _has_word(words: Sequence[str]) -> bool:
    """Return whether one of the words has a letter or a digit."""
    return any(c.isalnum() for w in words for c in w)


def recipe_sentences(study: Study, text: TextSpec) -> list[str]:
    """Return the sentences of a study's report, as the text recipe writes them."""
    return [join([s], text) for s in sentence_words(study.text(text.sections), text)]
