"""Run the code of a reporter so that one bad study never takes the others with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from ...data.study_reader import LoadedStudy, StudyReader
from ...errors import DataError, ImageError, PluginError, ReportgenError, quoted
from ...types import ImageSpec, Report, Study
from .context import Takes, lack_of_context

CHUNK = 64  # studies that are read before they are given to a reporter
SIDE = 512  # pixels to which images are read to check them
Write = Callable[[Sequence[Study]], Iterator[Report]]


@dataclass(frozen=True, slots=True)
class _Checked:
    """A study as it is given to a reporter: with the images that can be read and are used."""

    study: Study
    loaded: LoadedStudy
    problem: str = ""  # why it is not given to the reporter


def guarded_reports(
    write: Write, studies: Sequence[Study], takes: Takes, *, picture_side: int = 0, strict: bool = False
) -> Iterator[Report]:
    """Yield a report for each study, in order. `write` gets studies with the images that `takes` allows, all readable.

    A study that cannot be read, lacks a required input, or makes `write` fail has a report with a problem. An error of
    this package that is not about a study, such as an endpoint that does not answer, is raised. With `picture_side`
    each report has its `images`. With `strict`, a study that is no chest radiograph by its header is refused.
    """
    spec = ImageSpec(SIDE, SIDE, 1, (0.5,), (0.5,), views=takes.most_views if takes.views != "no" else 0)
    reader = StudyReader(spec, picture_side=picture_side, check_all=True)
    for start in range(0, len(studies), CHUNK):
        checked = [_check(study, reader, takes, strict) for study in studies[start : start + CHUNK]]
        reports = _each(write, [c.study for c in checked if not c.problem])
        for one in checked:
            report = Report(one.study.id, "", problem=one.problem) if one.problem else next(reports)
            yield _noted(report, one)
        next(reports, None)  # one too many is an error


def _check(study: Study, reader: StudyReader, takes: Takes, strict: bool) -> _Checked:
    loaded = reader.read(study)
    used = replace(study, views=loaded.views)
    problems = "; ".join(loaded.problems)
    if takes.views == "required" and not loaded.views:
        return _Checked(used, loaded, problems)
    if lack := lack_of_context(study, takes):
        return _Checked(used, loaded, lack)
    if strict and loaded.not_chest:
        return _Checked(used, loaded, f"study {study.id} is refused: {'; '.join(loaded.not_chest)}")
    return _Checked(used, loaded)


def _noted(report: Report, checked: _Checked) -> Report:
    """Return the report with the images that were used, their problems and their notes."""
    loaded = checked.loaded
    problems = [report.problem, *(loaded.problems if not checked.problem else ())]
    if not report.text:
        return replace(report, problem="; ".join(filter(None, problems)))
    notes = dict.fromkeys(filter(None, (report.note, *loaded.not_chest, *loaded.notes)))
    views = tuple(str(view.path) for view in loaded.views)
    return replace(
        report, views=views, images=loaded.pictures, problem="; ".join(filter(None, problems)), note="; ".join(notes)
    )


def _each(write: Write, studies: Sequence[Study]) -> Iterator[Report]:
    """Yield a report for each study. After a failure the rest of the studies are tried one by one."""
    done = 0
    try:
        for report in write(studies) if studies else ():
            _check_report(report, studies, done)
            done += 1
            yield report
        _check_count(done, len(studies))
        return
    except Exception as e:
        _raise_if_fatal(e)
    for study in studies[done:]:
        try:
            (report,) = _exactly_one(list(write([study])), study)
        except Exception as e:
            _raise_if_fatal(e)
            report = Report(study.id, "", problem=f"study {study.id}: {_why(e)}")
        yield report


def _raise_if_fatal(error: Exception) -> None:
    """Raise an error of this package that is not about one study; return for every other error."""
    if isinstance(error, ReportgenError) and not isinstance(error, ImageError | DataError):
        raise error


def _why(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, ReportgenError) else f"{type(error).__name__}: {text:.300}".rstrip(": ")


def _exactly_one(reports: list[Report], study: Study) -> list[Report]:
    for number, report in enumerate(reports):
        _check_report(report, [study], number)
    _check_count(len(reports), 1)
    return reports


def _check_report(report: object, studies: Sequence[Study], number: int) -> None:
    """Raise PluginError unless this is the report of the study that is next."""
    if not isinstance(report, Report):
        raise PluginError(f"iter_reports gave {quoted(report)}, which is no Report")
    if number >= len(studies):
        raise PluginError(f"iter_reports gave more than the {len(studies)} reports that were requested")
    if report.study != studies[number].id:
        raise PluginError(
            f"iter_reports gave the report of {quoted(report.study)}, and {quoted(studies[number].id)} was next"
        )


def _check_count(given: int, wanted: int) -> None:
    if given < wanted:
        raise PluginError(f"iter_reports gave {given} reports for {wanted} studies; a study without one has a problem")
