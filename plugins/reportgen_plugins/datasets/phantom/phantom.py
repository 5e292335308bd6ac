"""A phantom chest: SYNTHETIC radiographs, frontal and lateral, drawn from lists of findings whose place is known.

For comparing systems, and for testing that they learn and look at the right place. It is a drawing, made of ellipses
and sine waves; no number measured on it says anything about patients. PHANTOM stands on every image, and every study
has `extra["synthetic"] = True`.

Nothing is downloaded. Root is a folder, made where it is not there; the images are drawn into it once. Findings, image
and report of a study follow from `seed` and its id alone, so that a larger `n` keeps the studies there are. Reports are
of a small language of our own, or Open-i's real ones with `text="open-i"` (see phantom_openi.py).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from reportgen_core import Box, Collection, DataError, Dataset, OptionError, Study, View
from reportgen_core.files.atomic import atomic_write
from reportgen_core.registry import did_you_mean

from ..audit_log import Ledger
from . import openi as phantom_openi
from .canvas import png
from .drawing import PROJECTIONS, VERSION, film
from .findings import LABELS, Finding, rates, sample
from .language import Sentence, write

MAX_STUDIES = 1_000_000
MADE = "PHANTOM: a synthetic drawing, no patient. "  # the comment in every image; the boxes follow it


@dataclass(frozen=True, slots=True)
class Case:
    """What is to be drawn, and the study without its images."""

    study: Study
    findings: tuple[Finding, ...]


class Phantom(Dataset):
    """Drawn studies. `findings` changes how often an abnormal study has a kind; `normal` is the share without any.

    `abundance` is by how much all kinds are commoner: a nearest image has the same findings ever more rarely.
    `labelled_sections` are those whose sentences `extra["sentence_abnormal"]` marks, in the order they are read.
    """

    makes_files = True

    def __init__(
        self,
        root: Path,
        *,
        n: int = 1000,
        size: int = 256,
        seed: int = 0,
        views: int = 2,
        text: str = "own",
        normal: float = 0.3,
        findings: Mapping[str, float] | None = None,
        abundance: float = 1.0,
        val: float = 0.1,
        test: float = 0.2,
        labelled_sections: Sequence[str] = ("findings",),
    ) -> None:
        super().__init__(root)
        for name, value, low, high in (("n", n, 1, MAX_STUDIES), ("size", size, 64, 2048), ("views", views, 1, 2)):
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise OptionError(f"{name}={value!r} is no whole number of {low} to {high}")
        if text not in ("own", "open-i"):
            raise OptionError(f"no text {text!r}; {did_you_mean(str(text), ('own', 'open-i'))}")
        if not 0 <= normal <= 1:
            raise OptionError(f"normal={normal} is a share: a number of 0 to 1")
        if not (val >= 0 and test >= 0 and val + test < 1):
            raise OptionError(f"val={val} and test={test} are shares: each at least 0, together below 1")
        self.n, self.size, self.seed, self.views, self.text = n, size, seed, views, text
        if isinstance(abundance, bool) or not isinstance(abundance, int | float) or not 0 < abundance <= 10:
            raise OptionError(f"abundance={abundance!r} is a factor: a number above 0, at most 10")
        self.rates = {kind: min(rate * abundance, 1.0) for kind, rate in rates(findings or {}).items()}
        self.normal, self.val, self.test = float(normal), val, test
        self.labelled_sections = tuple(labelled_sections)

    def read(self) -> Collection:
        ledger = Ledger(f"phantom: SYNTHETIC, drawn with seed {self.seed}, {self.text} reports")
        ledger.notes.append("synthetic drawings, for comparing systems only; no figure on them holds for patients")
        folder = self._folder()
        kept = []
        for number, case in enumerate(islice(self._cases(ledger), self.n)):
            split = side(number, self.val, self.test)
            kept.append(replace(self._imaged(case, folder), split=split))
        ledger.notes.append(f"images of {self.size} x {self.size} in {folder}")
        return ledger.collect(kept)

    def _folder(self) -> Path:
        """Where the images lie: another folder for other options that change what is drawn."""
        facts: list[Any] = [VERSION, self.seed, self.size, self.text]
        if self.text == "own":  # else the reports say what there is
            facts += [self.normal, sorted(self.rates.items())]
        key = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]
        folder = Path(self.root).absolute() / f"phantom-{self.size}-{key}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise DataError(f"{folder} cannot be made for the phantom's images: {e.strerror}; name another root") from e
        return folder

    def _cases(self, ledger: Ledger) -> Iterator[Case]:
        if self.text == "own":
            return (self._own(f"phantom-{number:06d}") for number in range(self.n))
        return self._openi(ledger)

    def _own(self, id: str) -> Case:
        findings = sample(id, self.seed, self.rates, self.normal)
        text = write(id, self.seed, findings)
        parts = {"findings": text.findings, "impression": text.impression}
        told = {
            "sentences": {name: [_traced(s) for s in sentences] for name, sentences in parts.items()},
            "sentence_abnormal": [bool(s.findings) for name in self.labelled_sections for s in parts.get(name, ())],
        }
        sections = text.sections()
        if findings:  # the sentences of the findings that state one, as `rg data abnormal` would find them
            sections["abnormal"] = " ".join(s.text for s in text.findings if s.findings)
        return Case(_study(id, sections, findings, told), findings)

    def _openi(self, ledger: Ledger) -> Iterator[Case]:
        for source in phantom_openi.studies():
            findings = phantom_openi.findings(source, self.seed)
            if findings is None:
                ledger.drop(source.id, "a MeSH heading of it is not drawn")
            elif not source.text(("findings", "impression")):
                ledger.drop(source.id, "no findings and no impression")
            else:
                told = {"mesh": source.extra["mesh"], "licence": source.extra["licence"]}
                yield Case(_study(source.id, source.sections, findings, told), findings)

    def _imaged(self, case: Case, folder: Path) -> Study:
        """The study with its views and boxes; images that are not there are drawn."""
        views: list[View] = []
        boxes: list[Box] = []
        for projection in PROJECTIONS[: self.views]:
            path = folder / f"{case.study.id}_{projection}.png"
            there = read_boxes(path)
            if there is None:
                drawn = film(case.study.id, self.seed, case.findings, projection, self.size)
                there = drawn.boxes
                comment = MADE + json.dumps([asdict(b) for b in there])
                _write(path, png(drawn.image, comment))
            views.append(View(path, projection))
            boxes += there
        return replace(case.study, views=tuple(views), boxes=tuple(boxes))


def _study(id: str, sections: Mapping[str, str], findings: Sequence[Finding], told: Mapping[str, Any]) -> Study:
    labels = {f.label for f in findings}
    return Study(
        id,
        sections=dict(sections),
        tags=tuple(dict.fromkeys(f.tag for f in findings)) or ("normal",),
        labels={name: float(name in labels) for name in LABELS},
        patient=id,
        extra={
            "synthetic": True,
            "normal": not findings,
            "mesh": [f.heading for f in findings] or ["normal"],
            "findings": [asdict(f) for f in findings],
            **told,
        },
    )


def _traced(sentence: Sentence) -> dict[str, Any]:
    return {"text": sentence.text, "findings": [asdict(f) for f in sentence.findings]}


def side(number: int, val: float, test: float) -> str:
    """The split of the study of this number: spread evenly, and the same however many there are."""
    share = (number * 0x9E3779B97F4A7C15 % 2**64) / 2**64  # steps of the golden section never bunch
    return "test" if share < test else "val" if share < test + val else "train"


def read_boxes(path: Path) -> tuple[Box, ...] | None:
    """The boxes in the comment of a whole image of ours; None where it is not there, cut short or of other making."""
    try:
        with path.open("rb") as file:
            head = file.read(33 + 8 + 8)
            length = int.from_bytes(head[33:37], "big")
            comment = (head[41:] + file.read(min(length, 2**20) - 8)).removeprefix(b"Comment\0").decode("latin-1")
            file.seek(-12, os.SEEK_END)
            whole = file.read() == b"\0\0\0\0IEND\xaeB`\x82"
    except (OSError, ValueError):
        return None
    if not whole or not comment.startswith(MADE):
        return None
    try:
        return tuple(Box(**b) for b in json.loads(comment.removeprefix(MADE)))
    except (ValueError, TypeError):
        return None


def _write(path: Path, data: bytes) -> None:
    """Write an image whole or not at all. Raises DataError."""
    try:
        atomic_write(path, data)
    except OSError as e:
        raise DataError(f"{path} cannot be written: {e.strerror}; name another root") from e
