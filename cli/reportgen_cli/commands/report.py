"""Run `rg report`."""

from __future__ import annotations

import errno
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click
from reportgen_zoo.pull import catalogue as manifests

from reportgen_core import OptionError, Report, ReportgenError, Study
from reportgen_core.files.atomic import atomic_write
from reportgen_core.text.printable import printable, printable_json

from ..batch_files import LeftOut, counted, left_out, one_study, output_names, short_ids
from ..engines.options import EngineOptions, engine_options
from ..formats.report import format_named
from ..formats.values import as_text, as_values, named_by_file
from ..formats.wanted import Wanted
from ..options import cuda_devices, pick_device
from ..registry_names import meant_model
from ..report_options import ReportOptions, report_options
from ..terminal.echo import say, say_json, say_json_text, say_text
from ..terminal.progress import Heartbeat

if TYPE_CHECKING:
    from reportgen_core import Reporter

    from ..dicomweb.archive import Address, Archive
    from ..pages.explain_page import StudyCard
    from ..pages.shared.drawing import PictureForm
    from ..pages.shared.origin import Origin

PRINTED = (None, "text", "sr")  # formats with which stdout has the text of a report, as it has with all of --out
Grid = tuple[int, int, int]  # views, rows, columns of an encoder's tokens
# Faults of one study's files: its name, or something else that lies in their place. A full disk is none of them.
FAULTS_OF_A_NAME = {
    errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENOENT,
}  # fmt: skip


@click.command()
@report_options
@engine_options
def report(**options: Any) -> None:
    """Write reports for radiographs: image files (PNG, JPEG, DICOM and more) and folders of them.

    \b
    Example: rg report chest.png
    Example: rg report --json --model runs/best folder/
    Example: rg report study/ --format sr --out reports
    Example: rg report dicomweb:http://127.0.0.1:8042/dicom-web --store
    Example: rg report chest.png --indication "cough and fever" --prior earlier/ --model runs/best
    Example: rg report archive/ --engine ray --workers 4 --out reports

    DICOM files of one examination are one study. An image that cannot be read is named on stderr and the rest go on;
    the exit code is then 1. The last line on stderr counts reports, notes, failures and images.
    """
    engine = EngineOptions.take(options)
    given = ReportOptions(**options)
    from ..dicomweb.archive import addresses

    if given.format:
        format_named(given.format).check(given.format)
    places = addresses(given.images)
    if engine.distributed or cuda_devices(given.device):
        from ..engines.jobs.reporting import report_by_engine

        if places:
            raise OptionError(f"{places[0]}: workers read files; leave --engine ray for an archive")
        good = report_by_engine(given, engine, meant_model(given.model) if given.model else default_model())
    elif given.store:
        good = store_reports(places, given)
    elif places:
        good = report_archive(places, given)
    else:
        good = report_files(given)
    if not good:
        click.get_current_context().exit(1)


def report_files(given: ReportOptions) -> bool:
    """Report files and folders as the options say. Return False if a study could not be read or written."""
    from reportgen_core.data.study_files import group_files
    from reportgen_core.models.reporters.context import unused_context
    from reportgen_core.models.reporters.given_context import with_context

    from ..formats.beforehand import without_report

    with Heartbeat("report", last=given.out is not None) as heartbeat:
        heartbeat.say("reading the model")
        studies = [one_study(given.images)] if given.as_study else group_files(given.images)
        studies = studies if given.paths else short_ids(studies)
        passed_over = left_out(given.images, studies)
        studies = with_context(studies, given.indication, given.prior)
        form = format_named(given.format) if given.format else None
        if none := without_report(studies, form, deidentify=given.deidentify, strict=given.strict):
            writer = ReportWriter(studies, given, None)  # no model is read for nothing
            writer.write_all(none)
            print_end(writer, passed_over)
            return False
        model = load_model(given.model, given.device, given.precision, given.send_images)
        if unused := unused_context(studies, model.takes, meant_model(given.model) if given.model else default_model()):
            say(f"note: {unused}", err=True)
        writer = ReportWriter(studies, given, model.grid, page_origin(given), wanted_of(given, model))
        reports = stream(model, studies, given)
        good = writer.write_all(heartbeat.count(reports, "studies", len(studies)))
    print_end(writer, passed_over)
    return good and not passed_over.closed


def stream(model: Reporter, studies: Sequence[Study], given: ReportOptions) -> Iterator[Report]:
    """Yield the reports of a model on studies, as the options say."""
    from reportgen_core.data.images import default_cache

    return model.stream_reports(
        studies, given.settings(), batch_size=given.batch_size, precision=given.precision, workers=given.workers,
        cache=default_cache() if given.cache else None, strict=given.strict,
        picture_side=0 if given.pages is None else picture_form(given).side,
    )  # fmt: skip


def report_archive(places: Sequence[Address], given: ReportOptions) -> bool:
    """Fetch the named studies of archives and report them as files. Return False if one could not be read."""
    from ..dicomweb.worker import fetched

    if whole := [place for place in places if not place.study]:
        raise OptionError(f"{whole[0]} is a whole archive; --store reports it all, dicomweb:URL/studies/UID one study")
    with fetched(places) as folders:
        return report_files(replace(given, images=tuple(folders)))


def store_reports(places: Sequence[Address], given: ReportOptions) -> bool:
    """Report the studies of archives and store the reports there. Return False if a study has no report then."""
    if not places:
        raise OptionError("--store stores in the archive that the studies are from: rg report dicomweb:URL --store")
    from ..dicomweb.stored import StoredReports
    from ..dicomweb.worker import Worker, run_worker
    from ..pages.shared.origin import model_origin

    format_named("sr").check("sr")
    origin = model_origin(meant_model(given.model) if given.model else default_model())

    @cache
    def model() -> Reporter:  # after the archive has answered
        return load_model(given.model, given.device, given.precision, given.send_images)

    def make(archive: Archive) -> Worker:
        thresholds = wanted_of(replace(given, store=False, out=Path(), format="sr"), model()).thresholds
        return Worker(StoredReports(archive, origin, thresholds), lambda studies: stream(model(), studies, given))

    return run_worker(places, given.batch_size, make)


def wanted_of(options: ReportOptions, model: Reporter) -> Wanted:
    """Return what the files of reports are to have besides the reports."""
    if options.format is None:
        return Wanted()
    from reportgen_core.models.loading import find_model_folder

    from ..pages.shared.origin import Origin
    from ..serve.settings import ServedModel

    folder = find_model_folder(meant_model(options.model) if options.model else default_model())
    return Wanted(deidentify=options.deidentify, thresholds=ServedModel("", model, Origin(), folder).thresholds)


def print_end(writer: ReportWriter, passed_over: LeftOut) -> None:
    """Print on stderr which files were passed over, and what became of the studies if there is more than one."""
    for line in passed_over.lines():
        say(f"note: {line}", err=True)
    pages = writer.options.pages
    if pages is not None and writer.counts["reports"]:
        more = "" if writer.options.all_pictures else "; --all-pictures adds a picture of each sentence and word"
        say(f"{counted(writer.counts['reports'], 'page')} in {pages}{more}", err=True)
    if len(writer.studies) > 1 or writer.counts["images"] != sum(len(s.views) for s in writer.studies):
        say(writer.summary(), err=True)


def default_model() -> str:
    """Return the name of the model that ships with the package. Raises OptionError if this installation lacks it."""
    from reportgen_zoo.demo import MODEL
    from reportgen_zoo.pull.fetch import packaged

    if any(record.name == MODEL and packaged(record) for record in manifests.builtin().models):
        return MODEL
    raise OptionError(f"{MODEL} is not inside this installation; name a model with --model (rg zoo list)")


def load_model(name: str | None, device: str, precision: str, send_images: bool = False) -> Reporter:
    """Return the model on its device. Print the model, the device and the precision on stderr.

    `send_images`: the user allows that images go to an endpoint that is not this machine.
    """
    chosen = meant_model(name) if name else default_model()
    record = None if Path(chosen).exists() else manifests.find_record(chosen.partition("@")[0])

    from reportgen_core import Model, load
    from reportgen_core.models.computing.parts import part_precisions

    picked = pick_device(device)
    model = load(chosen).move_to(picked)
    model.may_send = send_images
    if isinstance(model, Model):
        how = f"{model.device.type}, {part_precisions(model, precision)}"
    else:
        source = f" of {model.reference.source}" if model.reference else ""
        how = model.part_config["name"] + source
    demonstration = "; a demonstration, not for clinical use" if record and record.demonstration else ""
    say(f"model {chosen}, {how}{demonstration}", err=True)
    for line in model.limits:
        say(f"note: {line}", err=True)
    return model


def page_origin(options: ReportOptions) -> Origin | None:
    """Return which model writes pages and formats; None without both."""
    if options.pages is None and options.format is None:
        return None
    from ..pages.shared.origin import model_origin

    return model_origin(meant_model(options.model) if options.model else default_model())


def picture_form(options: ReportOptions) -> PictureForm:
    """Return how pictures are written."""
    from ..pages.shared.drawing import PictureForm

    return PictureForm(options.picture_format, options.dpi or 0)


class ReportWriter:
    """Prints reports and writes their files, one report after another, and counts what became of the studies.

    `grid` is the encoder's, None if it has none. `origin` is named on pages, and is None without pages.
    """

    def __init__(
        self, studies: Sequence[Study], options: ReportOptions, grid: Grid | None, origin: Origin | None = None,
        wanted: Wanted | None = None,
    ) -> None:  # fmt: skip
        self.studies, self.options, self.grid, self.origin = studies, options, grid, origin
        self.wanted, self.by_id = wanted or Wanted(), {s.id: s for s in studies}
        self.cards: list[StudyCard] = []  # of the index of pages
        self.names = output_names(s.id for s in studies)
        self.paths = {s.id: [str(v.path) for v in s.views] for s in studies}
        self.counts: Counter[str] = Counter()

    def write_all(self, reports: Iterable[Report]) -> bool:
        """Print and write every report. Return False if a study could not be read or written."""
        out = self.options.out
        if out is None:
            self._write_each(reports, None)
        else:
            out.mkdir(parents=True, exist_ok=True)
            with (out / "reports.jsonl").open("w", encoding="utf-8") as lines:
                self._write_each(reports, lines)
        self.write_index()
        return not any(self.counts[fault] for fault in ("unread", "refused", "unwritten"))

    def _write_each(self, reports: Iterable[Report], lines: IO[str] | None) -> None:
        for i, report in enumerate(reports):
            values = self._values(report, self.options.attention)
            failed = bool(report.problem) and not report.text
            self.counts["reports" if not failed else "refused" if report.views else "unread"] += 1
            self.counts["noted"] += bool(report.note or report.problem) and not failed
            self.counts["images"] += 0 if failed else len(report.views)
            if report.problem:
                say(f"rg: {report.problem}" if failed else f"rg: {report.study}: {report.problem}", err=True)
            if report.note:
                say(f"note: {report.study}: {report.note}", err=True)
            if self.options.as_json:
                say_json(values)
            elif not failed and (self.options.format in PRINTED or self.options.out is not None):
                say_text(as_text(report, len(self.studies) > 1, first=i == 0))
            if lines is not None:
                lines.write(printable_json(values) + "\n")
            if not failed:
                self._write_files(report)

    def _values(self, report: Report, attention: bool) -> dict[str, Any]:
        """Return a report as JSON values; without `paths` its images are named without their folders."""
        values = as_values(report, attention)
        return values if self.options.paths else named_by_file(values, self.paths[report.study])

    def _write_files(self, report: Report) -> None:
        """Write the files of one report. A fault that comes of its name or its images is named and counted."""
        try:
            if self.options.out is not None:
                path = self.options.out / f"{self.names[report.study]}.txt"
                atomic_write(path, report.text + "\n")
            if self.options.format is not None:
                self._write_format(report, self.options.format)
            if self.options.pages is not None:
                self._explain(report, self.options.pages)
        except (OSError, ReportgenError) as e:
            if isinstance(e, OSError) and e.errno not in FAULTS_OF_A_NAME:
                raise
            self.counts["unwritten"] += 1
            why = f"{e.filename2 or e.filename}: {e.strerror}" if isinstance(e, OSError) else e
            say(f"rg: {report.study}: its files could not be written: {why}", err=True)

    def _write_format(self, report: Report, name: str) -> None:
        """Write a report in a format: as a file into the folder of --out, else as a line on stdout."""
        form, study, origin = format_named(name), self.by_id[report.study], self.origin
        assert origin is not None
        content = form.write(report, study, origin, self.wanted)
        if self.options.out is None and name not in PRINTED:
            say_json_text(content.decode())
        elif self.options.out is not None and name != "text":
            atomic_write(self.options.out / f"{self.names[report.study]}{form.suffix}", content)

    def _explain(self, report: Report, out: Path) -> None:
        """Write the page and the picture of a report into the folder `out`, and on request all other pictures."""
        from ..pages.explain_page import INDEX, explain_all, explain_study

        name, grid, origin = self.names[report.study], self.grid, self.origin
        assert origin is not None
        out.mkdir(parents=True, exist_ok=True)
        index = INDEX if len(self.studies) > 1 else ""
        form = picture_form(self.options)
        self.cards.append(explain_study(report, grid, out, name, origin, index=index, form=form))
        if self.options.all_pictures:
            values = self._values(report, attention=True)
            with picture_progress(report.study) as progress:
                explain_all(report, grid, values, out, name, origin, progress, form)

    def write_index(self) -> None:
        """Write the index of the pages if there are several studies."""
        if self.options.pages is None or self.origin is None or len(self.studies) < 2 or not self.cards:
            return
        from ..pages.explain_page import write_index

        write_index(self.cards, self.options.pages, self.origin)

    def summary(self) -> str:
        """Return a line on what became of the studies: reports, notes, failures, and how many images were used."""
        counts, given = self.counts, sum(len(s.views) for s in self.studies)
        parts = [
            f"{counts['noted']} with a note" if counts["noted"] else "",
            f"{counts['unread']} could not be read" if counts["unread"] else "",
            f"{counts['refused']} refused" if counts["refused"] else "",
            f"{counts['unwritten']} could not be written" if counts["unwritten"] else "",
        ]
        ends = "".join(f", {part}" for part in parts if part)
        return (
            f"{counted(len(self.studies), 'study', 'studies')}: {counted(counts['reports'], 'report')}{ends}; "
            f"{counts['images']} of {counted(given, 'image')} used"
        )


@contextmanager
def picture_progress(study: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a function that takes the number of pictures written and of all: a bar on a terminal, else a line."""
    with ExitStack() as stack:
        bars: list[Any] = []

        def progress(done: int, total: int) -> None:
            if not sys.stderr.isatty():
                if done == 0:
                    say(f"{study}: writing {counted(total, 'picture')}", err=True)
                return
            if not bars:
                label = printable(study, 40)
                bars.append(stack.enter_context(click.progressbar(length=total, label=label, file=sys.stderr)))
            bars[0].update(done - bars[0].pos)

        yield progress
