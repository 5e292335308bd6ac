"""List files and folders of images as studies, on the disk: the studies and the ids of `group_files` and `short_ids`.

A tree may have more files than the memory holds. So the names go into a database of SQLite in the folder of the run,
which sorts, groups and counts them, and is removed in the end. The rules are those of
`reportgen_core.data.study_files`.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from urllib.parse import quote

from reportgen_core.data.study_files import examination_of, is_image, is_searched, no_image, study_name

from ...batch_files import NAMED, LeftOut

CACHE = 16_000  # KiB of the database that are in memory
IMAGE, OTHER, LINK = range(3)
TABLES = """
CREATE TABLE entry(path BLOB PRIMARY KEY, top INT, place BLOB, kind INT, key TEXT, projection TEXT) WITHOUT ROWID;
CREATE TABLE image(rank INTEGER PRIMARY KEY, path BLOB, key TEXT, projection TEXT);
CREATE TABLE examination(key TEXT PRIMARY KEY, study INT) WITHOUT ROWID;
CREATE TABLE view(study INT, rank INT, path BLOB, projection TEXT, PRIMARY KEY (study, rank)) WITHOUT ROWID;
CREATE TABLE crowded(folder BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE study(study INTEGER PRIMARY KEY, id BLOB, path BLOB, short BLOB);
"""
# A file that is named is an image, whatever the search of its folder took it for.
ADD = """
INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (path) DO UPDATE SET
  top = excluded.top, place = excluded.place, kind = excluded.kind, key = excluded.key, projection = excluded.projection
  WHERE entry.kind <> 0 AND excluded.kind = 0
"""
# A study is numbered by the rank of its first image.
GROUP = """
INSERT INTO image(path, key, projection) SELECT path, key, projection FROM entry WHERE kind = 0 ORDER BY top, place;
INSERT INTO examination SELECT key, MIN(rank) FROM image WHERE key <> '' GROUP BY key;
INSERT INTO view SELECT COALESCE(study, rank), rank, path, projection FROM image LEFT JOIN examination USING (key);
DROP TABLE image;
INSERT INTO crowded SELECT folder(path) FROM view GROUP BY folder(path) HAVING COUNT(DISTINCT study) > 1;
"""
VIEWS = """
SELECT study, COALESCE(short, id), view.path, projection FROM view LEFT JOIN study USING (study) ORDER BY study, rank
"""
Row = tuple[bytes, int, bytes, int, str, str]


@dataclass(slots=True)
class StudyTree:
    """The images that a user names, as studies. `short`: ids that are paths are written as `short_ids` does.

    The numbers, and what was passed over, are known after `write`.
    """

    given: Sequence[Path]
    short: bool
    studies: int = 0
    images: int = 0
    passed_over: LeftOut = field(default_factory=LeftOut)

    def write(self, listing: Path) -> None:
        """Write a line for each study: the id, and the path, projection, size and time of each image.

        Raises ImageError for a folder without an image.
        """
        database = listing.with_name("_tree.db")
        database.unlink(missing_ok=True)
        try:
            with closing(_opened(database)) as names:
                self._search(names)
                names.executescript(GROUP)
                _name_studies(names)
                if self.short:
                    _shorten(names)
                self._list(names, listing)
        finally:
            database.unlink(missing_ok=True)

    def _search(self, names: sqlite3.Connection) -> None:
        """Put the images of all files and folders into the database, and what is passed over."""
        closed: list[str] = []
        for number, top in enumerate(dict.fromkeys(map(Path, self.given))):
            search = _Search(number)
            names.executemany(ADD, search.rows(top))
            if top.is_dir() and not search.images:
                raise no_image(top)
            closed += [line for _, line in sorted(search.closed)]
        files, more_files = _first(names, OTHER)
        links, more_links = _first(names, LINK)
        self.passed_over = LeftOut(files, links, tuple(dict.fromkeys(closed)), more_files, more_links)

    def _list(self, names: sqlite3.Connection, listing: Path) -> None:
        self.images, self.studies = _count(names, "view"), _count(names, "study")
        with listing.open("w", encoding="utf-8") as file:
            for _, views in groupby(names.execute(VIEWS), key=lambda row: row[0]):
                of_study = list(views)
                images = [[_text(path), projection, *_state(_text(path))] for _, _, path, projection in of_study]
                file.write(json.dumps({"id": _text(of_study[0][1]), "views": images}) + "\n")


class _Search:
    """The search of one file or folder that the user named: `number` of them were named before.

    The place of a file sorts as the search of `group_files` comes to it: in a folder the files, and then the folders.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.images = 0
        self.closed: list[tuple[bytes, str]] = []  # place and reason of each folder that cannot be read

    def rows(self, top: Path) -> Iterator[Row]:
        """Yield a row for each image, and for each other file and link, in any order."""
        if top.is_dir():
            yield from self._folder(str(top), b"")
        else:
            yield self._row(top, b"", IMAGE)

    def _folder(self, folder: str, place: bytes) -> Iterator[Row]:
        """Yield the rows of a folder while it is read: its names are never in memory together."""
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    inside = _is_folder(entry)
                    if not is_searched(entry.name, folder=inside):
                        continue
                    path, name = Path(entry.path), _bytes(entry.name)
                    if not inside:
                        yield self._row(path, place + b"\1" + name, IMAGE if is_image(path) else OTHER)
                    elif entry.is_symlink():
                        yield self._row(path, place + b"\1" + name, LINK)
                    else:
                        yield from self._folder(entry.path, place + b"\2" + name + b"\0")
        except OSError as e:
            self.closed.append((place, f"{e.filename}: {e.strerror}"))

    def _row(self, path: Path, place: bytes, kind: int) -> Row:
        key, projection = examination_of(path) if kind == IMAGE else ("", "")
        self.images += kind == IMAGE
        return _bytes(str(path)), self.number, place, kind, key, projection


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False  # as os.walk takes it


def _opened(database: Path) -> sqlite3.Connection:
    """Return an empty database for this process alone, which need not outlive it."""
    names = sqlite3.connect(f"file:{quote(os.fsencode(database.absolute()))}?nolock=1", uri=True)
    for setting in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{CACHE}"):
        names.execute(f"PRAGMA {setting}")
    names.create_function("folder", 1, os.path.dirname, deterministic=True)
    names.executescript(TABLES)
    return names


def _first(names: sqlite3.Connection, kind: int) -> tuple[tuple[Path, ...], int]:
    """Return the first paths of a kind, and how many more there are."""
    rows = names.execute("SELECT path FROM entry WHERE kind = ? ORDER BY top, place LIMIT ?", (kind, NAMED))
    first = tuple(Path(_text(path)) for (path,) in rows)
    return first, _count(names, f"entry WHERE kind = {kind}") - len(first)


def _name_studies(names: sqlite3.Connection) -> None:
    """Give each study its id: its name, or the path of its first image if two studies have the same name."""

    def crowded(folder: Path) -> bool:
        return names.execute("SELECT 1 FROM crowded WHERE folder = ?", (_bytes(str(folder)),)).fetchone() is not None

    def rows() -> Iterator[tuple[int, bytes, bytes]]:
        views = names.execute("SELECT study, path FROM view ORDER BY study, rank")
        for study, of_study in groupby(views, key=lambda row: row[0]):
            paths = [Path(_text(path)) for _, path in of_study]
            yield study, _bytes(study_name(paths, crowded)), _bytes(str(paths[0]))

    names.executemany("INSERT INTO study(study, id, path) VALUES (?, ?, ?)", rows())
    names.executescript(
        "CREATE INDEX ids ON study(id);"
        "CREATE TABLE shared AS SELECT id FROM study GROUP BY id HAVING COUNT(*) > 1;"
        "UPDATE study SET id = path WHERE id IN (SELECT id FROM shared);"
        "CREATE TABLE paths AS SELECT id FROM study WHERE id = path;"
    )


def _shorten(names: sqlite3.Connection) -> None:
    """Make ids that are paths relative to the folder that all of them share, unless two become the same."""
    common = ""
    for (id,) in names.execute("SELECT id FROM paths"):
        folder = os.path.dirname(os.path.abspath(_text(id)))
        common = os.path.commonpath([common, folder]) if common else folder
    if not common:
        return
    names.create_function("shorter", 1, lambda id: _bytes(os.path.relpath(os.path.abspath(_text(id)), common)))
    names.execute("UPDATE study SET short = shorter(id) WHERE id IN (SELECT id FROM paths)")
    if _count(names, "study", "DISTINCT COALESCE(short, id)") != _count(names, "study", "DISTINCT id"):
        names.execute("UPDATE study SET short = NULL")


def _count(names: sqlite3.Connection, rows: str, what: str = "*") -> int:
    return int(names.execute(f"SELECT COUNT({what}) FROM {rows}").fetchone()[0])


def _bytes(text: str) -> bytes:
    """Return a text in bytes that sort as the text does, also a name of a file that is no UTF-8."""
    return text.encode("utf-8", "surrogatepass")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")


def _state(path: str) -> tuple[int, int]:
    """Return the size and the time of an image, which differ if it is replaced; zeros if it is not there."""
    try:
        about = os.stat(path)
    except OSError:
        return 0, 0
    return about.st_size, about.st_mtime_ns
