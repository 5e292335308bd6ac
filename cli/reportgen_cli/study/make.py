"""Draw a reading study: choose reports and images, shuffle them, and write the sources of the texts to a separate key.

There are two designs. In `split`, the design of the DenseNet-LSTM paper, every examination is shown once with the text
of one source, and every source has the same number. In `crossed`, the design of CVSE, every examination is shown with
the text of each source, once in each round, so that the sources are compared on the same images.

Texts are shown `alike` by default: a reader would recognise a model that writes in lower case with spaces before full
stops. Therefore all texts are written in lower case with a capital after each full stop.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from reportgen_core import DataError, OptionError, Study
from reportgen_core.data.images import read_image
from reportgen_core.files.atomic import replacing
from reportgen_core.files.json_files import write_json

from .folder import FORMAT, Case, blocks_json
from .rubrics import RUBRICS

Writer = Callable[[Sequence[Study]], Mapping[str, str]]  # a model: the texts by study, "" or nothing without a report
HUMAN = "human"
LONG_SIDE = 2048  # pixels of the longer side of a radiograph in the study
GAPS = re.compile(r"xxxx|_{3,}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class StudyDesign:
    """Which reports a reading study shows, how often, and how they look. Raises OptionError."""

    each: int  # reports of each source
    design: str = "split"  # or "crossed"
    rubric: str = "densenet-lstm"
    sections: tuple[str, ...] = ("findings",)
    seed: int = 0
    alike: bool = True  # show all texts in the same style
    whole: bool = False  # leave out examinations whose human report has de-identification gaps

    def __post_init__(self) -> None:
        if self.design not in ("split", "crossed"):
            raise OptionError(f"no design {self.design!r}; there are: crossed, split")
        if self.rubric not in RUBRICS:
            raise OptionError(f"no rubric {self.rubric!r}; there are: {', '.join(RUBRICS)}")
        if self.each < 1:
            raise OptionError(f"{self.each} reports a source are too few; 1 is the least")


def alike(text: str) -> str:
    """Return a text in one style for all sources: lower case, capitals at sentence starts, no space before stops."""
    flat = re.sub(r"\s+([.,;:?!)])", r"\1", " ".join(text.split())).lower()
    flat = re.sub(r"\.{2,}", ".", re.sub(r"([.!?])(?=[a-z])", r"\1 ", flat))
    return re.sub(r"(?:^|(?<=[.!?] ))[a-z]", lambda m: m.group().upper(), flat)


def eligible(
    studies: Sequence[Study], texts: Mapping[str, Mapping[str, str]], design: StudyDesign
) -> dict[str, dict[str, str]]:
    """Return the text of every source by study, for studies with images and with a text of each source.

    Raises DataError for predictions of unknown studies.
    """
    ids = {s.id for s in studies}
    for name, predicted in texts.items():
        if unknown := [k for k in predicted if k not in ids]:
            raise DataError(f"{name} has {len(unknown)} texts for studies that the data has not: {_some(unknown)}")
    rows: dict[str, dict[str, str]] = {}
    for study in studies:
        human = study.text(design.sections)
        row = {HUMAN: human} | {name: predicted.get(study.id, "") for name, predicted in texts.items()}
        if study.views and all(t.strip() for t in row.values()) and not (design.whole and GAPS.search(human)):
            rows[study.id] = row
    return rows


def draw(ids: Sequence[str], sources: Sequence[str], design: StudyDesign) -> list[list[tuple[str, str]]]:
    """Return blocks of (study, source). Raises DataError if there are too few studies."""
    rng = random.Random(design.seed)
    many = len(sources)
    want = design.each * (many if design.design == "split" else 1)
    if len(ids) < want:
        raise DataError(
            f"a {design.design} study of {design.each} reports of each of {many} sources wants {want} examinations "
            f"with images and a text of every source; there are {len(ids)}"
        )
    chosen = rng.sample(sorted(ids), want)
    if design.design == "split":
        pairs = [chosen[i : i + many] for i in range(0, want, many)]
        return [_shuffled(rng, list(zip(block, sources, strict=True))) for block in pairs]
    rounds = [[(s, sources[(i + turn) % many]) for i, s in enumerate(chosen)] for turn in range(many)]
    return [_shuffled(rng, block) for block in rounds]


def write_texts(
    studies: Sequence[Study],
    texts: Mapping[str, Mapping[str, str]],
    writers: Mapping[str, Writer],
    design: StudyDesign,
) -> dict[str, dict[str, str]]:
    """Let models write the reports of as many examinations as the study shows. Return the texts by source and study.

    The seed chooses the examinations. Another one takes the place of an examination for which a model has no report.
    """
    if not writers:
        return {}
    by_id, rows = {s.id: s for s in studies}, eligible(studies, texts, design)
    left = random.Random(f"{design.seed} examinations").sample(sorted(rows), len(rows))
    want = design.each * (1 + len(texts) + len(writers) if design.design == "split" else 1)
    written: dict[str, dict[str, str]] = {name: {} for name in writers}
    whole: list[str] = []
    while left and len(whole) < want:
        some, left = left[: want - len(whole)], left[want - len(whole) :]
        for name, write in writers.items():
            own = write([by_id[id] for id in some])
            some = [id for id in some if own.get(id, "").strip()]
            written[name] |= own
        whole += some
    return {name: {id: own[id] for id in whole} for name, own in written.items()}


def _shuffled(rng: random.Random, block: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return rng.sample(block, len(block))


def make(
    studies: Sequence[Study],
    texts: Mapping[str, Mapping[str, str]],
    design: StudyDesign,
    out: Path,
    key: Path,
    writers: Mapping[str, Writer] | None = None,
) -> int:
    """Write the folder of the study and, outside it, the key, and return the number of cases.

    `writers` are models by the name of their source. They write the reports of the examinations that are shown, and of
    no others. Raises DataError if the folder or the key exists.
    """
    _check_places(out, key)
    if HUMAN in (*texts, *(writers or ())):
        raise OptionError(f"{HUMAN!r} is the name of the reference reports; give the predictions another")
    texts = {**texts, **write_texts(studies, texts, writers or {}, design)}
    rows = eligible(studies, texts, design)
    blocks = draw(list(rows), [HUMAN, *texts], design)
    by_id = {s.id: s for s in studies}
    with replacing(out, holds="study.json") as folder:
        (folder / "images").mkdir()
        (folder / "answers").mkdir()
        cases, owners = _cases(blocks, rows, by_id, design.alike, folder / "images")
        facts = {"design": design.design, "seed": design.seed, "sections": design.sections, "alike": design.alike}
        secret = {"format": FORMAT, "salt": secrets.token_hex(16), "sources": [HUMAN, *texts], **facts, "cases": owners}
        written = json.dumps(secret, ensure_ascii=False, indent=1).encode()
        study_row = {"format": FORMAT, "rubric": design.rubric, "key_sha256": hashlib.sha256(written).hexdigest()}
        write_json(folder / "study.json", {**study_row, "blocks": blocks_json(cases)}, sort=False)
        _write_key(key, written)
    return len(owners)


def _cases(
    blocks: Sequence[Sequence[tuple[str, str]]],
    rows: Mapping[str, Mapping[str, str]],
    studies: Mapping[str, Study],
    same_style: bool,
    images: Path,
) -> tuple[list[list[Case]], dict[str, dict[str, str]]]:
    """Return the cases as readers see them, and the study and source of each. Write their images to `images`."""
    cases: list[list[Case]] = []
    owners: dict[str, dict[str, str]] = {}
    for block in blocks:
        cases.append([])
        for study, source in block:
            name = f"c{len(owners) + 1:04d}"
            text = rows[study][source]
            shown = alike(text) if same_style else text
            cases[-1].append(Case(name, shown, _images(studies[study], name, images)))
            owners[name] = {"study": study, "source": source}
    return cases, owners


def _check_places(out: Path, key: Path) -> None:
    """Raise OptionError if the key would lie inside the study, and DataError if one of the two exists."""
    if out.resolve() in key.resolve().parents:
        raise OptionError(f"--key {key} lies inside {out}, where readers look; choose a place apart")
    for path in (out, key):
        if path.exists():
            raise DataError(f"{path} is there already; choose another place")


def _write_key(path: Path, content: bytes) -> None:
    """Write the key so that only its owner can read it; never overwrite another key."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)


def _images(study: Study, case: str, folder: Path) -> tuple[str, ...]:
    """Write the study's radiographs as PNG without the headers of the originals, frontal first. Return their names."""
    views = sorted(study.views, key=lambda v: v.projection != "frontal")
    names = []
    for i, view in enumerate(views):
        image = Image.fromarray(np.rint(read_image(view.path) * 255).astype(np.uint8))
        image.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.LANCZOS)
        names.append(f"{case}-{i}.png")
        image.save(folder / names[-1])
    return tuple(names)


def _some(ids: Sequence[str]) -> str:
    """Return the first three ids for a message."""
    return ", ".join(ids[:3]) + (" …" if len(ids) > 3 else "")
