"""Run `rg study`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reportgen_cli.option_values import parse_options
from reportgen_core import OptionError, Study
from reportgen_core.registries import datasets

from ..options import completes, device_option, pick_device, print_note, send_images_option, values
from ..render import say_prose, table
from ..terminal.echo import say, say_json
from ..terminal.groups import Commands

if TYPE_CHECKING:
    from ..study.make import Writer
    from ..study.score import Outcome

PATH = click.Path(path_type=Path)
SECTIONS = {"findings": ("findings",), "impression": ("impression",), "both": ("findings", "impression")}


@click.group(cls=Commands)
def study() -> None:
    """Have people judge reports, blinded.

    \b
    Example: rg study make --data studies.jsonl --predictions ours=reports.jsonl --each 100 --out reading
    """


@study.command()
@click.option("--data", required=True, type=PATH, help="The examinations: a table of images and reports, or a folder.")
@click.option("--dataset", default="table", show_default=True, shell_complete=completes("datasets"), help="Its format.")
@values("--data-option", "options", "Of the dataset; rg info NAME lists them.")
@click.option("--predictions", multiple=True, metavar="NAME=FILE", help="What a model wrote: id and text.")
@click.option(
    "--model", "models", multiple=True, metavar="NAME=MODEL", help="A model or reporter that writes what is shown."
)
@click.option("--each", required=True, type=click.IntRange(1), help="Reports of each source.")
@click.option("--design", default="split", show_default=True, help="split: an image once; crossed: once a source.")
@click.option("--rubric", default="densenet-lstm", show_default=True, help="densenet-lstm: 1 to 5; cvse: 1 to 10.")
@click.option(
    "--section", type=click.Choice(list(SECTIONS)), default="findings", show_default=True, help="The human text."
)
@click.option("--split", default="", help="Only examinations of this split.")
@click.option("--as-written", is_flag=True, help="Do not write all texts alike; style may then give a source away.")
@click.option("--whole", is_flag=True, help="Leave out human reports with de-identification gaps, XXXX or ___.")
@click.option("--seed", default=0, show_default=True)
@click.option("--out", required=True, type=PATH, help="The folder for the readers.")
@click.option("--key", type=PATH, help="Where to keep who wrote what; without it, OUT.key.json next to OUT.")
@device_option()
@send_images_option()
def make(
    data: Path,
    dataset: str,
    options: tuple[str, ...],
    predictions: tuple[str, ...],
    models: tuple[str, ...],
    each: int,
    design: str,
    rubric: str,
    section: str,
    split: str,
    as_written: bool,
    whole: bool,
    seed: int,
    out: Path,
    key: Path | None,
    device: str,
    send_images: bool,
) -> None:
    """Mix reports of people and of models, blinded, and keep the key apart.

    \b
    Example: rg study make --data studies.jsonl --predictions ours=reports.jsonl --each 100 --out reading
    Example: rg study make --data studies.jsonl --model ours=runs/best --model vlm=medgemma --each 50 --out reading
    """
    from ..study.make import StudyDesign
    from ..study.make import make as write

    study_design = StudyDesign(
        each=each,
        design=design,
        rubric=rubric,
        sections=SECTIONS[section],
        seed=seed,
        alike=not as_written,
        whole=whole,
    )
    if not predictions and not models:
        raise OptionError("a study needs --predictions NAME=FILE or --model NAME=MODEL; the data has the human reports")
    texts = _predictions(predictions)
    writers = _writers(models, texts, device, send_images)
    studies = [
        s for s in datasets.create(dataset, data, **parse_options(options)).read().studies if split in ("", s.split)
    ]
    key = key or out.with_name(out.name + ".key.json")
    cases = write(studies, texts, study_design, out, key, writers)
    say(f"{out}: {cases} cases; {key} says who wrote them: keep it from the readers")
    say(f"rg study serve {out}")


def _predictions(given: Sequence[str]) -> dict[str, dict[str, str]]:
    """Read NAME=FILE pairs. Return the texts of each name by study id. Raises OptionError for another form."""
    from reportgen_core.files.reports import read_texts

    return {
        name: read_texts(Path(file), on_note=print_note)
        for name, file in _named(given, "--predictions", "NAME=FILE, as in ours=reports.jsonl").items()
    }


def _named(given: Sequence[str], option: str, form: str) -> dict[str, str]:
    """Return NAME=VALUE pairs as a dict. Raises OptionError for another form, and for a name that is given twice."""
    pairs: dict[str, str] = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not (name and equals and value):
            raise OptionError(f"{option} {pair!r}: wants {form}")
        if name in pairs:
            raise OptionError(f"{option} {name!r} is given twice; each source wants its own name")
        pairs[name] = value
    return pairs


def _writers(given: Sequence[str], taken: Mapping[str, Any], device: str, send_images: bool) -> dict[str, Writer]:
    """Load the models of NAME=MODEL pairs. Return for each name what writes its reports. Raises OptionError."""
    places = _named(given, "--model", "NAME=MODEL, a folder or a name of the zoo, as in ours=runs/best")
    if both := sorted(places.keys() & taken.keys()):
        raise OptionError(f"--model {both[0]!r} is a name of --predictions, too; each source wants its own name")
    return {name: _writer(name, place, device, send_images) for name, place in places.items()}


def _writer(name: str, place: str, device: str, send_images: bool) -> Writer:
    from reportgen_core import load

    reporter = load(place).move_to(pick_device(device))
    reporter.may_send = send_images

    def write(studies: Sequence[Study]) -> dict[str, str]:
        """Return the reports of the model, and print the problem of each study that has none."""
        reports = list(reporter.stream_reports(studies))
        for problem in (r.problem for r in reports if not r.text.strip()):
            print_note(f"{name} has no report, so another examination takes its place: {problem}")
        return {r.study: r.text for r in reports}

    return write


@study.command()
@click.argument("folder", type=PATH)
@click.option("--port", default=0, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@click.option("--open", "opens", is_flag=True, help="Open the page in the browser.")
def serve(folder: Path, port: int, opens: bool) -> None:
    """Show the study's page on this machine until Ctrl-C. Answers lie in FOLDER/answers, a file a reader.

    \b
    Example: rg study serve reading --open
    """
    from ..study.folder import read_study
    from ..study.serve import Server

    with Server(read_study(folder), port) as server:
        say(f"{server.url}  (Ctrl-C stops; every answer is kept at once)")
        if opens:
            import webbrowser

            webbrowser.open(server.url)
        try:
            server.serve_forever(poll_interval=0.2)
        except KeyboardInterrupt:
            say("stopped", err=True)


@study.command("score")
@click.argument("folder", type=PATH)
@click.option("--key", type=PATH, help="Without it, FOLDER.key.json next to FOLDER.")
@click.option("--picture", type=PATH, help="Also draw the distributions: PNG, PDF or SVG.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option("--resamples", default=2000, show_default=True, type=click.IntRange(100), help="Of the bootstrap.")
@click.option("--seed", default=0, show_default=True, help="Of the bootstrap.")
def score_command(
    folder: Path, key: Path | None, picture: Path | None, as_json: bool, resamples: int, seed: int
) -> None:
    """Compare the sources: distributions, means with 95 % intervals, agreement between readers.

    \b
    Example: rg study score reading --picture reading.png
    """
    from ..study import score as scoring
    from ..study.folder import read_key, read_study

    reading_study = read_study(folder)
    secret = read_key(key or folder.with_name(folder.name + ".key.json"), reading_study)
    outcome = scoring.score(reading_study, secret, resamples=resamples, seed=seed)
    if picture:
        scoring.picture(outcome, picture)
    if as_json:
        say_json(scoring.as_json(outcome), indent=1)
        return
    _print(outcome)
    if picture:
        say()
        say(picture)


def _print(outcome: Outcome) -> None:
    """Print the scores by source, the progress of the readers, and their agreement."""
    line, scores = outcome.rubric.acceptable, outcome.rubric.scores
    header = ["source", "answers", *(str(s) for s in scores), "mean"]
    header += [f"{line} or more"] if line else []
    rows = []
    for s in outcome.sources:
        row = [s.source, str(s.n), *(_percent(s.counts[k] / s.n) if s.n else "-" for k in scores)]
        row.append(_with(f"{s.mean:.2f}", s.mean_interval, "{:.2f}"))
        if s.acceptable is not None and s.acceptable_interval:
            row.append(_with(_percent(s.acceptable), s.acceptable_interval, "{:.0%}"))
        rows.append(
            [*row, _with(f"{s.less_human:+.2f}", s.less_human_interval, "{:+.2f}") if s.less_human is not None else ""]
        )
    table([*header, "less human"], rows)
    say()
    for reader, n in outcome.answered.items():
        say(f"{reader}: {n} of {outcome.cases} cases")
    for a in outcome.agreement:
        if math.isnan(a.kappa):
            say_prose(f"{' and '.join(a.readers)}: no kappa over {a.n} shared cases")
        else:
            kappa = _with(f"{a.kappa:.2f}", a.interval, "{:.2f}")
            say_prose(
                f"{' and '.join(a.readers)}: weighted kappa {kappa}, same score {_percent(a.same)}, {a.n} shared cases"
            )
    say_prose(f"95 % intervals: bootstrap over examinations, {outcome.resamples} resamples, seed {outcome.seed}")


def _percent(share: float) -> str:
    return "-" if math.isnan(share) else f"{share:.0%}"


def _with(value: str, interval: tuple[float, float] | None, form: str) -> str:
    """Return a value and its interval; a dash without an interval."""
    if interval is None or math.isnan(interval[0]):
        return "-"
    return f"{value} ({form.format(interval[0])} to {form.format(interval[1])})"
