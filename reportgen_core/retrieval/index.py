"""A folder of texts with their vectors, which a retriever searches. Opening it reads no text and no vector.

    index.json             {"format": 1, "kind", "dim", "model", "sentences", "parts": [...], "removed": [rows]}
                           and "store" if the vectors are searched elsewhere than in FAISS (`stores`)
    vectors-N.safetensors  "vectors" (rows, dim) float32, and "offsets" (rows + 1) int64 into the texts
    texts-N.jsonl          {"id", "text", "members"}: a text, and the other texts that it represents; "labels" and
                           "dataset" if it has some

`model` is the sha256 of the model that made the vectors, and `sentences` names its sentence encoder; the index of
another model is refused. Added texts go into a new part, and a removed text is a row number in `removed`, so that no
file is rewritten. index.json is written last and renamed, so that the files of a killed command are not opened. The
folder has no FAISS index, because the reader of FAISS is not safe for files of strangers: each machine builds its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import CheckpointError, DataError, OptionError, lists_only
from ..files.digests import sha256_file
from .vector_file import map_vectors, sync, write_vectors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .filters import TextFilter

    Floats = NDArray[np.float32]
    Rows = NDArray[np.int64]

FORMAT = 1
INDEX = "index.json"
FOLDER = "index"  # inside a model's folder
KINDS = ("exact", "flat", "ivf", "hnsw", "pq")
_KEYS = {"format", "kind", "dim", "model", "sentences", "parts", "removed"}


@lists_only
@dataclass(frozen=True, slots=True)
class TextRow:
    """One text that a retriever can find, and the texts that it represents."""

    id: str
    text: str
    members: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()  # findings, "edema" or "edema:absent"; `filters` compares them
    dataset: str = ""


@dataclass(frozen=True, slots=True)
class IndexPart:
    """The files of rows that were written together."""

    vectors: str  # names of files in the folder
    texts: str
    rows: int
    vectors_sha256: str
    texts_sha256: str


@dataclass(frozen=True, slots=True)
class TextIndex:
    """An open index. Vectors are mapped into memory, texts are read one by one. Rows are numbered over all parts."""

    folder: Path
    kind: str
    dim: int
    model: str
    sentences: Mapping[str, Any]
    parts: tuple[IndexPart, ...]
    removed: frozenset[int] = frozenset()
    store: str = ""  # "NAME" or "NAME:ADDRESS" of a registered text store; "": FAISS
    where: TextFilter | None = None  # the texts that a search may find; None: all
    _hidden: list[frozenset[int]] = field(default_factory=list, repr=False, compare=False)  # once it is known
    _maps: tuple[tuple[Floats, Rows], ...] = field(default=(), repr=False, compare=False)

    @property
    def rows(self) -> int:
        """Return the number of rows, removed rows included."""
        return sum(p.rows for p in self.parts)

    def __len__(self) -> int:
        return self.rows - len(self.hidden)

    @property
    def hidden(self) -> frozenset[int]:
        """Return the rows that no search may find: those removed, and those that `where` leaves out.

        With a filter all texts are read once.
        """
        if self.where is None:
            return self.removed
        if not self._hidden:
            texts = self.unfiltered().texts()
            left_out = (n for n, row in texts if not self.where.passes(row.labels, row.dataset))
            self._hidden.append(self.removed.union(left_out))
        return self._hidden[0]

    def filtered(self, where: TextFilter) -> TextIndex:
        """Return the index as it looks to a search that may find only the texts that pass a filter."""
        return replace(self, where=where or None, _hidden=[])

    def unfiltered(self) -> TextIndex:
        """Return the index without its filter."""
        return self if self.where is None else replace(self, where=None)

    def vectors(self, rows: Rows) -> Floats:
        """Return a copy of the vectors of these rows, (n, dim)."""
        import numpy as np

        copies = np.empty((len(rows), self.dim), np.float32)
        for start, (vectors, _) in zip(self._starts(), self._maps, strict=True):
            in_part = (rows >= start) & (rows < start + len(vectors))
            copies[in_part] = vectors[rows[in_part] - start]
        return copies

    def blocks(self, size: int = 65536) -> Iterator[tuple[int, Floats]]:
        """Yield all vectors, of removed rows too, as the number of a first row and mapped vectors (≤ size, dim)."""
        for start, (vectors, _) in zip(self._starts(), self._maps, strict=True):
            for at in range(0, len(vectors), size):
                yield start + at, vectors[at : at + size]

    def row(self, number: int) -> TextRow:
        """Return the text of a row."""
        for start, part, (_, offsets) in zip(self._starts(), self.parts, self._maps, strict=True):
            if start <= number < start + part.rows:
                first, end = int(offsets[number - start]), int(offsets[number - start + 1])
                path = self.folder / part.texts
                with path.open("rb") as file:
                    file.seek(first)
                    return _row(file.read(max(end - first, 0)), path, number)
        raise IndexError(number)

    def texts(self) -> Iterator[tuple[int, TextRow]]:
        """Yield the rows that are not hidden, with their numbers, in order."""
        number, hidden = 0, self.hidden
        for part in self.parts:
            path = self.folder / part.texts
            with path.open("rb") as file:
                for line in file:
                    if number not in hidden:
                        yield number, _row(line, path, number)
                    number += 1

    def _starts(self) -> list[int]:
        starts = [0]
        for part in self.parts[:-1]:
            starts.append(starts[-1] + part.rows)
        return starts[: len(self.parts)]


def write_index(
    folder: Path,
    rows: Sequence[TextRow],
    vectors: Floats | Iterable[Floats],
    *,
    kind: str = "exact",
    model: str,
    sentences: Mapping[str, Any],
    store: str = "",
) -> TextIndex:
    """Write an index; an older folder is replaced once the new one is whole. `vectors` may come in blocks.

    Raises OptionError for an unknown kind, and DataError if there is no text or two texts have the same id.
    """
    from ..files.atomic import replacing

    if kind not in KINDS:
        raise OptionError(f"no kind of index {kind!r}; there are: {', '.join(KINDS)}")
    if not rows:
        raise DataError("an index needs texts, and there is none")
    _check_ids(rows, set())
    with replacing(folder, holds=INDEX) as temporary:
        part, dim = _write_part(temporary, 0, rows, vectors)
        _write_head(TextIndex(temporary, kind, dim, model, sentences, (part,), store=store))
    return open_index(folder)


def copy_index(index: TextIndex, folder: Path, model: str) -> None:
    """Copy an index with its removed rows to a new folder, for a model that is saved again."""
    import shutil

    folder.mkdir()
    for part in index.parts:
        for name in (part.vectors, part.texts):
            shutil.copyfile(index.folder / name, folder / name)
    _write_head(replace(index, folder=folder, model=model))


def add_texts(index: TextIndex, rows: Sequence[TextRow], vectors: Floats) -> TextIndex:
    """Add texts as a new part and return the index. Raises DataError for an id that the index has already."""
    if not rows:
        raise DataError("there is no text to add")
    _check_ids(rows, {row.id for _, row in index.texts()})
    part, dim = _write_part(index.folder, len(index.parts), rows, vectors)
    if dim != index.dim:
        raise DataError(f"{index.folder} holds vectors of {index.dim}, the new ones are of {dim}")
    _write_head(replace(index, parts=(*index.parts, part)))
    return open_index(index.folder)


def remove_texts(index: TextIndex, ids: Iterable[str]) -> TextIndex:
    """Remove texts by id and return the index. Raises DataError for an id that the index does not have."""
    numbers = {row.id: number for number, row in index.texts()}
    removed = list(ids)
    for id in removed:
        if id not in numbers:
            raise DataError(f"{index.folder} holds no text with id {id!r}; it has {len(numbers)}, {_some(numbers)}")
    _write_head(replace(index, removed=index.removed | {numbers[id] for id in removed}))
    return open_index(index.folder)


def open_index(folder: Path) -> TextIndex:
    """Open an index. Sizes are checked, and only index.json is read. Raises CheckpointError."""
    from ..files.atomic import recover
    from ..files.json_files import is_format, read_json

    recover(folder)
    if not (folder / INDEX).is_file():
        raise CheckpointError(f"{folder} is no index: it has no {INDEX}; rg index build MODEL --texts FILE makes one")
    values = read_json(folder / INDEX)
    if not isinstance(values, dict) or set(values) - {"store"} != _KEYS:
        raise CheckpointError(f"{folder / INDEX} does not describe an index of texts")
    if not is_format(values["format"], FORMAT):
        raise CheckpointError(f"{folder} is an index of format {values['format']}; this reportgen reads {FORMAT}")
    try:
        parts = tuple(IndexPart(**p) for p in values["parts"])
        _check_head(values, parts)
        maps = tuple(map_vectors(folder / p.vectors, folder / p.texts, p.rows, values["dim"]) for p in parts)
    except (TypeError, ValueError, KeyError) as e:
        raise CheckpointError(f"{folder / INDEX} does not describe an index of texts: {e}") from e
    head = (values["kind"], values["dim"], values["model"], values["sentences"])
    return TextIndex(folder, *head, parts, frozenset(values["removed"]), values.get("store", ""), _maps=maps)


def set_store(index: TextIndex, store: str) -> TextIndex:
    """Write into an index that its vectors are searched in this store, and return the index."""
    _write_head(replace(index, store=store))
    return open_index(index.folder)


def check_model(index: TextIndex, digest: str, sentences: Mapping[str, Any]) -> None:
    """Raise CheckpointError if an index is of another model or was built with another sentence encoder."""
    again = "; rg index build MODEL --texts FILE makes one for this model"
    if index.model != digest:
        raise CheckpointError(
            f"{index.folder} is the index of another model ({index.model[:12]}, this one is {digest[:12]}){again}"
        )
    for key in sentences:
        if index.sentences.get(key) != sentences[key]:
            raise CheckpointError(
                f"{index.folder} was made with another sentence encoder ({key} {_brief(index.sentences.get(key))}, "
                f"this model's has {_brief(sentences[key])}){again}"
            )


def check_vectors(index: TextIndex) -> None:
    """Raise CheckpointError unless all files have the sha256 in index.json. All files are read."""
    for part in index.parts:
        for name, digest in ((part.vectors, part.vectors_sha256), (part.texts, part.texts_sha256)):
            if sha256_file(index.folder / name) != digest:
                raise CheckpointError(f"{index.folder / name} is not the file that {INDEX} was written with")


def _check_ids(rows: Sequence[TextRow], stored: set[str]) -> None:
    """Raise DataError for an id that is stored already or occurs twice."""
    seen = set(stored)
    for row in rows:
        if row.id in seen:
            problem = "comes twice"
            if row.id in stored:
                problem = (
                    "is held already; give the new text another one in a table with the column id (a line without an "
                    "id has its number), or remove the old text first (rg index remove)"
                )
            raise DataError(f"the id {row.id!r} {problem}")
        seen.add(row.id)


def _write_part(
    folder: Path, number: int, rows: Sequence[TextRow], vectors: Floats | Iterable[Floats]
) -> tuple[IndexPart, int]:
    """Write the files of a part, and return it with the width of its vectors. index.json does not name it yet."""
    import numpy as np

    names = (f"vectors-{number}.safetensors", f"texts-{number}.jsonl")
    offsets = [0]
    with (folder / names[1]).open("wb") as file:
        for row in rows:
            values = {k: v for k, v in asdict(row).items() if v or k in ("id", "text", "members")}
            file.write(json.dumps(values, ensure_ascii=False).encode() + b"\n")
            offsets.append(file.tell())
        sync(file)
    blocks = [vectors] if isinstance(vectors, np.ndarray) else vectors
    dim = write_vectors(folder / names[0], np.array(offsets, np.int64), len(rows), blocks)
    digests = [sha256_file(folder / name) for name in names]
    return IndexPart(*names, len(rows), *digests), dim


def _write_head(index: TextIndex) -> None:
    """Write index.json whole or not at all."""
    from ..files.json_files import write_json

    values = {
        "format": FORMAT,
        "kind": index.kind,
        "dim": index.dim,
        "model": index.model,
        "sentences": dict(index.sentences),
        "parts": [asdict(p) for p in index.parts],
        "removed": sorted(index.removed),
        **({"store": index.store} if index.store else {}),
    }
    write_json(index.folder / INDEX, values)


def _check_head(values: Mapping[str, Any], parts: Sequence[IndexPart]) -> None:
    rows = sum(p.rows for p in parts)
    if values["kind"] not in KINDS or not isinstance(values["dim"], int) or not isinstance(values["model"], str):
        raise ValueError(f"kind {values['kind']!r}, dim {values['dim']!r}")
    if not isinstance(values.get("store", ""), str):
        raise ValueError(f"store {values['store']!r}")
    if not isinstance(values["sentences"], dict) or not all(
        type(r) is int and 0 <= r < rows for r in values["removed"]
    ):
        raise ValueError("sentences or removed rows")
    for number, part in enumerate(parts):
        names = (f"vectors-{number}.safetensors", f"texts-{number}.jsonl")
        if (part.vectors, part.texts) != names or type(part.rows) is not int or part.rows < 1:
            raise ValueError(f"part {number} is {part.vectors!r}, {part.texts!r}, {part.rows!r}")


def _row(line: bytes, path: Path, number: int) -> TextRow:
    try:
        value = json.loads(line)
        more = tuple(map(str, value.get("labels", ()))), str(value.get("dataset", ""))
        return TextRow(str(value["id"]), str(value["text"]), tuple(map(str, value["members"])), *more)
    except (ValueError, KeyError, TypeError, RecursionError) as e:
        raise CheckpointError(f"{path}: row {number} is no text of an index: {e}") from e


def _brief(value: object) -> str:
    return str(value)[:40] if value else "none"


def _some(names: Iterable[str]) -> str:
    return "as " + ", ".join(sorted(names)[:3])
