"""Score a file of predictions against a file of references, for `rg eval`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from reportgen_core import DataError, OptionError
from reportgen_core.files.reports import NAMED, TextFile, read_text_file

from ...options import print_note
from ...terminal.progress import Heartbeat

if TYPE_CHECKING:
    from reportgen_core.scoring.evaluation import Evaluation
    from reportgen_core.scoring.evaluation_set import EvaluationRequest


class FileOptions(Protocol):
    """The options of `rg eval` that name files, and how they are read."""

    @property
    def predictions(self) -> Path | None: ...
    @property
    def references(self) -> Path | None: ...
    @property
    def training(self) -> Path | None: ...
    @property
    def validation(self) -> Path | None: ...
    @property
    def features(self) -> Path | None: ...
    @property
    def images(self) -> Path | None: ...
    @property
    def split(self) -> str: ...
    @property
    def by(self) -> tuple[str, ...]: ...
    @property
    def sections(self) -> tuple[str, ...]: ...
    @property
    def columns(self) -> tuple[str, ...]: ...


def named_columns(pairs: Sequence[str]) -> dict[str, str]:
    """Return `["prediction=answer"]` as {"prediction": "answer"}. Raises OptionError."""
    named: dict[str, str] = {}
    for pair in pairs:
        part, sign, column = (text.strip() for text in pair.partition("="))
        if not sign or not column or part not in NAMED:
            raise OptionError(f"--column {pair!r} is not PART=NAME with one of {', '.join(NAMED)} as PART")
        if part in named:
            raise OptionError(f"--column {part}= is given twice; one column holds it")
        named[part] = column
    return named


def evaluate_files(given: FileOptions, request: EvaluationRequest, heartbeat: Heartbeat) -> Evaluation:
    """Score the predictions of a file against the references of a file, which may be the same. Raises DataError."""
    from reportgen_core import evaluate
    from reportgen_core.scoring.baselines import BaselineData
    from reportgen_core.scoring.subgroups.values import column_names

    assert given.predictions is not None
    named, split = named_columns(given.columns), given.split
    columns = {name: column_names(name) for name in given.by}
    predictions = read_text_file(
        given.predictions, "prediction", split=split, columns=columns, named=named, on_note=print_note
    )
    references = _references(given, columns, named)
    if not given.references and references.texts == predictions.texts:  # one field was read for both sides
        raise DataError(
            f"{given.predictions} holds one text a study, the predictions; --references names the file to compare with"
        )
    _check_named(named, predictions, references)
    training = _reports(given.training, given.sections, "train", named)
    validation = _reports(given.validation, given.sections, "val", named)
    background = BaselineData(training, validation, features=image_features(given.features))
    images = {**references.images, **predictions.images} if given.images else {}
    request = replace(request, background=background, images=images, patients=_patients(predictions, references))
    request = replace(request, columns=_columns(given.by, predictions, references))
    heartbeat.say("scoring")
    return evaluate(predictions.texts, references.texts, request)


def _references(given: FileOptions, columns: Mapping[str, Sequence[str]], named: Mapping[str, str]) -> TextFile:
    source = given.references or given.predictions
    assert source is not None
    try:
        return read_text_file(
            source, "reference", sections=given.sections, split=given.split, columns=columns, named=named,
            on_note=print_note,
        )  # fmt: skip
    except DataError as e:
        hint = "" if given.references else "; --references names their file"
        raise DataError(f"{e}{hint}") from e


def _check_named(named: Mapping[str, str], *files: TextFile) -> None:
    """Raise DataError if a column of ids or patients that the user names is in no file."""
    from reportgen_core.files.tables import fold

    names = list(dict.fromkeys(name for file in files for name in file.names))
    for part, column in named.items():
        if fold(column) not in map(fold, names):
            raise DataError(f"--column {part}={column}: no file has it; there are: {', '.join(names) or 'no columns'}")


def _patients(predictions: TextFile, references: TextFile) -> dict[str, str]:
    """Return the patient of each study that one of the files names. Raises DataError if they name different ones."""
    for id, patient in predictions.patients.items():
        if references.patients.get(id, patient) != patient:
            raise DataError(
                f"study {id!r} is of patient {references.patients[id]!r} in the references and of {patient!r} in the "
                "predictions; correct one of them"
            )
    return {**predictions.patients, **references.patients}


def _columns(by: Sequence[str], predictions: TextFile, references: TextFile) -> dict[str, dict[str, Any]]:
    """Return the values of the columns `by` by study: those of the references, else those of the predictions."""
    columns = {}
    for name in by:
        columns[name] = {**predictions.columns.get(name, {}), **references.columns.get(name, {})}
        if not columns[name]:
            names = dict.fromkeys((*references.names, *predictions.names))
            raise DataError(f"--by {name}: no row has a value of it; there are: {', '.join(names) or 'no columns'}")
    return columns


def _reports(path: Path | None, sections: Sequence[str], split: str, named: Mapping[str, str]) -> dict[str, str]:
    """Return the first report of each study of a file; {} without a file.

    A column that `named` has and the file lacks is looked for by its usual names.
    """
    if path is None:
        return {}
    file = read_text_file(
        path, "reference", sections=sections, split=split, named=named, must_have=False, on_note=print_note
    )
    return {id: texts[0] for id, texts in file.texts.items()}


def image_features(path: Path | None) -> dict[str, Any]:
    """Return image features by study; {} without a file. Raises DataError."""
    if path is None:
        return {}
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {id: arrays[id].reshape(-1) for id in arrays.files}
    except (OSError, ValueError) as e:
        raise DataError(f"{path}: no .npz of plain arrays by study id: {e}") from e
