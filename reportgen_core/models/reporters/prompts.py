"""A prompt: a text with fields that are filled from a study.

    {indication}        the indication; a study without one gets no report
    {indication|none}   the indication, or the text "none"
    {{ and }}           a brace

`FIELDS` has all names. `{images}` is the place of the study's images; without it the images come before the text. Text
above a line `---` is the message to the system.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ...errors import OptionError, quoted
from ...registry import did_you_mean
from ...types import Study
from .context import FACTS, SECTIONS, Takes, context_of

DEFAULT = "Write the findings section of the report of this chest radiograph, in full sentences."
IMAGES = ("images", "prior_images")
FIELDS = (*SECTIONS, *FACTS, "prior_report", "projections", *IMAGES)
_FIELD = re.compile(r"\{\{|\}\}|\{(?P<name>[^{}|]*)(?P<other>\|[^{}]*)?\}|[{}]")
_SYSTEM = re.compile(r"^---[ \t]*\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a message: a text, or the image of this number among those of the study or of the prior study."""

    kind: Literal["text", "image", "prior"]
    text: str = ""
    number: int = 0


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    other: str | None  # the text in its place if the study has none; None: it is required


@dataclass(frozen=True, slots=True)
class Prompt:
    """A template over the context of a study. `Prompt.parse` reads one."""

    template: str
    system: str
    parts: tuple[str | _Field, ...]

    @classmethod
    def parse(cls, template: str, place: str = "the prompt", fields: Sequence[str] = FIELDS) -> Prompt:
        """Read a template with these fields. `place` is in messages.

        Raises OptionError for an unknown field or a brace that is open.
        """
        system, mark, user = template.partition(match[0]) if (match := _SYSTEM.search(template)) else ("", "", template)
        above = system.count("\n") + mark.count("\n")
        parts = tuple(_parts(user.strip("\n"), place, above, fields))
        if not user.strip():
            raise OptionError(f"{place} is empty; it is the text that goes to the model")
        return cls(template, system.strip(), parts)

    @property
    def sha256(self) -> str:
        """Return the sha256 of the template."""
        return hashlib.sha256(self.template.encode("utf-8", "surrogatepass")).hexdigest()

    @property
    def _fields(self) -> dict[str, _Field]:
        return {part.name: part for part in self.parts if isinstance(part, _Field)}

    def takes(self, most_views: int) -> Takes:
        """Return what the prompt takes of a study: a field without another text is required."""
        needs = {n: "required" if f.other is None else "optional" for n, f in self._fields.items()}
        named = {name: need for name, need in needs.items() if name not in ("images", "projections")}
        return Takes(views="required" if most_views else "no", most_views=most_views, **named)  # type: ignore[arg-type]

    def has(self, field: str) -> bool:
        """Return whether the template has this field."""
        return field in self._fields

    def fill_texts(self, texts: Mapping[str, str]) -> str:
        """Return the message with these texts in the fields; "" or no text takes the other text of its field."""
        return "".join(p if isinstance(p, str) else texts.get(p.name) or p.other or "" for p in self.parts)

    def fill(self, study: Study, images: int, prior_images: int = 0) -> list[Piece]:
        """Return the message about a study with these numbers of images. Texts next to each other are one piece."""
        texts: Mapping[str, str] = {**context_of(study), "projections": _projections(study)}
        counts = {"images": ("image", images), "prior_images": ("prior", prior_images)}
        pieces = [] if "images" in self._fields else [Piece("image", number=n) for n in range(images)]
        words: list[str] = []
        for part in self.parts:
            if isinstance(part, _Field) and part.name in counts and counts[part.name][1]:
                kind, count = counts[part.name]
                pieces += [Piece("text", "".join(words))] if words else []
                pieces += [Piece(kind, number=n) for n in range(count)]  # type: ignore[arg-type]
                words = []
            else:
                words.append(part if isinstance(part, str) else texts.get(part.name) or part.other or "")
        return [*pieces, Piece("text", "".join(words))] if "".join(words) else pieces


def _parts(text: str, place: str, above: int, fields: Sequence[str]) -> Iterator[str | _Field]:
    """Yield the texts and fields of a template whose first line has the number `above` + 1."""
    at = 0
    for match in _FIELD.finditer(text):
        if match.start() > at:
            yield text[at : match.start()]
        at, sign = match.end(), match[0]
        line = f"{place}, line {above + text.count(chr(10), 0, match.start()) + 1}"
        if sign in ("{{", "}}"):
            yield sign[0]
        elif len(sign) == 1:
            raise OptionError(
                f"{line} has a {sign} alone; a field is {{name}} or {{name|other text}}, a brace {sign * 2}"
            )
        elif (name := match["name"].strip()) not in fields:
            raise OptionError(f"{line} names the field {quoted(name)}; {did_you_mean(name, fields)}")
        else:
            yield _Field(name, match["other"][1:] if match["other"] is not None else None)
    if text[at:]:
        yield text[at:]


def _projections(study: Study) -> str:
    """Return the projections of the study's images in words: "frontal, lateral"."""
    return ", ".join(view.projection or "unknown" for view in study.views)
