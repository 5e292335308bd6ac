"""A phantom chest: SYNTHETIC radiographs, frontal and lateral, drawn from lists of findings whose place is known.

It serves to compare systems, and to test whether they learn and whether their attention is at the right place. It is a
drawing, made of ellipses and sine waves; no score on it says anything about patients. The word PHANTOM is on every
image, and every study has `extra["synthetic"] = True`.

Nothing is downloaded. Root is a folder, which is made if it does not exist; the images are drawn into it once. The
findings, image and report of a study follow from `seed` and its id alone, so that a larger `n` does not change earlier
studies. The reports are of a small language of our own, or Open-i's real reports with `text="open-i"` (see openi.py).
With `pairs` a share of the persons has an earlier study, the prior, and reports say what has changed (changes.py).
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

from ..audit_log import AuditLog
from . import changes
from . import openi as phantom_openi
from .film.canvas import png
from .film.drawing import PROJECTIONS, VERSION, film
from .film.findings import LABELS, Finding, rates, sample
from .language import Sentence, write_report

MAX_STUDIES = 1_000_000
PRIOR = "-prior"  # the end of a prior's id
COMMENT = "PHANTOM: a synthetic drawing, no patient. "  # in every image, followed by the boxes as JSON


@dataclass(frozen=True, slots=True)
class PhantomCase:
    """A study without its images, and the findings to draw."""

    study: Study
    findings: tuple[Finding, ...]
    prior: PhantomCase | None = None  # an earlier study of the same person


class Phantom(Dataset):
    """Drawn studies.

    Args:
        n: number of studies.
        size: pixels of the sides of an image.
        seed: seed of the findings, images and reports.
        views: 1 for frontal images, 2 adds the lateral ones.
        text: "own" writes small reports of known findings; "open-i" takes real reports of Open-i.
        normal: share of the studies without a finding, 0..1.
        findings: shares of the abnormal studies with a kind, as {"effusion": 0.4}; a kind that is not named keeps its
            share.
        abundance: factor of the rate of every kind: with more findings, fewer images have the same ones.
        val: share of the validation studies, 0..1.
        test: share of the test studies, 0..1.
        labelled_sections: sections whose sentences `extra["sentence_abnormal"]` marks, in their order.
        pairs: share of the studies that have a prior, 0..1. Above 0 all have an indication, and `extra["changes"]` has
            what has changed since the prior.
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
        pairs: float = 0.0,
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
        if isinstance(pairs, bool) or not isinstance(pairs, int | float) or not 0 <= pairs <= 1:
            raise OptionError(f"pairs={pairs!r} is a share: a number of 0 to 1")
        if pairs and text != "own":
            raise OptionError(f'pairs={pairs} needs text="own": what has changed is drawn, and {text} does not say it')
        self.pairs = float(pairs)

    def read(self) -> Collection:
        audit = AuditLog(f"phantom: SYNTHETIC, drawn with seed {self.seed}, {self.text} reports")
        audit.notes.append("synthetic drawings, for comparing systems only; no figure on them holds for patients")
        folder = self._folder()
        studies = []
        for number, case in enumerate(islice(self._cases(audit), self.n)):
            split = side(number, self.val, self.test)
            study = replace(self._imaged(case, folder), split=split)
            studies.append(replace(study, prior=study.prior and replace(study.prior, split=split)))
        if self.pairs:
            audit.notes.append(f"prior: {sum(s.prior is not None for s in studies)} studies have an earlier study")
        audit.notes.append(f"images of {self.size} x {self.size} in {folder}")
        return audit.collect(studies)

    def _folder(self) -> Path:
        """Return the folder of the images, which depends on all options that change a drawing. Raises DataError."""
        facts: list[Any] = [VERSION, self.seed, self.size, self.text]
        if self.text == "own":  # real reports have their own findings
            facts += [self.normal, sorted(self.rates.items())]
        if self.pairs:
            facts += ["pairs", changes.VERSION]
        key = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]
        folder = Path(self.root).absolute() / f"phantom-{self.size}-{key}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise DataError(f"{folder} cannot be made for the phantom's images: {e.strerror}; name another root") from e
        return folder

    def _cases(self, audit: AuditLog) -> Iterator[PhantomCase]:
        if self.text == "own":
            return (self._own(f"phantom-{number:06d}") for number in range(self.n))
        return self._openi(audit)

    def _own(self, id: str) -> PhantomCase:
        findings = sample(id, self.seed, self.rates, self.normal)
        return self._paired(id, findings) if self.pairs else self._written(id, findings)

    def _paired(self, id: str, findings: tuple[Finding, ...]) -> PhantomCase:
        """Return a study with its indication, and with its prior if it has one."""
        before = changes.draw_prior(id, self.seed, findings, self.pairs)
        case = self._written(id, findings, () if before is None else before[1])
        reason, suspicion = changes.indication(id, self.seed, findings)
        extra = {
            **case.study.extra,
            "suspicion": suspicion,
            "changes": [c.to_json() for c in before[1]] if before else [],
        }
        study = replace(case.study, sections={**case.study.sections, "indication": reason}, extra=extra)
        if before is None:
            return replace(case, study=study)
        prior = self._written(f"{id}{PRIOR}", before[0])
        return replace(case, study=study, prior=replace(prior, study=replace(prior.study, patient=id)))

    def _written(self, id: str, findings: tuple[Finding, ...], changed: Sequence[changes.Change] = ()) -> PhantomCase:
        """Return a study with these findings and its report."""
        text = write_report(id, self.seed, findings, changed)
        parts = {"findings": text.findings, "impression": text.impression}
        extra = {
            "sentences": {name: [_sentence_json(s) for s in sentences] for name, sentences in parts.items()},
            "sentence_abnormal": [bool(s.findings) for name in self.labelled_sections for s in parts.get(name, ())],
        }
        sections = text.sections()
        if findings:  # the abnormal sentences of the section findings, as from `rg data abnormal`
            sections["abnormal"] = " ".join(s.text for s in text.findings if s.findings)
        return PhantomCase(_study(id, sections, findings, extra), findings)

    def _openi(self, audit: AuditLog) -> Iterator[PhantomCase]:
        for source in phantom_openi.studies():
            findings = phantom_openi.findings(source, self.seed)
            if findings is None:
                audit.drop(source.id, "a MeSH heading of it is not drawn")
            elif not source.text(("findings", "impression")):
                audit.drop(source.id, "no findings and no impression")
            else:
                extra = {"mesh": source.extra["mesh"], "licence": source.extra["licence"]}
                yield PhantomCase(_study(source.id, source.sections, findings, extra), findings)

    def _imaged(self, case: PhantomCase, folder: Path) -> Study:
        """Return the study with its views, boxes and prior, after drawing the missing images."""
        person, visit = case.study.id.removesuffix(PRIOR), PRIOR if case.study.id.endswith(PRIOR) else ""
        views: list[View] = []
        boxes: list[Box] = []
        for projection in PROJECTIONS[: self.views]:
            path = folder / f"{case.study.id}_{projection}.png"
            view_boxes = read_boxes(path)
            if view_boxes is None:
                drawn = film(person, self.seed, case.findings, projection, self.size, visit)
                view_boxes = drawn.boxes
                comment = COMMENT + json.dumps([asdict(b) for b in view_boxes])
                _write(path, png(drawn.image, comment))
            views.append(View(path, projection))
            boxes += view_boxes
        prior = self._imaged(case.prior, folder) if case.prior else None
        return replace(case.study, views=tuple(views), boxes=tuple(boxes), prior=prior)


def _study(id: str, sections: Mapping[str, str], findings: Sequence[Finding], extra: Mapping[str, Any]) -> Study:
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
            **extra,
        },
    )


def _sentence_json(sentence: Sentence) -> dict[str, Any]:
    return {"text": sentence.text, "findings": [asdict(f) for f in sentence.findings]}


def side(number: int, val: float, test: float) -> str:
    """Return the split of the study with this number: evenly spread, and independent of the number of studies."""
    share = (number * 0x9E3779B97F4A7C15 % 2**64) / 2**64  # steps of the golden section spread evenly
    return "test" if share < test else "val" if share < test + val else "train"


def read_boxes(path: Path) -> tuple[Box, ...] | None:
    """Return the boxes in the comment of an image of ours; None if it is missing, cut short, or another image."""
    try:
        with path.open("rb") as file:
            head = file.read(33 + 8 + 8)
            length = int.from_bytes(head[33:37], "big")
            comment = (head[41:] + file.read(min(length, 2**20) - 8)).removeprefix(b"Comment\0").decode("latin-1")
            file.seek(-12, os.SEEK_END)
            whole = file.read() == b"\0\0\0\0IEND\xaeB`\x82"
    except (OSError, ValueError):
        return None
    if not whole or not comment.startswith(COMMENT):
        return None
    try:
        return tuple(Box(**b) for b in json.loads(comment.removeprefix(COMMENT)))
    except (ValueError, TypeError):
        return None


def _write(path: Path, data: bytes) -> None:
    """Write an image whole or not at all. Raises DataError."""
    try:
        atomic_write(path, data)
    except OSError as e:
        raise DataError(f"{path} cannot be written: {e.strerror}; name another root") from e
