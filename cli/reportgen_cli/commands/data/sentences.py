"""Run `rg data abnormal` and `rg data groups`: find the abnormal sentences of reports, and group them by meaning."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reportgen_cli.option_values import parse_options
from reportgen_core import DataError, OptionError
from reportgen_core.registries import sentence_classifiers, sentence_encoders, sentence_groupers

from ...engines.options import EngineOptions, rows_options
from ...options import FOLDER, part, print_note, raw_cells_option, values
from ...render import table as draw
from ...terminal.echo import say, say_json

if TYPE_CHECKING:
    from reportgen_core.sentences.classifiers import ClassifierScore, LabelledSentences
    from reportgen_core.sentences.label_table import LabelSummary
    from reportgen_core.sentences.parts import Groups, LabelledSentence

TABLE = click.Path(exists=True, dir_okay=False, path_type=Path)
COMPARED = ("tfidf", "words")  # classifiers that a trained one is compared with
SECTIONS = ("findings",)


@click.command()
@click.argument("table", type=TABLE)
@click.option("--train", is_flag=True, help="Learn from the table's labels; --out is the folder of the classifier.")
@click.option("--model", type=FOLDER, help="The folder of a classifier, to label the table; --out is a table.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="DIR, or .jsonl, .csv, .tsv.")
@part("--classifier", "sentence-classifiers", "What learns: vote unless another is named.")
@values("--classifier-option", "options", "Of the classifier; rg info NAME lists them.")
@click.option("--field", default="sentence_abnormal", show_default=True, help="The column of labels, with --train.")
@click.option("--section", "sections", multiple=True, help="Sections whose sentences are meant, in order: findings.")
@click.option("--text", default="", metavar="COLUMN", help="The column of the reports, in place of sections.")
@click.option("--only-abnormal", is_flag=True, help="Leave reports without an abnormal sentence out.")
@raw_cells_option()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@rows_options
def abnormal(
    table: Path,
    train: bool,
    model: Path | None,
    out: Path,
    classifier: str | None,
    options: tuple[str, ...],
    field: str,
    sections: tuple[str, ...],
    text: str,
    only_abnormal: bool,
    raw_cells: bool,
    as_json: bool,
    batch_size: int,
    workers: int,
    **engine: Any,
) -> None:
    """Find abnormal sentences: train a classifier, or label a table of reports with one.

    \b
    Example: rg data abnormal labelled.jsonl --train --out runs/abnormal
    Example: rg data abnormal studies.jsonl --model runs/abnormal --out abnormal.jsonl
    Example: rg data abnormal studies.jsonl --model runs/abnormal --engine ray --out abnormal

    TABLE is CSV, TSV or JSON lines. Labels are a column of {"sents": [...], "abnormal": [true, ...], "split": "train"},
    or a row a sentence with columns sentence, abnormal and split. A labelled table has a section abnormal, the abnormal
    sentences of each report, and sentence_abnormal, true or false for each sentence.
    """
    if train == (model is not None):
        raise OptionError("rg data abnormal wants --train, to learn from labels, or --model DIR, to label; not both")
    by = EngineOptions.take(engine)
    if train and by.distributed:
        raise OptionError("--train needs all sentences in one place; leave --engine ray")
    if train:
        _learn(table, out, classifier or "vote", parse_options(options), field, sections or SECTIONS, as_json)
        return
    if classifier or options:
        raise OptionError("--classifier and --classifier-option belong to --train; --model says what labels")
    assert model is not None
    if by.distributed:
        asked = Labelling(table, out, model, sections or SECTIONS, text, only_abnormal, as_json)
        if not _label_by_engine(asked, by, batch_size, workers):
            click.get_current_context().exit(1)
        return
    _label(table, out, model, sections or SECTIONS, text, only_abnormal, raw_cells, as_json)


def _learn(
    table: Path, out: Path, name: str, options: dict[str, Any], field: str, sections: tuple[str, ...], as_json: bool
) -> None:
    """Fit the requested classifier and the plain ones, save the requested one, and print how they compare."""
    from reportgen_core.sentences.classifiers import fit_classifiers, read_labelled

    data = read_labelled(table, field, sections=sections, on_note=print_note)
    fitted = {name: options} | {n: {} for n in COMPARED if n != name}
    rows: list[ClassifierScore] = []
    for trained, measured, chosen in fit_classifiers(fitted, data, partial(say, err=True)):
        rows.append(measured)
        if measured.name == name:
            about: dict[str, Any] = {
                "table": table.name,
                "options": options,
                "chosen": dict(chosen),
                "dev": asdict(measured),
            }
            about |= {"train_sentences": len(data.train), "dev_sentences": len(data.dev)}
            trained.save(out, about=about)
    if as_json:
        say_json({"classifiers": [asdict(m) for m in rows], **about})
        return
    say(_data(data))
    draw(
        ("classifier", "F1 abnormal", "95 %", "precision", "recall", "errors", "seconds", f"{name} is better by"),
        [
            (
                m.name, f"{m.f1:.4f}", f"{m.interval[0]:.3f}-{m.interval[1]:.3f}", f"{m.precision:.4f}",
                f"{m.recall:.4f}", str(m.errors), f"{m.seconds:.0f}", _difference(m),
            )
            for m in rows
        ],
    )  # fmt: skip
    say(f"{out}  " + ", ".join(f"{k} {v}" for k, v in about["chosen"].items()), err=True)


def _difference(measured: ClassifierScore) -> str:
    """Return the difference in F1 with its interval and p; a dash for the classifier itself."""
    d = measured.difference
    return f"{d.value:+.4f} ({d.low:+.3f} to {d.high:+.3f}), p = {d.p:.4f}" if d else "–"


def _data(data: LabelledSentences) -> str:
    parts = [_counted("train", data.train), _counted("dev", data.dev)]
    return "; ".join(parts) + ("; dev drawn here, as the table says none" if data.drawn else "")


def _counted(name: str, sentences: Sequence[LabelledSentence]) -> str:
    abnormal, reports = sum(s.abnormal for s in sentences), len({s.study for s in sentences})
    return f"{name} {len(sentences)} sentences ({abnormal} abnormal) of {reports} reports"


def _label(
    table: Path,
    out: Path,
    model: Path,
    sections: tuple[str, ...],
    text: str,
    only_abnormal: bool,
    raw_cells: bool,
    as_json: bool,
) -> None:
    """Label a table, and print how many sentences are normal by the classifier and by the rule of words."""
    from reportgen_core.sentences.classifiers import load_classifier
    from reportgen_core.sentences.label_table import label_table

    if out.resolve() == table.resolve():
        raise OptionError(f"--out {out} is the table itself; choose another place")
    by = {str(model): load_classifier(model), "words": sentence_classifiers.create("words")}
    summary = label_table(
        table,
        out,
        by,
        sections=sections,
        column=text,
        only_abnormal=only_abnormal,
        raw_cells=raw_cells,
        on_note=print_note,
    )
    _print_summary(summary, as_json)
    if not as_json:
        say(out)


@dataclass(frozen=True, slots=True)
class Labelling:
    """What an engine is to label."""

    table: Path
    out: Path
    model: Path
    sections: tuple[str, ...]
    text: str
    only_abnormal: bool
    as_json: bool


def _label_by_engine(given: Labelling, engine: EngineOptions, rows: int, workers: int) -> bool:
    """Label a table by an engine. Return False if a row could not be read or a part is missing."""
    from reportgen_core.files.digests import sha256_folder
    from reportgen_core.sentences.classifiers import load_classifier

    from ...engines.jobs.abnormal import AbnormalJob, summary_of
    from ...engines.ray_engine import RayEngine
    from ...engines.run import Run, print_totals, run_blocks

    load_classifier(given.model)  # a fault is reported before workers start
    about = {"sections": given.sections, "text": given.text, "only_abnormal": given.only_abnormal}
    run = Run(
        command="data abnormal", table=given.table, out=given.out, rows=rows, options=about, resume=engine.resume,
        model=sha256_folder(given.model), disk_limit=engine.disk_limit, needs="rows",
    )  # fmt: skip
    model = given.model.resolve()
    totals = run_blocks(
        run,
        lambda source: AbnormalJob(source, model, given.sections, given.text, given.only_abnormal),
        RayEngine(engine, workers, given.out),
    )
    _print_summary(summary_of(totals.counts, str(given.model)), given.as_json)
    print_totals(run, totals, on_stdout=not given.as_json)
    return totals.good


def _print_summary(summary: LabelSummary, as_json: bool) -> None:
    if as_json:
        say_json(asdict(summary) | {"shares": {r.name: r.share for r in summary.ratios}})
    else:
        _ratios(summary)


def _ratios(summary: LabelSummary) -> None:
    """Print the share of normal sentences by each labeller, and the number of reports."""
    draw(
        ("by", "normal", "abnormal", "share normal"),
        [(r.name, str(r.normal), str(r.abnormal), f"{r.share:.4f}") for r in summary.ratios],
    )
    say(
        f"{summary.reports} reports, {summary.with_abnormal} with an abnormal sentence, "
        f"{summary.without_text} without text",
        err=True,
    )


@click.command()
@click.argument("table", type=TABLE)
@click.option("--out", required=True, type=FOLDER, help="The folder to write into.")
@click.option("--split", default="train", show_default=True, help="Rows that say another are left out; '' takes all.")
@part("--encoder", "sentence-encoders", "What makes vectors: minilm unless another is named.")
@values("--encoder-option", "encoder_options", "Of the encoder.")
@part("--grouper", "sentence-groupers", "What groups: kmeans-exclusive unless another is named.")
@values("--grouper-option", "options", "Of the grouper, as k=500 or seed=1.")
@click.option(
    "--limit", "-n", "count", default=20, show_default=True, type=click.IntRange(0), help="How many groups are shown."
)
@click.option("--terms-only", is_flag=True, help="Show sizes, terms and common words, no sentence.")
@click.option("--json", "as_json", is_flag=True, help="Print each group as a line of JSON.")
def groups(
    table: Path,
    out: Path,
    split: str,
    encoder: str | None,
    encoder_options: tuple[str, ...],
    grouper: str | None,
    options: tuple[str, ...],
    count: int,
    terms_only: bool,
    as_json: bool,
) -> None:
    """Group abnormal sentences that say the same: K-means on their vectors, divided by exclusive terms.

    \b
    Example: rg data groups abnormal.jsonl --out runs/groups --grouper-option k=500

    TABLE is what rg data abnormal wrote, a table with labelled sentences, or a text file with a sentence a line.
    """
    from reportgen_core.sentences.groups import save_groups
    from reportgen_core.sentences.label_table import abnormal_sentences

    sentences = abnormal_sentences(table, split, print_note)
    vectors = sentence_encoders.create(encoder or "minilm", **parse_options(encoder_options))
    grouped = sentence_groupers.create(grouper or "kmeans-exclusive", **parse_options(options)).group(
        sentences, vectors
    )
    if not grouped.groups:
        raise DataError(f"{table}: its sentences made no group")
    save_groups(out, grouped.groups, grouped.vectors, encoder=grouped.encoder, settings=grouped.settings)
    if as_json:
        for group in grouped.groups:
            say_json(asdict(group))
        return
    _groups(grouped, count, terms_only)
    say(out)


def _groups(grouped: Groups, count: int, terms_only: bool) -> None:
    """Print the sizes of the groups, and the largest groups."""
    from reportgen_core.sentences.groups import common_words

    sizes = sorted(len(g.sentences) for g in grouped.groups)
    inside = Counter(g.cluster for g in grouped.groups)
    say(
        f"{sum(sum(g.counts) for g in grouped.groups)} sentences, {sum(sizes)} different: {len(inside)} clusters, "
        f"{len(grouped.groups)} groups, {len(grouped.groups) / len(inside):.2f} a cluster; "
        f"a group has 1-{sizes[-1]} sentences, half of them at most {sizes[len(sizes) // 2]}"
    )
    shown = [
        (
            str(len(g.sentences)),
            str(sum(g.counts)),
            ", ".join(g.terms) or "–",
            ", ".join(common_words(g)) if terms_only else g.central,
        )
        for g in grouped.groups[:count]
    ]
    draw(("sentences", "in data", "terms", "words" if terms_only else "central"), shown)
