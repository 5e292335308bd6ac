"""Write the page of an evaluation or a comparison: scores, differences, findings, curves, and studies to filter.

The page loads nothing from elsewhere. Texts reach it as JSON and are shown as text, never as markup. Images are small
copies inside the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reportgen_core.annotation.roc import FindingCurves
from reportgen_core.files.atomic import atomic_write
from reportgen_core.scoring import score_tables
from reportgen_core.scoring.compared.parts import part_tests
from reportgen_core.scoring.comparison import Comparison
from reportgen_core.scoring.evaluation import Evaluation
from reportgen_core.scoring.evaluation_folder import SavedEvaluation, load_probabilities
from reportgen_core.scoring.printed.table import ScoreGrid, kind_of, label_of, score_grid
from reportgen_core.scoring.scorecard import ScoreCard, System, describe_card
from reportgen_core.scoring.studies.failed import failure_lines

from ..batch_files import output_name
from . import score_sections as sections
from .curve_sections import MAX_PANELS, SystemCurves, chosen_classes, curve_section
from .shared.frame import escape_text, fill_page
from .shared.origin import Origin
from .study_rows import ImageFolder, ShownStudy, evaluated_studies, saved_studies, study_values

HERE = Path(__file__).parent / "page"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Content:
    """What evaluation and comparison have in common."""

    names: Sequence[str]  # of the systems whose studies are shown
    card: ScoreCard
    grid: ScoreGrid
    warnings: Sequence[str]
    body: str  # sections between the scores and the studies
    foot: Sequence[str]
    studies: Sequence[ShownStudy]
    columns: Sequence[str]  # scores of single studies
    images: Path | None
    origin: Origin


def write_page(evaluation: Evaluation, folder: Path, images: Path | None = None, origin: Origin | None = None) -> None:
    """Write report.html into a folder, and roc-METRIC.svg and reliability-METRIC.svg of a model's probabilities."""
    from .reliability import reliability_svg
    from .roc import roc_picture

    atomic_write(folder / "report.html", page(evaluation, images, origin))
    system, title = _curves_of(evaluation), f"{evaluation.systems[0].name}, {evaluation.card.n} studies"
    for metric, classes in system.probabilities.items():
        names = chosen_classes(classes)[0][:MAX_PANELS]
        curves = tuple(system.curves(metric, names).values())
        if curves:
            scores = FindingCurves(evaluation.card.n, tuple(system.lines), curves)
            atomic_write(
                folder / f"roc-{output_name(metric)}.svg", roc_picture(scores, title, origin=origin or Origin())
            )
    for metric, points in evaluation.curves.items():
        svg = reliability_svg(metric, points, title, error=system.error(metric), origin=origin or Origin())
        atomic_write(folder / f"reliability-{output_name(metric)}.svg", svg)


def page(evaluation: Evaluation, images: Path | None = None, origin: Origin | None = None) -> str:
    """Return the page of one evaluation. Show only images that can be read and lie in the folder `images`, if given."""
    systems = evaluation.systems
    overview, *more = score_tables.tables(evaluation)
    grid = overview.grid or score_grid(systems, score_tables.headlines(systems[0].lines))
    warned = set(evaluation.diversity.warnings)
    warnings = [*evaluation.diversity.warnings, *(f"no {m}: {why}" for m, why in evaluation.problems.items())]
    warnings += [f"no {what}: {why}" for what, why in failure_lines(evaluation.failed)]
    warnings += [n for n in evaluation.notes if n not in warned]
    body = sections.difference_section(systems[0].name, sections.baseline_gaps(systems), grid.columns)
    body += sections.finding_section(systems) + curve_section([_curves_of(evaluation)])
    body += f'<h2 id="more">More tables</h2>{sections.plain_tables(more)}'
    foot = [line for line in overview.foot if not line.startswith("note: ")]
    return _page(
        _Content(
            names=[systems[0].name], card=evaluation.card, grid=grid, warnings=warnings, body=body, foot=foot,
            studies=evaluated_studies(evaluation.studies), columns=_columns(systems[0], evaluation.studies),
            images=images, origin=origin or Origin(),
        )
    )  # fmt: skip


def comparison_page(
    runs: Sequence[SavedEvaluation],
    comparison: Comparison,
    folders: Sequence[Path],
    *,
    images: Path | None = None,
    origin: Origin | None = None,
) -> str:
    """Return the page of several evaluations. Studies are shown if each folder has its studies.jsonl."""
    grid = comparison.table.grid
    assert grid is not None
    gaps = sections.run_gaps(comparison.differences)
    warnings = [f"{name} is unlike {comparison.names[0]}: {', '.join(why)}" for name, why in comparison.unlike.items()]
    warnings += [comparison.caution] if comparison.caution else []
    foot = [*comparison.table.foot, *(comparison.tests.foot if comparison.tests else ())]
    systems = [run.systems[0] for run in runs]
    named = [_renamed(s, name) for s, name in zip(systems, comparison.names, strict=True)]
    body = sections.difference_section(comparison.names[0], gaps, grid.columns)
    body += sections.finding_section([*named, *(s for s in runs[0].systems[1:] if kind_of(s) != "oracle")])
    body += curve_section([_saved_curves(r, n, f) for r, n, f in zip(runs, comparison.names, folders, strict=True)])
    if parts := part_tests(runs, comparison.differences):
        body += f'<h2 id="parts">Score by score</h2>{sections.plain_tables(parts)}'
    studies = saved_studies(folders)
    scored = {name for s in studies for w in s.written for name in w.scores}
    columns = [c.name for c in grid.columns if c.name in scored]
    return _page(
        _Content(
            names=comparison.names, card=runs[0].card, grid=grid, warnings=warnings, body=body, foot=foot,
            studies=studies, columns=columns, images=images, origin=origin or Origin(),
        )
    )  # fmt: skip


def _curves_of(evaluation: Evaluation) -> SystemCurves:
    first, card = evaluation.systems[0], evaluation.card
    return SystemCurves(
        name=first.name, probabilities=evaluation.probabilities, reliability=evaluation.curves, lines=first.lines,
        units=evaluation.units, resamples=card.resamples, seed=card.seed,
    )  # fmt: skip


def _saved_curves(run: SavedEvaluation, name: str, folder: Path) -> SystemCurves:
    probabilities = load_probabilities(folder, run.studies)
    return SystemCurves(
        name=name, probabilities=probabilities, reliability=run.reliability, lines=run.systems[0].lines,
        units=run.units, resamples=run.card.resamples, seed=run.card.seed,
    )  # fmt: skip


def _renamed(system: System, name: str) -> System:
    return System(name, system.lines, system.subsets, system.note, system.size, system.differences)


def _columns(system: System, studies: Sequence[object]) -> list[str]:
    scored = {name for s in studies for name in getattr(s, "scores", ())}
    return [line.name for line in score_tables.headlines(system.lines) if line.name in scored]


def _page(content: _Content) -> str:
    """Return the whole page: title, chips, warnings, scores, sections, studies, and how the numbers were computed."""
    title = heading(content.names, content.card)
    values = {
        "systems": list(content.names),
        "columns": list(content.columns),
        "labels": {name: label_of(name) for name in content.columns},
        "studies": study_values(
            content.studies, content.columns, None if content.images is None else ImageFolder(content.images)
        ),
        "citation": citation(title, content),
    }
    foot = "".join(f"<p>{escape_text(line)}</p>" for line in content.foot)
    caption = "Scores with 95 % intervals (small); the best of a column is bold, oracles not counted."
    body = [
        chips(content.card),
        _banner(content.warnings),
        f'<h2 id="table">Scores</h2>{sections.score_table(content.grid, caption)}',
        content.body,
        _read("studies.html") if content.studies else "",
        f'<footer class="foot"><h2>How the numbers were computed</h2>{foot}</footer>',
    ]
    return fill_page(
        "\n".join(body),
        title=title,
        origin=content.origin,
        style=_read("page.css"),
        script=_read("page.js"),
        data=values,
    )


def heading(names: Sequence[str], card: ScoreCard) -> str:
    """Return the title in words: "a on the test split of phantom, 24 studies"."""
    who = names[0] if len(names) == 1 else " and ".join(names) if len(names) == 2 else f"{len(names)} systems"
    split = f"the {card.split} split" if card.split else "all studies"
    where = f" on {split} of {card.dataset}" if card.dataset else f" on {split}" if card.split else ""
    part = f" of {card.of:,}" if card.partial else ""
    return f"{who}{where}, {card.n:,}{part} {'study' if card.n == 1 else 'studies'}"


def chips(card: ScoreCard) -> str:
    """Return what a reader must know of the scores as chips, and the button that copies a citation."""
    facts = [f"protocol {card.protocol}", " then ".join(card.sections) or "section not stated"]
    facts += [f"split hash {card.split_hash}", f"n = {card.n}" + (f" of {card.of}, partial" if card.partial else "")]
    facts += [f"{card.patients} patients"] if card.patients else []
    facts += [f"seed {card.seed}", f"{card.resamples:,} resamples" if card.resamples else "no intervals"]
    items = "".join(f'<li class="chip">{escape_text(fact)}</li>' for fact in facts)
    button = '<li class="no-print"><button type="button" id="cite">Copy a citation</button></li>'
    return f'<ul class="chips" aria-label="How the scores were computed">{items}{button}</ul>'


def citation(title: str, content: _Content) -> str:
    """Return the text that the button copies: what was scored, by what, and how."""
    return f"{title}. {'; '.join(content.origin.parts())}. Scores: {describe_card(content.card)}."


def _banner(warnings: Sequence[str]) -> str:
    if not warnings:
        return ""
    items = "".join(f"<li>{escape_text(w)}</li>" for w in warnings)
    return f'<div class="notice" role="note"><strong>Read the scores with care</strong><ul>{items}</ul></div>'


def _read(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")
