"""Write the page of an evaluation or a comparison: scores, differences, findings, curves, and studies to filter.

The page loads nothing from elsewhere. Texts reach it as JSON and are shown as text, never as markup. Images are small
copies inside the page.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reportgen_core.scoring import score_tables
from reportgen_core.scoring.comparison import Comparison
from reportgen_core.scoring.evaluation import Evaluation
from reportgen_core.scoring.evaluation_folder import SavedEvaluation
from reportgen_core.scoring.printed.table import ScoreGrid, kind_of, label_of, score_grid
from reportgen_core.scoring.scorecard import ScoreCard, System, describe_card

from . import score_sections as sections
from .shared.frame import escape_text, fill_page
from .shared.origin import Origin
from .study_rows import ImageFolder, ShownStudy, evaluated_studies, saved_studies, study_values

HERE = Path(__file__).parent / "page"


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture inside the page: its title, its SVG and a sentence that says what it shows."""

    title: str
    svg: bytes
    says: str


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


def page(
    evaluation: Evaluation, images: Path | None = None, origin: Origin | None = None, pictures: Sequence[Picture] = ()
) -> str:
    """Return the page of one evaluation. Show only images that can be read and lie in the folder `images`, if given."""
    systems = evaluation.systems
    overview, *more = score_tables.tables(evaluation)
    grid = overview.grid or score_grid(systems, score_tables.headlines(systems[0].lines))
    warned = set(evaluation.diversity.warnings)
    warnings = [*evaluation.diversity.warnings, *(f"no {m}: {why}" for m, why in evaluation.problems.items())]
    warnings += [n for n in evaluation.notes if n not in warned]
    body = sections.difference_section(systems[0].name, sections.baseline_gaps(systems), grid.columns)
    body += sections.finding_section(systems) + _pictures(pictures)
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
    foot = [*comparison.table.foot, *(comparison.tests.foot if comparison.tests else ())]
    systems = [run.systems[0] for run in runs]
    named = [_renamed(s, name) for s, name in zip(systems, comparison.names, strict=True)]
    body = sections.difference_section(comparison.names[0], gaps, grid.columns)
    body += sections.finding_section([*named, *(s for s in runs[0].systems[1:] if kind_of(s) != "oracle")])
    studies = saved_studies(folders)
    scored = {name for s in studies for w in s.written for name in w.scores}
    columns = [c.name for c in grid.columns if c.name in scored]
    return _page(
        _Content(
            names=comparison.names, card=runs[0].card, grid=grid, warnings=warnings, body=body, foot=foot,
            studies=studies, columns=columns, images=images, origin=origin or Origin(),
        )
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


def _pictures(pictures: Sequence[Picture]) -> str:
    if not pictures:
        return ""
    return f'<h2 id="curves">Curves</h2><div class="curves">{"".join(map(_figure, pictures))}</div>'


def _figure(picture: Picture) -> str:
    address = "data:image/svg+xml;base64," + base64.b64encode(picture.svg).decode("ascii")
    caption = f"<figcaption>{escape_text(picture.title)}</figcaption>"
    return f'<figure><img src="{address}" alt="{escape_text(picture.says)}">{caption}</figure>'


def _read(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")
