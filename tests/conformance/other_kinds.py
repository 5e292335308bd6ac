"""A sound metric, protocol, dataset and command, and others that each break one promise."""

from __future__ import annotations

import random
from dataclasses import replace

import click
import numpy as np

from reportgen_core import Dataset, Metric, Score, TextProtocol
from reportgen_core.types import Audit, Collection, Study, View


def share(report, references):
    """The share of the words of a reference that the report has."""
    wanted = references[0].split()
    return sum(w in report.split() for w in wanted) / max(len(wanted), 1)


class SoundMetric(Metric):
    """The mean share of words that are found again."""

    version = "1"

    def compute(self, reports, references):
        each = [share(r, refs) for r, refs in zip(reports, references, strict=True)]
        return Score("found", sum(each) / len(each), each=each)

    def statistics(self, reports, references):
        return np.array([[share(r, refs), 1.0] for r, refs in zip(reports, references, strict=True)])

    def scores(self, totals):
        return {"found": totals[..., 0] / totals[..., 1]}


def metric(name, **methods):
    return type(name, (SoundMetric,), {"__module__": __name__, **methods})


def changed(change):
    """Return a `compute` whose score is changed: `change` takes the score, the reports and the references."""
    return lambda self, reports, references: change(SoundMetric.compute(self, reports, references), reports, references)


def emptied(self, reports, references):
    score = SoundMetric.compute(self, reports, references)
    reports.clear()
    return score


def divides(self, reports, references):
    each = [share(r, refs) / (1 if r.split() else 0) for r, refs in zip(reports, references, strict=True)]
    return Score("found", sum(each) / len(each))


METRICS = {
    "has an empty `version`": [metric("Unversioned", version="")],
    "is no finite number": [
        metric("Nan", compute=changed(lambda s, *_: replace(s, value=float("nan")))),
        metric("NanPart", compute=changed(lambda s, *_: replace(s, parts={"x": float("inf")}))),
    ],
    "give one for each report": [metric("Short", compute=changed(lambda s, *_: replace(s, each=s.each[:1])))],
    "set the direction in which a better report goes": [
        metric("Upside", compute=changed(lambda s, *_: replace(s, value=1 - s.value, each=()))),
        metric("SaysLower", compute=changed(lambda s, *_: replace(s, higher_is_better=False))),
    ],
    "is not the metric's own": [
        metric("TwoDirections", compute=changed(lambda s, *_: replace(s, value=-s.value, each=(), higher_is_better=False))),
    ],
    "work on a copy": [metric("Empties", compute=emptied)],
    "use no random number without a seed": [
        metric("Dice", compute=changed(lambda s, *_: replace(s, value=s.value + random.random() / 1e3, each=()))),
    ],
    "a score is of a set": [
        metric("First", compute=changed(lambda s, r, refs: replace(s, value=share(r[0], refs[0]), each=()))),
    ],
    "not in the order of the reports": [metric("Sorted", compute=changed(lambda s, *_: replace(s, each=sorted(s.each))))],
    "for an empty report": [metric("Divides", compute=divides)],
    "a row for each study": [metric("OneRow", statistics=lambda self, r, refs: SoundMetric.statistics(self, r, refs).sum(0))],
    "both must be the same score": [metric("Other", scores=lambda self, t: {"found": 0.5 * t[..., 0] / t[..., 1]})],
    "compute with the last axis": [metric("Flat", scores=lambda self, t: {"found": np.ravel(t)[0] / np.ravel(t)[1]})],
    "return a Score": [metric("Number", compute=lambda self, r, refs: 0.5)],
}  # fmt: skip


class SoundProtocol(TextProtocol):
    """Lower case, single spaces."""

    version = "1"
    sections = ("findings",)

    def reports(self, texts):
        return [" ".join(t.lower().split()) for t in texts]

    references = reports


def protocol(name, **methods):
    return type(name, (SoundProtocol,), {"__module__": __name__, **methods})


PROTOCOLS = {
    "has no `version`": [protocol("NoVersion", version="")],
    "letter by letter": [protocol("OneSection", sections="findings")],
    "one for each, '' for an empty one": [
        protocol("DropsEmpty", reports=lambda self, texts: [t for t in SoundProtocol.reports(self, texts) if t]),
    ],
    "single spaces between": [protocol("Raw", references=lambda self, texts: [t.lower() for t in texts])],
    "let none depend on others": [
        protocol("Longest", reports=lambda self, texts: [" ".join(t.split()[: len(texts)]) for t in texts]),
    ],
    "return a new list": [protocol("InPlace", reports=lambda self, texts: [texts.pop(0) and "" for _ in range(len(texts))])],
}  # fmt: skip


class SoundDataset(Dataset):
    """Three studies with an image each."""

    def read(self):
        path = self.root / "a.png"
        path.write_bytes(b"")
        studies = tuple(
            Study(str(n), (View(path),), {"findings": "text"}, labels={"Nodule": 1}, split=("train", "test")[n % 2], patient=str(n))
            for n in range(3)
        )  # fmt: skip
        return Collection(studies, Audit("three", 3, 3))


def dataset(name, change):
    """A dataset whose studies are changed, with an audit that counts them."""

    def read(self):
        studies = tuple(change(SoundDataset.read(self).studies))
        return Collection(studies, Audit("three", len(studies), sum(len(s.views) for s in studies)))

    return type(name, (SoundDataset,), {"__module__": __name__, "read": read})


def first(**values):
    return lambda studies: [replace(studies[0], **values), *studies[1:]]


def shuffled(studies):
    return random.sample(studies, len(studies))


DATASETS = {
    "raise DataError that names the file": [dataset("Nothing", lambda s: ())],
    "make them unique": [dataset("Doubled", lambda s: [*s, s[0]])],
    "which is no file": [dataset("Lost", lambda s: [*s, replace(s[0], id="9", views=(View(s[0].views[0].path.parent / "no.png"),))])],
    "1 is present, 0 absent": [dataset("Half", first(labels={"Nodule": 0.5}))],
    "there are train, val, test": [dataset("Validation", first(split="valid"))],
    "which is no text": [dataset("NoText", first(sections={"findings": None}))],
    "split by patient": [dataset("Shared", lambda s: [replace(x, patient="1") for x in s])],
    "count after all drops": [
        type("Miscounts", (SoundDataset,), {"__module__": __name__, "read": lambda self: replace(SoundDataset.read(self), audit=Audit("three", 4, 3))}),
    ],
    "list only what is not": [
        type("Kept", (SoundDataset,), {"__module__": __name__, "read": lambda self: replace(SoundDataset.read(self), audit=Audit("three", 3, 3, {"no text": ("1",)}))}),
    ],
    "sort files and seed every choice": [
        type("Chance", (SoundDataset,), {"__module__": __name__, "read": lambda self: (c := SoundDataset.read(self)) and replace(c, audit=replace(c.audit, notes=(str(random.random()),)))}),
    ],
}  # fmt: skip


for kinds in (METRICS, PROTOCOLS, DATASETS):
    for found in kinds.values():
        for kind in found:
            globals()[kind.__name__] = kind


@click.command()
@click.option("--size", default=3, help="So many.")
def sound(size):
    """Say hello.

    Example: rg sound --size 2
    """


@click.command()
@click.option("--size", default=3)
def silent(size):
    """Say hello.

    Example: rg silent
    """


@click.command()
def helpless():
    pass


@click.command()
def lacking():
    """Say hello."""


def no_command():
    """Say hello."""


class Raises(click.Command):
    def get_help(self, ctx):
        raise RuntimeError("heavy")


raising = Raises("raising", help="Say hello.\n\nExample: rg raising")
COMMANDS = {
    "has no help; say what it does": "silent", "is shown by rg helpless --help": "helpless",
    "has no line 'Example: rg lacking": "lacking", "a command is a click.Command": "no_command",
    "import heavy modules in the function": "raising",
}  # fmt: skip
