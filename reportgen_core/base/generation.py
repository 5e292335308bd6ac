"""The settings of generation, and what is wrong with them in one sentence."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from .names import did_you_mean

# The settings that a decoder may or may not follow, see `Decoder.follows`. Every decoder follows the others.
SEARCH_SETTINGS = frozenset({"sample", "temperature", "top_k", "top_p", "length_penalty", "repetition_penalty", "seed"})
_RANGES = {
    "temperature": ("above 0", 1e-9, 1e9),
    "top_p": ("above 0, at most 1", 1e-12, 1.0),
    "length_penalty": ("that is finite", -100.0, 100.0),
    "repetition_penalty": ("above 0", 1e-9, 1e9),
}
_LEAST = {"beams": 1, "n_best": 1, "max_sentences": 1, "max_words": 1, "top_k": 1}


@dataclass(frozen=True, slots=True)
class GenerationSettings:
    """How to generate a report. None: the limit that the model was trained with.

    A score is made of the model's own log-probabilities, whatever the temperature and the repetition penalty are.
    """

    beams: int = 1  # 1: greedy search; with `sample`: how many reports, or versions of a sentence, are drawn
    n_best: int = 1  # reports for each study, best first; at most `beams` per sentence are compared
    max_sentences: int | None = None
    max_words: int | None = None  # per sentence
    attention: bool = True  # return the attention weights
    distinct: bool = False  # leave out a sentence that the report has already
    sample: bool = False  # draw each word by its probability, in place of the likeliest; equal seeds draw equal words
    temperature: float = 1.0  # of `sample`, above 0: below 1 likely words become likelier
    top_k: int | None = None  # of `sample`: draw from so many of the likeliest words
    top_p: float = 1.0  # of `sample`, 0..1: draw from the likeliest words that have this probability together
    length_penalty: float = 1.0  # a score is Σ log p / words ** length_penalty: 1 is the mean, 0 the sum
    repetition_penalty: float = 1.0  # above 1: a word that the row has already becomes less likely
    seed: int = 0  # of `sample`
    options: Mapping[str, Any] = field(default_factory=dict)  # the decoder's own, see `Decoder.generation_options`

    def with_values(self, values: Mapping[str, Any]) -> GenerationSettings:
        """Return the settings with other values. A name that is no setting is an option of the decoder's own."""
        names = {f.name for f in fields(self)} - {"options"}
        own = {k: v for k, v in values.items() if k not in names}
        return replace(self, **{k: values[k] for k in names & set(values)}, options={**self.options, **own})


def wrong_setting(settings: GenerationSettings) -> str:
    """Return a sentence on the first setting whose value has no meaning; "" if all have one."""
    for name, fewest in _LEAST.items():
        value = getattr(settings, name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < fewest):
            return f"generation takes {name} of at least {fewest}, not {value!r}"
    for name, (text, least, most) in _RANGES.items():
        value = getattr(settings, name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            return f"generation takes a {name} {text}, not {value!r}"
    return ""


def unfollowed(settings: GenerationSettings, follows: Collection[str]) -> list[str]:
    """Return the names of the settings that are not the default and that a decoder does not follow."""
    defaults = {f.name: f.default for f in fields(GenerationSettings)}
    return sorted(n for n in SEARCH_SETTINGS - set(follows) if getattr(settings, n) != defaults[n])


def with_defaults(declared: Mapping[str, Any], given: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Return the declared options with the given values, and a sentence on the first wrong one; "" if none is.

    A given value has the type of the declared default; a whole number may stand for a float. A default of None takes
    any value.
    """
    for name, value in given.items():
        if name not in declared:
            return {}, f"has no generation option {name!r}; {did_you_mean(name, declared)}"
        kind = type(declared[name])
        fits = declared[name] is None or type(value) is kind or (kind is float and type(value) is int)
        if not fits:
            return {}, f"takes a {kind.__name__} as generation option {name}, not {value!r:.60}"
    return {**declared, **given}, ""
