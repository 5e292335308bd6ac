"""Classifiers of abnormal sentences: read labelled sentences, and train, score, save and load a classifier.

Ni, Hsu, Gentili, McAuley: Learning Visual-Semantic Embeddings for Reporting Abnormal Findings on Chest X-rays, 2020,
arXiv:2010.02467, §3.2. Classifiers are plugins; this module works with all of them. It needs no torch.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import CheckpointError, DataError
from ..files.atomic import replacing
from ..files.cells import is_nothing, split_name, text_value
from ..files.digests import sha256_folder
from ..files.json_files import is_format, read_json, write_json
from ..files.tables import OnNote, column_named, id_of, row_split, table_rows, text_of
from ..registries import sentence_classifiers
from ..scoring.uncertainty import Difference, bootstrap, paired_test
from ..text.recipes import split_sentences
from .parts import LabelledSentence, OnLine, SentenceClassifier

if TYPE_CHECKING:
    from ..types import Array

SAVED, SAVED_FORMAT = "classifier.json", 1


def hold_out(
    sentences: Sequence[LabelledSentence], share: float, seed: int
) -> tuple[list[LabelledSentence], list[LabelledSentence]]:
    """Return the sentences in two parts; the second has the sentences of `share` (0..1) of the studies, drawn by seed.

    Raises DataError if the sentences belong to fewer than two studies.
    """
    studies = sorted({s.study for s in sentences})
    if len(studies) < 2:
        raise DataError(f"{len(studies)} studies have labelled sentences; at least 2 are needed to hold some out")
    chosen = set(random.Random(seed).sample(studies, min(len(studies) - 1, max(1, round(share * len(studies))))))
    return [s for s in sentences if s.study not in chosen], [s for s in sentences if s.study in chosen]


def f1(truth: Sequence[bool], predicted: Sequence[bool]) -> float:
    """Return the F1, 0..1, of the abnormal class; 0 if nothing is abnormal on either side."""
    both = sum(t and p for t, p in zip(truth, predicted, strict=True))
    return 2 * both / max(1, sum(truth) + sum(predicted))


@contextmanager
def saving(folder: Path, name: str, settings: Mapping[str, Any], about: Mapping[str, Any] | None) -> Iterator[Path]:
    """Yield a temporary folder for the files of a classifier; it becomes `folder` when it is whole."""
    with replacing(folder, holds=SAVED) as temporary:
        yield temporary
        write_json(
            temporary / SAVED,
            {"format": SAVED_FORMAT, "classifier": name, "settings": dict(settings), "about": dict(about or {})},
        )


def read_saved(folder: Path, name: str = "") -> dict[str, Any]:
    """Return the settings of a saved classifier. Raises CheckpointError if it is none, or not of the class `name`."""
    config = _saved(folder)
    if name and config["classifier"] != name:
        raise CheckpointError(f"{folder} is a classifier {config['classifier']!r}, and {name!r} was requested")
    return dict(config["settings"])


def _saved(folder: Path) -> dict[str, Any]:
    file = folder / SAVED
    if not file.exists():
        raise CheckpointError(
            f"{folder} is no sentence classifier: it has no {SAVED}; rg data abnormal TABLE --train --out {folder}"
        )
    config = read_json(file)
    if not isinstance(config, dict) or not isinstance(config.get("settings"), dict) or "classifier" not in config:
        raise CheckpointError(f"{file} describes no classifier")
    if not is_format(config.get("format"), SAVED_FORMAT):
        raise CheckpointError(f"{file} is of format {config.get('format')}; this reportgen reads {SAVED_FORMAT}")
    return config


def saved_digest(folder: Path) -> str:
    """Return a sha256 of all files of a saved classifier. Raises CheckpointError if the folder is none."""
    _saved(folder)
    return sha256_folder(folder)


def load_classifier(folder: Path) -> SentenceClassifier:
    """Load the classifier of a folder. Raises CheckpointError, and UnknownName if no plugin has its class."""
    classifier: SentenceClassifier = sentence_classifiers.get_class(str(_saved(folder)["classifier"])).load(folder)
    return classifier


@dataclass(frozen=True, slots=True)
class LabelledSentences:
    """The labelled sentences of a table."""

    train: tuple[LabelledSentence, ...]
    dev: tuple[LabelledSentence, ...]  # on which classifiers are scored
    drawn: bool = False  # whether `dev` was drawn from the studies, because the table names no split for it


@dataclass(frozen=True, slots=True)
class ClassifierScore:
    """The scores of a classifier that finds the abnormal sentences of a set."""

    name: str
    f1: float
    interval: tuple[float, float]  # 95 %, by bootstrap over studies
    precision: float
    recall: float
    errors: int  # sentences
    seconds: float  # of learning
    difference: Difference | None = None  # between the F1 of the first classifier and this one, paired by study


def split_report(text: str) -> list[str]:
    """Return the sentences that the recipe `plain` finds, in the spelling of the report."""
    return [s for s in split_sentences(text) if any(c.isalnum() for c in s)]


def read_labelled(
    path: Path,
    field: str = "sentence_abnormal",
    *,
    sections: Sequence[str] = ("findings",),
    share: float = 0.1,
    seed: int = 0,
    on_note: OnNote | None = None,
) -> LabelledSentences:
    """Read the labelled sentences of a table (CSV, TSV, JSON lines); rows without labels are left out.

    A row of JSON lines is a report: `field` is {"sents": [...], "abnormal": [...], "split": "train"}, or a list of true
    and false, one for each of a list `sentences` (`sents`) or else for each sentence of `sections`, as `label_table`
    and `rg data build` write it. Or a row is one sentence: columns `sentence` and `abnormal`. A row may have a `split`:
    train, dev (val, validate) or test. Rows of test are never read. If no row belongs to dev, `share` of the studies is
    drawn for it. Raises DataError.
    """
    parts: dict[str, list[LabelledSentence]] = {"train": [], "dev": [], "": []}
    for place, row in table_rows(path, on_note=on_note):
        for split, sentence in labelled_of(path, place, row, field, sections):
            if split in parts:
                parts[split].append(sentence)
    sentences = [s for part in parts.values() for s in part]
    if not sentences:
        raise DataError(f"{path} has no labelled sentences: no field {field!r}, and no columns sentence and abnormal")
    if not any(s.abnormal for s in sentences) or all(s.abnormal for s in sentences):
        which = "abnormal" if sentences[0].abnormal else "normal"
        raise DataError(f"{path}: all {len(sentences)} labelled sentences are {which}; both kinds are needed")
    learn = parts["train"] + parts[""]
    if parts["dev"]:
        return LabelledSentences(tuple(learn), tuple(parts["dev"]))
    train, dev = hold_out(learn, share, seed)
    return LabelledSentences(tuple(train), tuple(dev), drawn=True)


def split_of(value: object) -> str:
    """Return train or dev for their usual names, any other name in small letters, and "" for no split."""
    name = split_name(value)
    return "dev" if name == "val" else name


def labelled_of(
    path: Path, place: str, row: Mapping[str, Any], field: str, sections: Sequence[str] = ("findings",)
) -> Iterator[tuple[str, LabelledSentence]]:
    """Yield (split, sentence) for each labelled sentence of a row; the split is that of `split_of`.

    Raises DataError, with the file and the place of the row, for labels that cannot be read.
    """
    extra = row.get("extra")
    labels = row.get(column_named(field, row) or field, extra.get(field) if isinstance(extra, dict) else None)
    split = split_of(row_split(row))
    try:
        study = id_of(row) or place
        sentence, flag = column_named("sentence", row), column_named("abnormal", row)
        if is_nothing(labels):
            if sentence and flag and not is_nothing(row[flag]):
                yield split, LabelledSentence(text_value(row[sentence]) or "", _flag(row[flag]), study)
            return
        if isinstance(labels, dict):
            texts, flags = labels.get("sents", labels.get("sentences")), labels.get("abnormal")
            split = split_of(labels.get("split")) or split
        else:
            texts, flags = row.get("sentences", row.get("sents")), labels
        if texts is None:
            texts = split_report(text_of(row, sections))
        if not isinstance(texts, list) or not isinstance(flags, list) or len(texts) != len(flags):
            raise DataError(f"{field} needs a true or false for each sentence")
        for text, flag in zip(texts, flags, strict=True):
            if not is_nothing(flag):
                yield split, LabelledSentence(text_value(text) or "", _flag(flag), study)
    except DataError as e:
        raise DataError(f"{path}: {place}: {e}") from e


def _flag(value: Any) -> bool:
    flags = {"true": True, "false": False, "1": True, "0": False, "abnormal": True, "normal": False}
    text = str(value) if isinstance(value, bool) else text_value(value) or ""
    try:
        return flags[text.strip().lower()]
    except KeyError as e:
        raise DataError(f"abnormal is true or false, not {value!r}") from e


def measure(
    name: str, classifier: SentenceClassifier, dev: Sequence[LabelledSentence], seconds: float = 0
) -> ClassifierScore:
    """Score a classifier on `dev`. The interval resamples studies, because sentences of one report are alike.

    `seconds` is the time that the classifier took to learn.
    """
    return _score(name, _sums(classifier, dev), seconds)


def _score(name: str, sums: Array, seconds: float, difference: Difference | None = None) -> ClassifierScore:
    both, gold, predicted = (float(n) for n in sums.sum(0))
    return ClassifierScore(
        name, float(_f1(sums.sum(0))["f1"]), bootstrap(sums, _f1)["f1"], both / max(predicted, 1), both / max(gold, 1),
        round(gold + predicted - 2 * both), seconds, difference,
    )  # fmt: skip


def _sums(classifier: SentenceClassifier, dev: Sequence[LabelledSentence]) -> Array:
    """Return the numbers (studies, 3) of sentences that are abnormal in both, in the truth, and to the classifier."""
    import numpy as np

    rows = {study: n for n, study in enumerate(dict.fromkeys(s.study for s in dev))}
    sums = np.zeros((len(rows), 3))
    for s, predicted in zip(dev, classifier.abnormal([s.text for s in dev]), strict=True):
        sums[rows[s.study]] += (s.abnormal and predicted, s.abnormal, predicted)
    return sums


def _f1(totals: Array) -> Mapping[str, Array]:
    import numpy as np

    return {"f1": 2 * totals[..., 0] / np.maximum(totals[..., 1] + totals[..., 2], 1)}


def fit_classifiers(
    names: Mapping[str, Mapping[str, Any]], data: LabelledSentences, watch: OnLine | None = None
) -> Iterator[tuple[SentenceClassifier, ClassifierScore, Mapping[str, Any]]]:
    """Fit classifiers, given by name with their options, on the same sentences.

    Yield each with its score and the values that it chose in fitting. All but the first are tested against the first,
    on the same studies.
    """
    first: Array | None = None
    for name, options in names.items():
        classifier = sentence_classifiers.create(name, **options)
        start = time.monotonic()
        chosen = classifier.fit(data.train, watch)
        seconds, sums = time.monotonic() - start, _sums(classifier, data.dev)
        difference = None if first is None else paired_test(first, sums, _f1)["f1"]
        first = sums if first is None else first
        yield classifier, _score(name, sums, seconds, difference), chosen
