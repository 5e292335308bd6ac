"""The interface of a dataset, apart from the others because it needs no torch: an audit must not wait for it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from .registry import OLD_RECIPE
from .types import Collection


class Dataset(ABC):
    """Reads studies as people have them on disk. Options are keyword-only."""

    makes_files: ClassVar[bool] = False  # root is a folder that it fills itself
    part_config: dict[str, Any]  # name and options; set by the registry
    recipe = OLD_RECIPE

    def __init__(self, root: Path) -> None:
        self.root = root

    @abstractmethod
    def read(self) -> Collection:
        """All studies in a fixed order, and what was left out and why. Raises DataError naming the missing file."""
