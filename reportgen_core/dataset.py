"""The interface of a dataset. It has a file of its own because it needs no torch: an audit must not wait for torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from .registry import OLD_RECIPE
from .types import Collection


class Dataset(ABC):
    """Reads studies as people have them on disk. Options are keyword-only."""

    makes_files: ClassVar[bool] = False  # True: the dataset writes its own files into `root`
    part_config: dict[str, Any]  # name and options; set by the registry
    recipe = OLD_RECIPE

    def __init__(self, root: Path) -> None:
        self.root = root

    @abstractmethod
    def read(self) -> Collection:
        """Return all studies in a fixed order, with an audit of the studies that were left out.

        Raises DataError that names a missing file.
        """
