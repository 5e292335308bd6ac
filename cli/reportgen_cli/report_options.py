"""Define the options of `rg report`, and check those that need or exclude others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from reportgen_core import GenerationSettings, OptionError

from .option_values import parse_options
from .options import FOLDER, all_pictures_option, devices_option, images_and_model, names_a_file, picture_options
from .options import values as value_option


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportOptions:
    """The options of `rg report`. Raises OptionError for options that need others."""

    images: tuple[Path, ...]
    model: str | None
    as_study: bool
    indication: str
    prior: Path | None
    beams: int
    n_best: int
    max_sentences: int | None
    distinct: bool
    generation: tuple[str, ...]  # further settings, K=V
    as_json: bool
    attention: bool  # with `as_json`: as numbers
    paths: bool  # whole paths of images instead of file names
    out: Path | None
    explain: str | None  # "" is the folder of `out`
    all_pictures: bool
    picture_format: str  # png or svg
    dpi: int | None  # of the pictures; None: the usual density of each
    batch_size: int
    workers: int | None
    precision: str
    device: str
    cache: bool
    strict: bool  # refuse what is no chest radiograph
    send_images: bool  # to an endpoint that is not this machine
    format: str | None = None  # the name of a format; None: text on the terminal
    deidentify: bool = False  # of a format that belongs to a study
    store: bool = False  # in the archive that the studies are from

    def __post_init__(self) -> None:
        self._check_formats()
        if self.explain is None and self.all_pictures:
            raise OptionError("--all-pictures belongs to --explain, which writes the pages")
        if self.explain is None and (self.dpi or self.picture_format != "png"):
            raise OptionError("--dpi and --picture-format belong to --explain, which draws the pictures")
        if self.explain == "" and self.out is None:
            raise OptionError("--explain writes pictures, and needs --out DIR for them, or a folder of its own")
        if self.explain and (Path(self.explain).is_file() or names_a_file(Path(self.explain))):
            raise OptionError(
                f"--explain {self.explain} is the name of a file, and pictures go into a folder; "
                "write --explain after the images"
            )

    def _check_formats(self) -> None:
        if self.format == "sr" and self.out is None:
            raise OptionError("--format sr writes DICOM files, and needs --out DIR for them")
        if self.format is not None and self.as_json:
            raise OptionError(f"--json and --format {self.format} both say how reports are printed; give one")
        if self.deidentify and self.format not in ("sr", "fhir", "fhir-r5"):
            raise OptionError("--deidentify belongs to --format sr or fhir; other formats name no patient")
        if self.store and (self.format or self.out or self.explain is not None or self.as_json or self.as_study):
            raise OptionError(
                "--store puts DICOM SR into the archive; leave --format, --out, --explain, --json, --study"
            )

    @property
    def pages(self) -> Path | None:
        """The folder of pages and pictures; None without --explain."""
        return None if self.explain is None else Path(self.explain) if self.explain else self.out

    def settings(self) -> GenerationSettings:
        """Return how the model is to generate reports."""
        attention = self.attention or self.pages is not None
        settings = GenerationSettings(
            self.beams, self.n_best, self.max_sentences, attention=attention, distinct=self.distinct
        )
        return settings.with_values(parse_options(self.generation))


def context_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say what is known of a study besides its images."""
    command = click.option(
        "--prior",
        metavar="DIR|FILE",
        type=click.Path(path_type=Path),
        help="The same patient's earlier study: an image, a text file (.txt) with its report, or a folder with images, "
        "one .txt, or both. For one study, and for models that take it.",
    )(command)
    return click.option(
        "--indication",
        default="",
        metavar="TEXT",
        help="Why the study was made. For one study, and for models that take it.",
    )(command)


def report_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add all options of `rg report`."""
    for add in reversed(
        (
            images_and_model,
            context_options,
            click.option("--n-best", default=1, show_default=True, type=click.IntRange(1, 100),
                         help="So many reports a study."),
            click.option("--max-sentences", type=click.IntRange(1, 1000), help="Without it, as the model was trained."),
            click.option("--distinct", is_flag=True, help="Leave out a sentence that the report has already."),
            value_option("--generation", "generation", "How to write, such as sample=true, temperature=0.7 or seed=3."),
            click.option("--json", "as_json", is_flag=True, help="One JSON object a line and study."),
            click.option("--attention", is_flag=True, help="With --json: where the model looked, as numbers."),
            click.option("--paths", is_flag=True, help="Write whole paths of images; without it only file names."),
            click.option("--out", type=FOLDER, help="Also write STUDY.txt and reports.jsonl into this folder."),
            click.option("--explain", is_flag=False, flag_value="", metavar="[DIR]",
                         help="Where the model looked, into DIR or --out: the page STUDY.html and the picture "
                              "STUDY.png."),
            click.option("--format", type=click.Choice(["text", "json", "sr", "fhir", "fhir-r5"]),
                         help="Print reports as this, or with --out write them as files: DICOM SR or FHIR (R4B, R5) by "
                              "the extra clinical."),
            click.option("--deidentify", is_flag=True,
                         help="With --format sr or fhir: nothing that ties it to a patient or a study."),
            click.option("--store", is_flag=True,
                         help="Of dicomweb:URL report all studies, and store DICOM SR in the archive, each once."),
            all_pictures_option(),
            picture_options,
            click.option("--strict", is_flag=True,
                         help="Refuse what is no chest radiograph, by its header or its picture."),
            click.option("--batch-size", default=16, show_default=True, type=click.IntRange(1, 4096)),
            click.option("--workers", type=click.IntRange(0, 4096),
                         help="Processes that read images; without it, as many as help, on a processor none: there "
                              "threads read. With ray: workers."),
            click.option("--precision", type=click.Choice(["auto", "fp32", "bf16"]), default="auto", show_default=True),
            devices_option(),
            click.option("--cache/--no-cache", default=False, show_default=True, help="Keep resized images on disk."),
        )
    ):  # fmt: skip
        command = add(command)
    return command
