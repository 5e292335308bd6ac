"""Read the texts of an index from a table, from plain lines, or from a folder of groups."""

from __future__ import annotations

from pathlib import Path

from ..errors import DataError
from ..files.cells import text_value
from ..files.tables import TABLES, Kind, OnNote, columns_of, id_of, kind_of, table_rows
from .filters import read_labels
from .index import TextRow


def read_index_texts(path: Path, on_note: OnNote | None = None) -> list[TextRow]:
    """Return the texts of a table, of a text file with one text a line, or of a folder of groups (rg data groups).

    A text without an id gets its number, from 0. A table may have labels and a dataset for each text. Raises DataError
    with file and line, also for a row without a text.
    """
    if path.is_dir():
        from ..sentences.groups import load_groups

        groups = load_groups(path).groups
        return [TextRow(f"g{n}", g.central, g.sentences) for n, g in enumerate(groups)]
    kinds: tuple[Kind, ...] = (*TABLES, "txt")
    plain = kind_of(path, kinds) == "txt"
    texts = []
    for n, (place, row) in enumerate(table_rows(path, kinds=kinds, on_note=on_note)):
        try:
            id = None if plain else id_of(row)
            columns = columns_of("text", row)
            text = next((text for name in columns if (text := text_value(row[name])) is not None), None)
            labels, dataset = ((), "") if plain else read_labels(row)
        except DataError as e:
            raise DataError(f"{path}: {place}: {e}") from e
        if text is None:
            raise DataError(f"{path}: {place}: no text; there are: {', '.join(map(str, row)) or 'no columns'}")
        texts.append(TextRow(str(n) if id is None else id, text.strip(), labels=labels, dataset=dataset))
    if not texts:
        raise DataError(f"{path}: holds no text")
    return texts
