"""Check the settings of generation: what is wrong with them is one sentence."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields
from typing import Any, Protocol

from ..errors import OptionError, quoted
from ..registry import did_you_mean
from ..types import SEARCH_SETTINGS, GenerationSettings

_RANGES = {
    "temperature": ("above 0", 1e-9, 1e9),
    "top_p": ("above 0, at most 1", 1e-12, 1.0),
    "length_penalty": ("that is finite", -100.0, 100.0),
    "repetition_penalty": ("above 0", 1e-9, 1e9),
}
_LEAST = {"beams": 1, "n_best": 1, "max_sentences": 1, "max_words": 1, "top_k": 1}


class HasGenerationOptions(Protocol):
    """What a decoder says of its generation, see `Decoder`."""

    follows: frozenset[str]
    generation_options: Mapping[str, Any]


def own_options(decoder: HasGenerationOptions, settings: GenerationSettings) -> dict[str, Any]:
    """Return the decoder's own options with the values of `settings`. Raises OptionError for what is not followed."""
    options, problem = with_defaults(decoder.generation_options, settings.options)
    if ignored := unfollowed(settings, decoder.follows):
        problem = f"does not follow {ignored[0]}; it follows {', '.join(sorted(decoder.follows)) or 'beams, limits'}"
    if problem:
        raise OptionError(f"{type(decoder).__name__} {problem}")
    if problem := wrong_setting(settings):
        raise OptionError(problem)
    return options


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
            return {}, f"takes a {kind.__name__} as generation option {name}, not {quoted(value)}"
    return {**declared, **given}, ""
