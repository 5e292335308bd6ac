"""Name the studies of a batch and the files that it writes, and find the files of its folders that no study uses."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from reportgen_core import Study, View

MAX_BYTES = 80  # of the readable part of a name, in UTF-8; file systems allow 255 with all endings
NAMED = 5  # files that a message names
DIGITS = 12  # hexadecimal digits of the id's sha256
# Endings and names that the commands add themselves, and names that Windows keeps for devices.
_TAKEN = re.compile(
    r".*\.(txt|html|png|words|json|jsonl|npz|svg)|index|(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE
)


def output_names(ids: Iterable[str]) -> dict[str, str]:
    """Return for each id the name of its files without an ending: short, unique, and inside the folder it is put in.

    An id of letters, digits, spaces and `_.+-` is its own name. Every other id, and one that differs from a second id
    in capital letters only, gets a readable part, a `~` and the first digits of its sha256. No two ids share a name,
    also on file systems that do not tell capital letters from small ones.
    """
    distinct = list(dict.fromkeys(ids))
    plain = Counter(id.casefold() for id in distinct if _is_plain(id))
    return {id: id if plain[id.casefold()] == 1 and _is_plain(id) else _hashed(id) for id in distinct}


def output_name(id: str) -> str:
    """Return the name of the files of one id, as `output_names` does."""
    return output_names([id])[id]


def _is_plain(id: str) -> bool:
    """Whether an id can be the name of a file as it is."""
    return id != "" and id == _readable(id) and len(id.encode()) <= MAX_BYTES and not _TAKEN.fullmatch(id)


def _readable(id: str) -> str:
    return re.sub(r"[^\w .+-]+", "_", unicodedata.normalize("NFC", id)).strip(". ").lstrip("-")


def _hashed(id: str) -> str:
    """Return the end of the readable id, which of a path is the file's name, and the beginning of its sha256."""
    digest = hashlib.sha256(id.encode("utf-8", "surrogatepass")).hexdigest()[:DIGITS]
    readable = _readable(id).encode()[-MAX_BYTES:].decode("utf-8", "ignore").strip("._- ")
    return f"{readable or 'study'}~{digest}"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What the search of folders passed over."""

    files: tuple[Path, ...] = ()  # neither an image by their suffix nor DICOM by their content
    links: tuple[Path, ...] = ()  # folders that are symbolic links
    closed: tuple[str, ...] = ()  # folders that cannot be read, with the reason
    more_files: int = 0  # that are counted and not kept
    more_links: int = 0

    def lines(self) -> Iterator[str]:
        """Yield a line for each kind of file that was passed over."""
        if self.files:
            files = counted(len(self.files) + self.more_files, "other file")
            yield f"{files} without an image, not read: {_some(self.files, self.more_files)}"
        if self.links:
            linked = counted(len(self.links) + self.more_links, "linked folder")
            yield f"{linked} not searched; name them to have them read: {_some(self.links, self.more_links)}"
        yield from (f"folder not read: {folder}" for folder in self.closed)


def left_out(paths: Sequence[Path], studies: Sequence[Study]) -> LeftOut:
    """Return the files of the folders among `paths` that are in no study. Hidden files and folders are not listed."""
    from reportgen_core.data.study_files import is_searched

    used = {view.path for study in studies for view in study.views}
    files: list[Path] = []
    links: list[Path] = []
    closed: list[str] = []
    for top in dict.fromkeys(p for p in paths if p.is_dir()):
        for folder, inside, names in os.walk(top, onerror=lambda e: closed.append(f"{e.filename}: {e.strerror}")):
            inside[:] = sorted(name for name in inside if is_searched(name, folder=True))
            links += [Path(folder, name) for name in inside if Path(folder, name).is_symlink()]
            shown = (Path(folder, name) for name in sorted(names) if is_searched(name, folder=False))
            files += [file for file in shown if file not in used]
    return LeftOut(tuple(dict.fromkeys(files)), tuple(dict.fromkeys(links)), tuple(dict.fromkeys(closed)))


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun: "1 image", "2 images"."""
    return f"{number} {noun}" if number == 1 else f"{number} {plural or noun + 's'}"


def _some(paths: Sequence[Path], more: int) -> str:
    """Return the names of the first paths for a message. `more` paths are not among them."""
    return ", ".join(p.name for p in paths[:NAMED]) + (", …" if len(paths) + more > NAMED else "")


def one_study(images: tuple[Path, ...]) -> Study:
    """Return all these files as the views of one study."""
    from reportgen_core.data.study_files import group_files

    views: list[View] = [v for s in group_files(images) for v in s.views]
    return Study(images[0].stem, tuple(views))


def short_ids(studies: Sequence[Study]) -> list[Study]:
    """Return the studies; an id that is a path becomes relative to the folder that all files with such ids share."""
    by_path = {s.id: os.path.abspath(s.id) for s in studies if s.views and s.id == str(s.views[0].path)}
    if not by_path:
        return list(studies)
    folder = os.path.commonpath([os.path.dirname(path) for path in by_path.values()])
    shorter = [replace(s, id=os.path.relpath(by_path[s.id], folder)) if s.id in by_path else s for s in studies]
    return shorter if len({s.id for s in shorter}) == len({s.id for s in studies}) else list(studies)
