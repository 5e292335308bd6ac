"""Read the context that a user gives with the images of one study: an indication, and the patient's earlier study.

The earlier study, the prior, is an image, a text file with its report, or a folder with images, a report or both. All
images of a folder are views of that one study. A file is a report by its ending .txt, or because it is no image and a
text in UTF-8. Headings such as FINDINGS: cut the report into sections; without headings all of it is the findings.
"""

from __future__ import annotations

import filecmp
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ...data.dicom.header import is_dicom
from ...data.image_files import decode
from ...data.study_files import SUFFIXES, group_files
from ...errors import DataError, ImageError, OptionError
from ...types import Study, View
from .cleaning import split_sections

MAX_REPORT = 2**20  # bytes; reports have a few thousand
KINDS = "an image, a text file with a report, or a folder of both"


def with_context(
    studies: Sequence[Study], indication: str = "", prior: str | Path | Study | None = None
) -> list[Study]:
    """Return the studies with an indication and a prior, which belong to one study.

    Raises OptionError for several studies, and DataError or ImageError for a prior that cannot be read or is the study
    itself.
    """
    if not indication.strip() and prior is None:
        return list(studies)
    if len(studies) != 1:
        given = " and ".join(filter(None, ("an indication" if indication.strip() else "", "a prior" if prior else "")))
        raise OptionError(
            f"{given} belongs to one study, and there are {len(studies)} here; give the images of one study, "
            "with --study if they are several (in Python: report_studies takes a Study for each, with its own)"
        )
    (study,) = studies
    sections = {**study.sections, "indication": indication.strip()} if indication.strip() else study.sections
    if prior is not None and not isinstance(prior, Study):
        prior = read_prior(Path(prior), study)
    return [replace(study, sections=sections, prior=study.prior if prior is None else prior)]


def read_prior(given: Path, current: Study) -> Study:
    """Return the prior in a file or a folder, whose images can all be read and are none of the current study.

    Raises DataError, and ImageError for an image that cannot be read.
    """
    if not given.exists():
        raise DataError(f"the prior {given} does not exist; it is {KINDS}")
    images, reports = _folder(given) if given.is_dir() else _file(given)
    for view in images:
        _check_image(given, view, current)
    if len(reports) > 1:
        names = ", ".join(path.name for path in reports[:5])
        raise DataError(f"the prior {given} has {len(reports)} texts ({names}), and a study has one report; name it")
    if not images and not reports:
        raise DataError(f"the prior {given} holds neither an image nor a report (.txt); it is {KINDS}")
    sections = _sections(reports[0]) if reports else {}
    return Study(f"{current.id}-prior", images, sections, patient=current.patient)


def _folder(folder: Path) -> tuple[tuple[View, ...], list[Path]]:
    """Return the images and the texts of a folder and of the folders in it. Raises DataError for two examinations."""
    try:
        studies = group_files([folder])
    except ImageError:  # no image
        studies = []
    if (count := sum(is_dicom(study.views[0].path) for study in studies)) > 1:
        raise DataError(f"the prior {folder} holds {count} examinations by their DICOM headers; name the files of one")
    texts = sorted(p for p in folder.rglob("*.txt") if p.is_file() and not p.name.startswith("."))
    return tuple(view for study in studies for view in study.views), texts


def _file(path: Path) -> tuple[tuple[View, ...], list[Path]]:
    """Return one file as an image or as a text. Raises ImageError or DataError for what is neither."""
    if path.suffix.lower() == ".txt":
        return (), [path]
    try:
        decode(path)
    except ImageError as e:
        if path.suffix.lower() in SUFFIXES or not _is_text(path):
            raise ImageError(f"the prior cannot be read: {e}") from e
        return (), [path]
    return group_files([path])[0].views, []


def _check_image(given: Path, view: View, current: Study) -> None:
    """Raise DataError if an image of a prior is one of the current study, and ImageError if it cannot be read."""
    for own in current.views:
        if own.path.is_file() and filecmp.cmp(own.path, view.path, shallow=False):
            raise DataError(f"the prior {given} holds the image {own.path} of the study itself; it is an earlier study")
    try:
        decode(view.path)
    except ImageError as e:
        raise ImageError(f"the prior cannot be read: {e}") from e


def _is_text(path: Path) -> bool:
    try:
        _text(path)
    except DataError:
        return False
    return True


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_REPORT + 1)
        if len(data) > MAX_REPORT or b"\0" in data:
            raise DataError(f"the prior {path} is no report: it is longer than {MAX_REPORT} bytes, or no text")
        return data.decode("utf-8-sig")
    except OSError as e:
        raise DataError(f"the prior {path} cannot be read: {e.strerror}") from e
    except UnicodeDecodeError as e:
        raise DataError(f"the prior {path} is no text in UTF-8; save it so") from e


def _sections(path: Path) -> dict[str, str]:
    """Return the sections of a report. Raises DataError if it has no words."""
    text = _text(path)
    if not text.strip():
        raise DataError(f"the prior {path} has no text; it is the report of an earlier study")
    sections = {name: " ".join(own.split()) for name, own in split_sections(text).items() if name}
    if sections.get("findings") or sections.get("impression"):
        return sections
    return {"findings": " ".join(text.split())}
