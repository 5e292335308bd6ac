"""Run `rg report`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from reportgen_zoo.pull import catalogue as manifests

from reportgen_core import GenerationSettings, OptionError, Report, Study, View

from ..options import FOLDER, device_option, images_and_model, pick_device

if TYPE_CHECKING:
    from reportgen_core import Model

PICTURE_SIDE = 640  # pixels of the longer side of a radiograph in a picture


@click.command()
@images_and_model
@click.option("--n-best", default=1, show_default=True, type=click.IntRange(1, 100), help="So many reports a study.")
@click.option("--max-sentences", type=click.IntRange(1, 1000), help="Without it, as the model was trained.")
@click.option("--distinct", is_flag=True, help="Leave out a sentence that the report has already.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line and study.")
@click.option("--attention", is_flag=True, help="With --json: where the model looked, as numbers.")
@click.option("--out", type=FOLDER, help="Also write STUDY.txt and reports.jsonl into this folder.")
@click.option(
    "--explain",
    is_flag=False,
    flag_value="",
    metavar="[DIR]",
    help="Where the model looked, into DIR or --out: STUDY.png (and STUDY.words.png, its words shaded), the page "
    "STUDY.html, and STUDY/ with pictures and numbers.",
)
@click.option("--batch-size", default=16, show_default=True, type=click.IntRange(1, 4096))
@click.option("--workers", type=click.IntRange(0, 256), help="Processes that read images; without it, as many as help.")
@click.option("--precision", type=click.Choice(["auto", "fp32", "bf16"]), default="auto", show_default=True)
@device_option()
@click.option("--cache/--no-cache", default=False, show_default=True, help="Keep resized images on disk.")
def report(
    images: tuple[Path, ...],
    model: str | None,
    as_study: bool,
    beams: int,
    n_best: int,
    max_sentences: int | None,
    distinct: bool,
    as_json: bool,
    attention: bool,
    out: Path | None,
    explain: str | None,
    batch_size: int,
    workers: int | None,
    precision: str,
    device: str,
    cache: bool,
) -> None:
    """Write reports for radiographs: image files (PNG, JPEG, DICOM and more) and folders of them.

    \b
    Example: rg report chest.png
    Example: rg report --json --model runs/best folder/

    DICOM files of one examination are one study. An image that cannot be read is named on stderr and the rest go on;
    the exit code is then 1.
    """
    pictures = picture_folder(explain, out)
    from reportgen_core.data.images import default_cache
    from reportgen_core.data.study_files import group_files

    studies = [one_study(images)] if as_study else group_files(images)
    loaded = load_model(model, device, precision)
    needs_attention = attention or pictures is not None
    settings = GenerationSettings(beams, n_best, max_sentences, attention=needs_attention, distinct=distinct)
    writer = ReportWriter(as_json, attention, out, len(studies) > 1, pictures, loaded.encoder.features.grid)
    reports = loaded.iter_reports(
        studies, settings, batch_size=batch_size, precision=precision, workers=workers,
        cache=default_cache() if cache else None, picture_side=0 if pictures is None else PICTURE_SIDE,
    )  # fmt: skip
    if not writer.write_all(reports):
        click.get_current_context().exit(1)


def picture_folder(explain: str | None, out: Path | None) -> Path | None:
    """Return the folder for the pictures; None without --explain. Raises OptionError if there is no folder."""
    if explain is None:
        return None
    if not explain and out is None:
        raise OptionError("--explain writes pictures, and needs --out DIR for them, or a folder of its own")
    if Path(explain).is_file():
        raise OptionError(
            f"--explain {explain} is a file, and pictures go into a folder; write --explain after the images"
        )
    return Path(explain) if explain else out


def one_study(images: tuple[Path, ...]) -> Study:
    """Return all these files as the views of one study."""
    from reportgen_core.data.study_files import group_files

    views: list[View] = [v for s in group_files(images) for v in s.views]
    return Study(images[0].stem, tuple(views))


def default_model() -> str:
    """Return the name of the model that ships with the package. Raises OptionError if this installation lacks it."""
    from reportgen_zoo.demo import MODEL
    from reportgen_zoo.pull.fetch import packaged

    if any(record.name == MODEL and packaged(record) for record in manifests.builtin().models):
        return MODEL
    raise OptionError(f"{MODEL} is not inside this installation; name a model with --model (rg zoo list)")


def load_model(name: str | None, device: str, precision: str) -> Model:
    """Return the model on its device. Print the model, the device and the precision on stderr."""
    chosen = name or default_model()
    record = None if Path(chosen).exists() else manifests.find_record(chosen.partition("@")[0])

    from reportgen_core import load
    from reportgen_core.models.precision import best_precision

    picked = pick_device(device)
    model = load(chosen).to(picked)
    arithmetic = best_precision(model.device) if precision == "auto" else precision
    demonstration = "; a demonstration, not for clinical use" if record and record.demonstration else ""
    click.echo(f"model {chosen}, {model.device.type}, {arithmetic}{demonstration}", err=True)
    return model


class ReportWriter:
    """Prints reports and writes their files, one report after another."""

    def __init__(
        self,
        as_json: bool,
        attention: bool,
        out: Path | None,
        headed: bool,
        pictures: Path | None = None,
        grid: tuple[int, int, int] | None = None,
    ) -> None:
        self.as_json, self.attention, self.out, self.headed = as_json, attention, out, headed
        self.pictures, self.grid = pictures, grid

    def write_all(self, reports: Iterable[Report]) -> bool:
        """Print and write every report. Return False if a study could not be read."""
        good = True
        lines = None
        if self.out is not None:
            self.out.mkdir(parents=True, exist_ok=True)
            lines = (self.out / "reports.jsonl").open("w", encoding="utf-8")
        try:
            for i, report in enumerate(reports):
                if report.problem:
                    click.echo(f"rg: {report.problem}", err=True)
                if report.note:
                    click.echo(f"note: {report.study}: {report.note}", err=True)
                failed = bool(report.problem) and not report.text
                good = good and not failed
                if self.as_json:
                    click.echo(json.dumps(as_values(report, self.attention), ensure_ascii=False))
                elif not failed:
                    click.echo(as_text(report, self.headed, first=i == 0))
                if lines is not None and self.out is not None:
                    lines.write(json.dumps(as_values(report, self.attention), ensure_ascii=False) + "\n")
                    if not failed:
                        (self.out / f"{file_name(report.study)}.txt").write_text(report.text + "\n", encoding="utf-8")
                if not failed and self.pictures is not None:
                    self._explain(report, self.pictures)
        finally:
            if lines is not None:
                lines.close()
        return good

    def _explain(self, report: Report, out: Path) -> None:
        """Write the page and the pictures of a report into the folder `out`."""
        from ..pages.explain_page import explain_study
        from ..pages.pictures import explain
        from ..pages.shading import shaded, shows_words

        name = file_name(report.study)
        out.mkdir(parents=True, exist_ok=True)
        explain_study(report, self.grid, as_values(report, attention=True), out, name)
        if self.grid is not None:
            explain(report, self.grid).save(out / f"{name}.png")
            if shows_words(report):
                shaded(report, self.grid).save(out / f"{name}.words.png")


def file_name(study: str) -> str:
    """Return a study's id as the name of a file."""
    return re.sub(r"[^\w.+-]+", "_", study).strip("._") or "study"


def as_text(report: Report, headed: bool, first: bool = True) -> str:
    """Return a report for a reader: the text, the alternatives, and the likeliest tags and findings."""
    lines = [] if first else [""]
    if headed:
        lines.append(f"# {report.study}")
    lines.append(report.text)
    lines += [f"or: {other}" for other in report.alternatives]
    for word, values in (("tags", report.tags), ("findings", report.findings)):
        if values:
            lines.append(f"{word}: " + ", ".join(f"{name} {share:.2f}" for name, share in list(values.items())[:5]))
    return "\n".join(lines)


def as_values(report: Report, attention: bool) -> dict[str, Any]:
    """Return a report as JSON values."""
    plain = ("study", "text", "sentences", "score", "tags", "findings", "alternatives", "views", "note", "problem")
    values: dict[str, Any] = {name: getattr(report, name) for name in plain}
    given = report.attention
    if attention and given is not None:
        named = {"regions": given.regions, "tags": given.tags, "words": given.words}
        rows = {name: [[round(v, 5) for v in row] for row in t.tolist()] for name, t in named.items() if t is not None}
        words = {"written": report.words} if given.per == "word" else {}  # a word is a row
        values["attention"] = {
            "per": given.per,
            "tag_names": report.attended_tags,
            "sentences": report.rows,
            **words,
            **rows,
        }
    return values
