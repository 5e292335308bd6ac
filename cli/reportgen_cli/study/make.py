"""Draws a study: which reports are shown, beside which images, in which order, and who wrote them, kept apart.

Two designs. `split`, as the DenseNet-LSTM paper has it: every examination is shown once, with the text of one source;
the sources have equally many. `crossed`, as CVSE has it: every examination is shown with the text of each source, in
rounds that show it once each, so that sources are compared on the same images.

Texts are shown `alike` unless asked otherwise: a model that writes in lower case with spaces before full stops would be
known at sight, so all texts are written in lower case with a capital after each full stop.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import secrets
from collections.abc import Mapping, Sequence
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

HUMAN = "human"
LONG_SIDE = 2048  # pixels of a radiograph as it is shown
GAPS = re.compile(r"xxxx|_{3,}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Plan:
    """How a study is drawn."""

    each: int  # reports of each source
    design: str = "split"
    rubric: str = "densenet-lstm"
    sections: tuple[str, ...] = ("findings",)
    seed: int = 0
    alike: bool = True
    whole: bool = False  # leave out examinations whose human report has de-identification gaps

    def __post_init__(self) -> None:
        if self.design not in ("split", "crossed"):
            raise OptionError(f"no design {self.design!r}; there are: crossed, split")
        if self.rubric not in RUBRICS:
            raise OptionError(f"no rubric {self.rubric!r}; there are: {', '.join(RUBRICS)}")
        if self.each < 1:
            raise OptionError(f"{self.each} reports a source are too few; 1 is the least")


def alike(text: str) -> str:
    """The text as all sources are shown: lower case, a capital at the start of a sentence, no space before a stop."""
    flat = re.sub(r"\s+([.,;:?!)])", r"\1", " ".join(text.split())).lower()
    flat = re.sub(r"\.{2,}", ".", re.sub(r"([.!?])(?=[a-z])", r"\1 ", flat))
    return re.sub(r"(?:^|(?<=[.!?] ))[a-z]", lambda m: m.group().upper(), flat)


def eligible(studies: Sequence[Study], texts: Mapping[str, Mapping[str, str]], plan: Plan) -> dict[str, dict[str, str]]:
    """By study with images: the text of every source. Raises DataError for predictions of unknown studies."""
    known = {s.id: s for s in studies}
    for name, predicted in texts.items():
        if unknown := [k for k in predicted if k not in known]:
            raise DataError(f"{name} has {len(unknown)} texts for studies that the data has not: {_some(unknown)}")
    found: dict[str, dict[str, str]] = {}
    for study in studies:
        human = study.text(plan.sections)
        row = {HUMAN: human} | {name: predicted.get(study.id, "") for name, predicted in texts.items()}
        if study.views and all(t.strip() for t in row.values()) and not (plan.whole and GAPS.search(human)):
            found[study.id] = row
    return found


def draw(ids: Sequence[str], sources: Sequence[str], plan: Plan) -> list[list[tuple[str, str]]]:
    """Blocks of (study, source). Raises DataError where there are too few studies."""
    rng = random.Random(plan.seed)
    many = len(sources)
    want = plan.each * (many if plan.design == "split" else 1)
    if len(ids) < want:
        raise DataError(
            f"a {plan.design} study of {plan.each} reports of each of {many} sources wants {want} examinations with "
            f"images and a text of every source; there are {len(ids)}"
        )
    chosen = rng.sample(sorted(ids), want)
    if plan.design == "split":
        pairs = [chosen[i : i + many] for i in range(0, want, many)]
        return [_shuffled(rng, list(zip(block, sources, strict=True))) for block in pairs]
    rounds = [[(s, sources[(i + turn) % many]) for i, s in enumerate(chosen)] for turn in range(many)]
    return [_shuffled(rng, block) for block in rounds]


def _shuffled(rng: random.Random, block: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return rng.sample(block, len(block))


def make(studies: Sequence[Study], texts: Mapping[str, Mapping[str, str]], plan: Plan, out: Path, key: Path) -> int:
    """Write the study folder and, apart from it, the key; the number of cases. Neither may be there already."""
    _check_places(out, key)
    if HUMAN in texts:
        raise OptionError(f"{HUMAN!r} is the name of the reference reports; give the predictions another")
    rows = eligible(studies, texts, plan)
    blocks = draw(list(rows), [HUMAN, *texts], plan)
    known = {s.id: s for s in studies}
    with replacing(out, holds="study.json") as folder:
        (folder / "images").mkdir()
        (folder / "answers").mkdir()
        cases, owners = _cases(blocks, rows, known, plan.alike, folder / "images")
        facts = {"design": plan.design, "seed": plan.seed, "sections": plan.sections, "alike": plan.alike}
        secret = {"format": FORMAT, "salt": secrets.token_hex(16), "sources": [HUMAN, *texts], **facts, "cases": owners}
        written = json.dumps(secret, ensure_ascii=False, indent=1).encode()
        study_row = {"format": FORMAT, "rubric": plan.rubric, "key_sha256": hashlib.sha256(written).hexdigest()}
        write_json(folder / "study.json", {**study_row, "blocks": blocks_json(cases)}, sort=False)
        _write_key(key, written)
    return len(owners)


def _cases(
    blocks: Sequence[Sequence[tuple[str, str]]],
    rows: Mapping[str, Mapping[str, str]],
    studies: Mapping[str, Study],
    same: bool,
    images: Path,
) -> tuple[list[list[Case]], dict[str, dict[str, str]]]:
    """The cases as readers see them, and whose they are; the images are written on the way."""
    cases: list[list[Case]] = []
    owners: dict[str, dict[str, str]] = {}
    for block in blocks:
        cases.append([])
        for study, source in block:
            name = f"c{len(owners) + 1:04d}"
            text = rows[study][source]
            shown = alike(text) if same else text
            cases[-1].append(Case(name, shown, _images(studies[study], name, images)))
            owners[name] = {"study": study, "source": source}
    return cases, owners


def _check_places(out: Path, key: Path) -> None:
    if out.resolve() in key.resolve().parents:
        raise OptionError(f"--key {key} lies inside {out}, where readers look; choose a place apart")
    for path in (out, key):
        if path.exists():
            raise DataError(f"{path} is there already; choose another place")


def _write_key(path: Path, content: bytes) -> None:
    """For the maker's eyes only, and never over another key."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)


def _images(study: Study, case: str, folder: Path) -> tuple[str, ...]:
    """The study's radiographs as PNG without any header of the original, frontal first."""
    views = sorted(study.views, key=lambda v: v.projection != "frontal")
    names = []
    for i, view in enumerate(views):
        image = Image.fromarray(np.rint(read_image(view.path) * 255).astype(np.uint8))
        image.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.LANCZOS)
        names.append(f"{case}-{i}.png")
        image.save(folder / names[-1])
    return tuple(names)


def _some(ids: Sequence[str]) -> str:
    return ", ".join(ids[:3]) + (" …" if len(ids) > 3 else "")
