"""Read predictions and references from what programs have: lists, Series and tables of pandas, files, mappings.

A table is written as JSON lines and read as `rg eval` reads a file, so that the same names of columns hold.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from reportgen_core import Collection, DataError, OptionError, Report, Reporter
from reportgen_core.errors import quoted
from reportgen_core.files.cells import id_value
from reportgen_core.files.reports import read_text_file
from reportgen_core.files.tables import columns_of

from .sources import plain, studies

Role = Literal["prediction", "reference"]
TAKEN = "a model, reports, texts by study id, a list of texts, or a table or Series of pandas"


def paired(predictions: Any, references: Any, split: str) -> tuple[Any, Any]:
    """Return predictions and references as `reportgen_core.evaluate` takes them: with ids that are texts.

    Texts without ids take the ids of the other side, in its order; without ids on both sides they are numbered from 1.
    `split` names the studies that are scored, "" for all. Raises DataError and OptionError.
    """
    if references is None:
        references = _same_table(predictions)
    given = _read(predictions, "prediction")
    wanted = _read(references, "reference", studies_too=not isinstance(given, Mapping | list))
    if isinstance(given, list):
        ids = list(wanted) if isinstance(wanted, Mapping) else _numbers(wanted)
        if isinstance(wanted, Collection):
            ids = [study.id for study in wanted.studies if not split or study.split == split]
        given = _by_id(given, ids, "predictions", "references")
    if isinstance(wanted, list):
        ids = list(given) if isinstance(given, Mapping) else _numbers(wanted)
        wanted = _by_id(wanted, ids, "references", "predictions")
    return given, wanted


def keyed(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of an evaluation with ids that are texts, where they are by study id."""
    own = dict(options)
    for name in ("images", "patients"):
        if isinstance(own.get(name), Mapping):
            own[name] = {_id(key): value for key, value in own[name].items()}
    for name in ("columns", "others"):
        if isinstance(own.get(name), Mapping):
            own[name] = {
                key: {_id(id): value for id, value in inner.items()} if isinstance(inner, Mapping) else inner
                for key, inner in own[name].items()
            }
    return own


def _same_table(table: Any) -> Any:
    """Return the table that has the references too. Raises OptionError for anything else, with the call to write."""
    if isinstance(table, Path) or (isinstance(table, str) and Path(table).is_file()):
        return table
    if not _is_table(table):
        raise OptionError(
            "references are studies, texts by study id or a list of texts, not None: reportgen.evaluate(predictions, "
            "references), or one table with the columns prediction and reference"
        )
    columns = [str(name) for name in table.columns]
    for role in ("prediction", "reference"):
        usual = columns_of(role, columns) or (columns_of("text", columns) if role == "reference" else ())
        if not usual:
            shown = ", ".join(columns[:10])
            raise OptionError(
                f"the table has no column {role} (its columns: {shown}); reportgen.evaluate(table[PREDICTIONS], "
                "table[REFERENCES]) names the columns of both"
            )
    return table


def _read(value: Any, role: Role, studies_too: bool = False) -> Any:
    """Return texts by id, texts without ids as a list, a model, or, as references, studies."""
    if isinstance(value, Mapping):
        return {_id(key): _text_or_texts(text) for key, text in value.items()}
    if isinstance(value, Report):
        value = [value]
    if isinstance(value, str | Path):
        return _of_file(value, role, studies_too)
    if _is_table(value):
        return studies(value) if studies_too or _has_images_only(value, role) else _of_table(value, role)
    if _is_series(value):
        return _of_series(value)
    if hasattr(value, "tolist") and getattr(value, "ndim", 0) == 1:
        value = value.tolist()
    if isinstance(value, list | tuple) and value:
        if all(isinstance(v, str) for v in value):
            return list(value)
        if all(isinstance(v, Report) for v in value):
            return {r.study: [r.text, *r.alternatives] for r in value}
    if role == "reference":
        return studies(value)
    if isinstance(value, Reporter) or not isinstance(value, Sequence | int | float | None):
        return value  # a model, or what the core says is none
    raise OptionError(f"predictions are {TAKEN}, not {_kind(value)}")


def _of_file(path: str | Path, role: Role, studies_too: bool) -> Any:
    """Return the texts of a file. References of a model are studies, which may be the name of a dataset."""
    if role == "reference" and (studies_too or not Path(path).is_file()):
        return studies(path)
    if not Path(path).is_file():
        raise OptionError(
            f"predictions are {TAKEN}, or the path of a table, not the text {quoted(str(path))}; "
            "reportgen.load reads a model"
        )
    return {id: list(texts) for id, texts in read_text_file(Path(path), role).texts.items()}


def _of_table(table: Any, role: Role) -> dict[str, list[str]]:
    """Return the texts of a table of pandas by id: of its column of ids, else of its index."""
    columns = [str(name) for name in table.columns]
    rows = [{str(k): plain(v) for k, v in row.items()} for row in table.to_dict("records")]
    if not columns_of("id", columns):
        rows = [{"id": id, **row} for id, row in zip(_index(table), rows, strict=True)]
    with tempfile.TemporaryDirectory(prefix="reportgen-") as folder:
        file = Path(folder, "table.jsonl")
        file.write_text("".join(json.dumps(row, default=str) + "\n" for row in rows), encoding="utf-8")
        try:
            return {id: list(texts) for id, texts in read_text_file(file, role).texts.items()}
        except DataError as e:
            raise DataError(str(e).replace(str(file), f"the table of {role}s")) from e


def _of_series(series: Any) -> Any:
    """Return the texts of a Series by its index, without missing ones; as a list if the index only counts rows."""
    texts = [plain(value) for value in series.tolist()]
    if wrong := [value for value in texts if value is not None and not isinstance(value, str)]:
        raise DataError(f"a Series of texts is wanted, and it holds {quoted(wrong[0])}")
    if _counts_rows(series) and None not in texts:
        return texts
    return {id: text for id, text in zip(_index(series), texts, strict=True) if text is not None}


def _index(table: Any) -> list[str]:
    """Return the ids of the rows: their index, or numbers from 1 if it only counts them."""
    return _numbers(table) if _counts_rows(table) else [_id(value) for value in table.index]


def _counts_rows(table: Any) -> bool:
    return list(table.index) == list(range(len(table)))


def _numbers(rows: Any) -> list[str]:
    return [str(number) for number in range(1, len(rows) + 1)]


def _by_id(texts: list[str], ids: list[str], what: str, others: str) -> dict[str, str]:
    """Return texts by the ids of the other side, in its order. Raises DataError if there are not as many."""
    if len(ids) != len(texts):
        raise DataError(f"{len(texts)} {what} and {len(ids)} {others}; a list has one text for each, in their order")
    return dict(zip(ids, texts, strict=True))


def _id(key: Any) -> str:
    """Return an id as text: 1, 1.0 and "1" are one. Raises DataError for a key that is no id."""
    if isinstance(key, str):
        return key
    try:
        id = id_value(plain(key))
    except DataError as e:
        raise DataError(f"a study id is a text or a number, not {quoted(key)}") from e
    if id is None:
        raise DataError(f"a study id is a text or a number, not {quoted(key)}")
    return id


def _text_or_texts(value: Any) -> Any:
    """Return a text, or several: n-best, or several references. Raises DataError for anything else."""
    if isinstance(value, str) or (isinstance(value, list | tuple) and all(isinstance(v, str) for v in value)):
        return value
    raise DataError(f"a text by study id is wanted, not {_kind(value)}: {quoted(value)}")


def _is_table(value: Any) -> bool:
    return hasattr(value, "to_dict") and hasattr(value, "columns")


def _is_series(value: Any) -> bool:
    return hasattr(value, "tolist") and hasattr(value, "index") and not callable(value.index)


def _has_images_only(table: Any, role: Role) -> bool:
    """Return whether a table of references has images and sections, but no column of whole reports."""
    columns = [str(name) for name in table.columns]
    texts = [*columns_of("reference", columns), *columns_of("text", columns), *columns_of("findings", columns)]
    return role == "reference" and not texts and bool(columns_of("image", columns))


def _kind(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"
