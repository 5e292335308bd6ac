"""Keep a file of a model's folder that belongs to its weights: it is saved with them and dropped before training."""

from __future__ import annotations

from pathlib import Path

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
