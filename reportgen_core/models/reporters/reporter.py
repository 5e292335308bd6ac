"""The interface of a reporter: anything that writes reports of studies. The composed model is one; a vision-language
model and an endpoint are others. This module imports no torch.
"""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Self

from ...data.given.images import image_files
from ...data.study_files import group_files
from ...errors import OptionError
from ...text.arguments import checked_types
from ...text.guesses import meant_call
from ...types import GenerationSettings, Report, Study
from .context import Takes, unused_context
from .folder import save_reporter
from .given_context import with_context
from .guard import guarded_reports
from .reference import Reference
from .report_list import Reports

if TYPE_CHECKING:
    from ...data.given.images import GivenImage

PICTURE_SIDE = 640  # pixels of the longer side of an image in memory that its report keeps, to be drawn


class GuessedNames(ABCMeta):
    """The class of reporters: an unknown attribute, such as Model.predict, raises an error that says what to call."""

    if not TYPE_CHECKING:

        def __getattr__(cls, name: str) -> NoReturn:
            raise AttributeError(f"type object {cls.__name__!r} has no attribute {name!r}{meant_call(name, dir(cls))}")


class Reporter(metaclass=GuessedNames):
    """Writes reports of studies. An author writes `iter_reports` and sets the attributes that describe the reporter.

    Constructor options are keyword-only JSON values, saved in config.json. Everybody else calls `report`,
    `report_studies` or `stream_reports`, which read the studies first, so that one bad study stops nobody.
    """

    files: ClassVar[Mapping[str, str]] = {}  # options that name a file: its name in the reporter's folder
    takes: Takes = Takes()
    domain: Any = None  # in words, the images that it is for; a model of parts has the space of its training images
    sections: tuple[str, ...] = ("findings",)  # of the report that it writes
    grid: tuple[int, int, int] | None = None  # (views, rows, columns) of its attention; None: it has no attention
    reference: Reference | None = None  # where its weights are, if they are not in its folder
    sends_to: str = ""  # the address that images are sent to; "": they stay on this machine
    may_send: bool = False  # whether the user has allowed that; never saved
    part_config: dict[str, Any]  # name and options; set by the registry

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            kind = type(self).__name__
            raise AttributeError(f"{kind!r} object has no attribute {name!r}{meant_call(name, dir(type(self)))}")

    @abstractmethod
    def iter_reports(self, studies: Sequence[Study], settings: GenerationSettings) -> Iterator[Report]:
        """Yield a report for each study, in order. The images of the studies can be read, and are at most `most_views`.

        Raise ImageError or DataError for a study that has no report; the others are then requested again.
        """

    def write_files(self, folder: Path) -> None:
        """Write files of its own into the folder in which it is saved; by default none."""

    def read_files(self, folder: Path) -> None:
        """Read the files that `write_files` wrote; by default none."""

    def facts(self) -> dict[str, Any]:
        """Return as JSON values all that changes its reports: model, revision, hashes, settings. Scores have them."""
        reference = self.reference
        where = {} if reference is None else {"source": reference.source, "revision": reference.revision}
        pinned = {"files_sha256": reference.sha256} if reference is not None and reference.files else {}
        options = {k: v for k, v in self.part_config["options"].items() if k not in self.files}
        return {
            "reporter": self.part_config["name"],
            **where,
            **pinned,
            "options": options,
            "takes": asdict(self.takes),
        }

    @property
    def called(self) -> str:
        """Return what a message calls it."""
        return str(getattr(self, "part_config", {}).get("name", type(self).__name__))

    def unused_context(self, studies: Iterable[Study], name: str = "") -> str:
        """Return a line on what these studies have besides images and the reporter does not take; "" if nothing."""
        return unused_context(studies, self.takes, name or self.called)

    @property
    def limits(self) -> tuple[str, ...]:
        """Return lines on what the reporter cannot promise, for its card, its record and its scores."""
        return self.reference.limits if self.reference is not None else ()

    def move_to(self, device: str) -> Self:
        """Move the weights to a device and return the reporter; one without weights stays as it is."""
        return self

    @checked_types
    def save(self, folder: str | Path, *, card: str = "") -> Path:
        """Write the reporter as a folder that `load` reads. Raises CheckpointError."""
        return save_reporter(self, Path(folder), card)

    @checked_types
    def report(
        self,
        images: GivenImage | Iterable[GivenImage],
        settings: GenerationSettings | None = None,
        *,
        batch_size: int = 32,
        precision: str = "auto",
        workers: int = 0,
        cache: Path | None = None,
        indication: str = "",
        prior: str | Path | Study | None = None,
    ) -> Reports[Report]:
        """Return reports for one image or several: one for each image, DICOM files of one study together.

        An image is the path of a file or of a folder of files, a PIL image, a numpy array or a tensor. An array is
        (h, w), or has 1, 3 or 4 channels, last (h, w, c) or first (c, h, w): grey, RGB, or RGB with alpha, for uint8
        alone. Its values are uint8 (0..255), uint16 (0..65535), bool, or floats 0..1; 0 is black. Arrays are not
        normalised by mean and deviation: the model does that. Several images are a list, never an array of four
        dimensions. The options are those of `stream_reports`. Raises ImageError for anything else.

        With the images of one study, `indication` says why it was made, and `prior` is the patient's earlier study: an
        image, a text file with its report, a folder of both, or a Study. The first report's `note` names what of this
        the model does not take.
        """
        with image_files(images) as (paths, temporary):
            in_memory = any(str(path).startswith(temporary) for path in paths)
            studies = with_context(group_files(paths), indication, prior)
            reports = self.stream_reports(
                studies, settings, batch_size=batch_size, precision=precision, workers=workers,
                cache=None if in_memory else cache, picture_side=PICTURE_SIDE if in_memory else 0,
            )  # fmt: skip
            return _first_noted(
                Reports(_without(temporary, report) for report in reports), self.unused_context(studies)
            )

    @checked_types
    def report_studies(
        self,
        studies: Sequence[Study],
        settings: GenerationSettings | None = None,
        *,
        batch_size: int = 32,
        precision: str = "auto",
        workers: int = 0,
        cache: Path | None = None,
    ) -> Reports[Report]:
        """Return reports in the order of the studies. The options are those of `stream_reports`."""
        return Reports(
            self.stream_reports(
                studies, settings, batch_size=batch_size, precision=precision, workers=workers, cache=cache
            )
        )

    @checked_types
    def stream_reports(
        self,
        studies: Sequence[Study],
        settings: GenerationSettings | None = None,
        *,
        batch_size: int = 32,
        precision: str = "auto",
        workers: int | None = 0,
        cache: Path | None = None,
        picture_side: int = 0,
        strict: bool = False,
    ) -> Iterator[Report]:
        """Yield a report for each study, in order. One without a text has a `problem` that says why.

        `batch_size`, `precision`, `workers` and `cache` are for models of parts; other reporters have their own
        options. With `picture_side` each report has its `images`, whose longer side has at most that number of pixels.
        With `strict`, a study that is no chest radiograph has no text. Raises OptionError if images would leave this
        machine and `may_send` is not set.
        """
        if self.sends_to and not self.may_send:
            raise OptionError(
                f"{self.part_config['name']} sends the images to {self.sends_to}, which is not this machine; "
                "--send-images (in Python: reporter.may_send = True) allows it"
            )
        chosen = settings or GenerationSettings()
        return guarded_reports(
            lambda some: self.iter_reports(some, chosen), studies, self.takes, picture_side=picture_side, strict=strict
        )


def _first_noted(reports: Reports[Report], line: str) -> Reports[Report]:
    """Add a line to the note of the first report, if there is a line and a report with a text."""
    if line and reports and reports[0].text:
        reports[0] = replace(reports[0], note="; ".join(filter(None, (reports[0].note, line))))
    return reports


def _without(folder: str, report: Report) -> Report:
    """Return a report whose texts do not name the folder of temporary files: image-1.png has no place on the disk."""
    views = tuple(view.removeprefix(folder) for view in report.views)
    texts = {name: getattr(report, name).replace(folder, "") for name in ("study", "problem", "note")}
    return replace(report, views=views, **texts)
