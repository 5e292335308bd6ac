"""Say by the headers of files, before a model is read, that no study can get what the user wants."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from reportgen_core import DataError, ImageError, Report, ReportgenError, Study
from reportgen_core.data.dicom.header import dicom_facts, is_dicom
from reportgen_core.data.image_files import image_size

from .report import Format


def without_report(studies: Sequence[Study], form: Format | None, *, deidentify: bool, strict: bool) -> list[Report]:
    """Return for each study a report with its problem if no study can have one; [] if one study may have one.

    A study has none if no image of it can be read, or if `strict` and each image is no chest radiograph by its header.
    Raises DataError if no study can have the format `form`.
    """
    problems = _all(studies, _unread) or (_all(studies, _refused) if strict else [])
    if not problems and form is not None and form.check_study is not None:
        check = form.check_study
        unfit = _all(studies, lambda study: _unfit(study, check, deidentify))
        if unfit:
            more = f"; none of the {len(studies)} studies can have this format" if len(studies) > 1 else ""
            raise DataError(unfit[0] + more)
    return [Report(study.id, "", problem=problem) for study, problem in zip(studies, problems, strict=bool(problems))]


def _all(studies: Sequence[Study], problem_of: Callable[[Study], str]) -> list[str]:
    """Return the problem of each study; [] as soon as one has none."""
    problems = []
    for study in studies:
        problem = problem_of(study)
        if not problem:
            return []
        problems.append(problem)
    return problems


def _unread(study: Study) -> str:
    problems = []
    for view in study.views:
        try:
            image_size(view.path)
        except ReportgenError as e:
            problems.append(str(e))
        else:
            return ""
    return "; ".join(problems)


def _refused(study: Study) -> str:
    reasons = []
    for why in _reasons(study):
        if not why:
            return ""
        reasons += why
    return f"study {study.id} is refused: {'; '.join(dict.fromkeys(reasons))}" if reasons else ""


def _reasons(study: Study) -> Iterator[list[str]]:
    """Yield for each image that can be read the reasons why its header says that it is no chest radiograph."""
    for view in study.views:
        with suppress(ImageError, OSError):  # such an image is named by who reads the pictures
            name = f"{view.path.name}: " if len(study.views) > 1 else ""
            yield [name + why for why in dicom_facts(view.path).not_chest] if is_dicom(view.path) else []


def _unfit(study: Study, check: Callable[[Study, bool], None], deidentify: bool) -> str:
    try:
        check(study, deidentify)
    except DataError as e:
        return str(e)
    return ""
