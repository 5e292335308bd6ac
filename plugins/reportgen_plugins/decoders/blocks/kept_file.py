"""Keep a file of a model's folder that belongs to its weights: it is saved with them and dropped before training."""

from __future__ import annotations

from pathlib import Path

from reportgen_core.annotation.thresholds import THRESHOLDS
from reportgen_core.files.json_files import read_bounded


class KeptFile:
    """One small file of a model's folder, copied byte by byte."""

    def __init__(self, name: str) -> None:
        self.name, self.content = name, None

    content: bytes | None

    def read(self, folder: Path) -> None:
        """Read the file of a model's folder, if there is one. Raises CheckpointError for a file that is too large."""
        self.content = read_bounded(folder / self.name) if (folder / self.name).is_file() else None

    def write(self, folder: Path) -> None:
        """Write the file into a model's folder, if one was read."""
        if self.content is not None:
            (folder / self.name).write_bytes(self.content)


class KeepsThresholds:
    """A decoder that keeps the thresholds of `rg annotate`. `__init__` sets `_thresholds` to `thresholds_file()`."""

    _thresholds: KeptFile

    def write_files(self, folder: Path, model_digest: str) -> None:
        """Write the thresholds that were chosen for these weights, if there are any."""
        self._thresholds.write(folder)

    def read_files(self, folder: Path, model_digest: str) -> None:
        """Read the thresholds from the model's folder, if it has them."""
        self._thresholds.read(folder)

    def drop_files(self) -> None:
        """Forget the thresholds: they do not fit the weights after training."""
        self._thresholds.content = None


def thresholds_file() -> KeptFile:
    """Return the file of thresholds, which nobody has read yet."""
    return KeptFile(THRESHOLDS)
