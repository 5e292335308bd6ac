"""Published systems as data: the parts, the training, the dataset, and the scores that the paper prints.

A preset is a JSON file inside a package, registered by a plugin as an Entry whose target is "package:folder/file.json".
The dataclasses here are its schema. Torch-free.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from reportgen_core import DataError, PluginError, ReportgenError, UnknownName
from reportgen_core.models.owners import Composition
from reportgen_core.registries import presets
from reportgen_core.registry import foreign_code
from reportgen_core.text.spec import TextSpec

from ..manifest.schema import from_json, parse


class PresetError(ReportgenError):
    """A preset cannot be read, or is not one."""


@dataclass(frozen=True, slots=True)
class PaperData:
    """The data of a paper: the dataset that reads it, with its options, and the split."""

    dataset: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    split: str = ""  # how the paper cut it, in words


@dataclass(frozen=True, slots=True)
class PaperRow:
    """A row of a table of the paper."""

    data: str  # "IU X-Ray"
    table: str  # "Table 1, Ours-CoAttention"
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Preset:
    """One published system."""

    name: str
    summary: str
    paper: str
    compose: Composition
    text: Mapping[str, Any] = field(default_factory=dict)  # a TextSpec
    train: Mapping[str, Any] = field(default_factory=dict)  # settings of `train`
    generation: Mapping[str, Any] = field(default_factory=dict)  # GenerationSettings, if the paper has its own
    data: PaperData = field(default_factory=PaperData)
    protocol: str = ""  # how its scores are made; "": the standard one
    numbers: tuple[PaperRow, ...] = ()
    notes: tuple[str, ...] = ()  # what is done if the paper does not say

    def text_spec(self) -> TextSpec:
        """Return how the reports are cut into words."""
        return TextSpec.from_json(self.text)


def load_preset(name: str) -> Preset:
    """Return the preset registered as `name`. Raises UnknownName, or PresetError if its file is wrong."""
    target = presets[name].target
    package, _, path = target.partition(":")
    try:
        with foreign_code():  # the package is imported to find its file
            text = resources.files(package).joinpath(*path.split("/")).read_text(encoding="utf-8")
    except PluginError as e:
        raise PresetError(f"preset {name!r} of {presets.owner(name)}: {target} cannot be read: {e}") from e.__cause__
    return read_preset(text, f"preset {name!r}", name)


def read_preset(text: str, where: str, name: str) -> Preset:
    """Return the preset of a JSON text. Raises PresetError that begins with `where`."""
    preset = from_json(Preset, parse(text, where), where)
    if preset.name != name:
        raise PresetError(f"{where}: the file calls itself {preset.name!r}")
    if (preset.compose.decoder is None) == (preset.compose.retriever is None):
        raise PresetError(f"{where}: compose needs either a decoder or a retriever")
    try:
        preset.text_spec()
    except (DataError, UnknownName, TypeError) as e:
        raise PresetError(f"{where}: text: {e}") from e
    return preset
