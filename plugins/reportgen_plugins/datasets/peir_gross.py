"""PEIR Gross: photographs of gross pathology with captions of one sentence, as Jing et al. 2018 use them (§4.1).

`root` is the folder that the public crawlers write. Captions are in peir_gross_captions.json {image: caption}, in
peir_gross.tsv (image, caption, no header) or in a CSV with the columns image and caption; images are in
peir_gross_images/ or images/. The tags are the most frequent words of all captions, 1,000 in the paper.
train_images.tsv and test_images.tsv give the split if they exist; the split of the paper is not known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from reportgen_core import Collection, DataError, Dataset, Study, View
from reportgen_core.files.tables import csv_rows, read_document, text_rows
from reportgen_core.text.spec import TextSpec, sentence_words

from .audit_log import AuditLog, require_files
from .paths import first, inside
from .splits import by_patient

_WHOLE = TextSpec(recipe="jing", max_sentences=1000, max_words=1000)


class PeirGross(Dataset):
    """Images whose captions are in the section `findings`.

    Args:
        tags: number of the most frequent words that are tags.
        val: studies in validation, if no file gives the split.
        test: studies in the test, if no file gives the split.
        seed: seed of the draw of splits.
        require_images: false also takes studies whose image file is not there.
    """

    def __init__(
        self,
        root: Path,
        *,
        tags: int = 1000,
        val: int = 500,
        test: int = 500,
        seed: int = 0,
        require_images: bool = True,
    ) -> None:
        super().__init__(root)
        self.tags, self.val, self.test, self.seed, self.require_images = tags, val, test, seed, require_images

    def read(self) -> Collection:
        root = Path(self.root).absolute()
        path = first(root, "*captions.json", "peir_gross.tsv", "*.csv", "*.tsv")
        if path is None:
            raise DataError(
                f"{root} has no captions: looked for *captions.json, peir_gross.tsv and a CSV image,caption"
            )
        audit = AuditLog(f"peir-gross: {path}")
        studies = list(_studies(path, audit))
        if self.require_images:
            studies = require_files(studies, audit)
        studies = self._tag(studies, audit)
        return audit.collect(self._split(path.parent, studies, audit))

    def _tag(self, studies: list[Study], audit: AuditLog) -> list[Study]:
        words = [[w for s in sentence_words(study.sections["findings"], _WHOLE) for w in s] for study in studies]
        counts = Counter(w for caption in words for w in caption)
        common = set(sorted(counts, key=lambda w: (-counts[w], w))[: self.tags])
        audit.notes.append(f"{len(counts)} different words, {sum(counts.values())} in all; {len(common)} are tags")
        return [
            Study(s.id, s.views, s.sections, tuple(dict.fromkeys(w for w in caption if w in common)))
            for s, caption in zip(studies, words, strict=True)
        ]

    def _split(self, folder: Path, studies: list[Study], audit: AuditLog) -> list[Study]:
        sides = {image: side for side in ("train", "test") for image in _listed(folder / f"{side}_images.tsv")}
        if not sides:
            audit.notes.append(f"split drawn by image with seed {self.seed}")
            return by_patient(studies, val=self.val, test=self.test, seed=self.seed)
        return [Study(s.id, s.views, s.sections, s.tags, split=sides.get(s.id, "")) for s in studies]


def _listed(path: Path) -> list[str]:
    if not path.is_file():
        return []
    return [line.split("\t")[0].strip() for _, line in text_rows(path) if line.strip()]


def _captions(path: Path) -> Iterator[tuple[str, str]]:
    if path.suffix == ".json":
        captions = read_document(path)
        if not isinstance(captions, dict) or not all(isinstance(c, str) for c in captions.values()):
            raise DataError(f"{path} is no JSON object of image and caption")
        yield from captions.items()
    elif path.suffix == ".tsv":
        for _, line in text_rows(path):
            image, _, caption = line.partition("\t")
            yield image, caption
    else:
        for row in csv_rows(path, ("image", "caption")):
            yield row["image"], row["caption"]


def _studies(path: Path, audit: AuditLog) -> Iterator[Study]:
    folders = [path.parent / name for name in ("peir_gross_images", "images")]
    folder = next((f for f in folders if f.is_dir()), path.parent)
    for image, caption in _captions(path):
        text = " ".join(caption.split())
        if not sentence_words(text, _WHOLE):
            audit.drop(image or "(no name)", "no caption")
        else:
            yield Study(image, (View(inside(folder, image)),), {"findings": text})
