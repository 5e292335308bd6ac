"""Text recipes with files of their own, such as a tokenizer: learned from the training reports, or given.

The files travel in the model's folder. Its config.json has their names and the sha256 of each. Only files that the
class names are read, and each must be the one that was saved.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

from .recipes import Recipe


class LearnedRecipe(ABC):
    """A text recipe with files. An author writes `learn` and `read`, and gives `files` their names.

    Constructor options are keyword-only JSON values: `TextSpec.recipe_options`. A model that is loaded has the files,
    and needs no option.
    """

    files: ClassVar[tuple[str, ...]] = ()  # names of its files in a model's folder, as tokenizer.json

    def given(self) -> Mapping[str, bytes]:
        """Return the contents of the files if no report is needed to make them; {} by default."""
        return {}

    @abstractmethod
    def learn(self, texts: Sequence[str]) -> Mapping[str, bytes]:
        """Return the contents of the files, made from the texts of the training reports.

        The same texts in the same order give the same bytes. Raises DataError for texts that are too few.
        """

    @staticmethod
    @abstractmethod
    def read(files: Mapping[str, bytes]) -> Recipe:
        """Return the recipe of these files. Raises ValueError for contents that are none."""
