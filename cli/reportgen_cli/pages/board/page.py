"""Write a board as HTML: a table of systems and baselines that sorts and filters, with a link to each row's own page.

The table is whole without scripts. The page loads nothing; its links are relative, so that it moves with its folders.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from reportgen_core.scoring.compared.board import Board, BoardRow
from reportgen_core.scoring.printed.table import ScoreCell, ScoreColumn

from ..evaluation_page import heading
from ..score_sections import breakable, column_head
from ..shared.frame import escape_text, fill_page
from ..shared.origin import Origin

HERE = Path(__file__).parent
PAGE = "report.html"  # of an evaluation's folder
KINDS = {"system": "systems", "baseline": "baselines", "oracle": "oracles", "broken": "broken folders"}


def board_page(board: Board, place: Path, origin: Origin) -> str:
    """Return the page of a board that is to be written to the file `place`."""
    systems = [row.name for row in board.rows if row.kind == "system"]
    title = heading(systems, board.card)
    body = "\n".join(
        [
            _facts(board),
            _warnings(board.broken),
            _tools(board),
            _table(board, place.parent),
            f'<footer class="foot"><h2>How the numbers were computed</h2>{_foot(board)}</footer>',
        ]
    )
    return fill_page(
        body,
        title=title,
        origin=origin,
        style=(HERE.parent / "page" / "page.css").read_text("utf-8") + (HERE / "board.css").read_text("utf-8"),
        script=(HERE / "board.js").read_text("utf-8"),
        data={"columns": [{"label": c.label, "way": _first_way(c)} for c in board.columns]},
    )


def _first_way(column: ScoreColumn) -> str:
    """Return the way in which a column is sorted first: the best on top."""
    return "ascending" if column.arrow == "↓" else "descending"


def _facts(board: Board) -> str:
    card = board.card
    facts = [f"protocol {card.protocol}", " then ".join(card.sections) or "section not stated"]
    facts += [
        f"split hash {card.split_hash}",
        f"n = {card.n:,}" + (f" of {card.of:,}, partial" if card.partial else ""),
    ]
    items = "".join(f'<li class="chip">{escape_text(fact)}</li>' for fact in facts)
    return f'<ul class="chips" aria-label="How the scores were computed">{items}</ul>'


def _warnings(broken: Sequence[BoardRow]) -> str:
    if not broken:
        return ""
    items = "".join(f"<li>{escape_text(row.name)}: {escape_text(row.notes[0])}</li>" for row in broken)
    title = "One folder cannot be read" if len(broken) == 1 else f"{len(broken)} folders cannot be read"
    return f'<div class="notice" role="note"><strong>{title}</strong><ul>{items}</ul></div>'


def _tools(board: Board) -> str:
    present = dict.fromkeys(row.kind for row in board.rows)
    kinds = "".join(f'<option value="{kind}">{KINDS[kind]}</option>' for kind in present)
    columns = "".join(f'<option value="{i}">{escape_text(c.label)}</option>' for i, c in enumerate(board.columns))
    return (
        '<div class="tools no-print" id="tools" hidden>'
        '<label>text <input id="search" type="search" autocomplete="off"></label>'
        f'<label>rows <select id="kind"><option value="">all</option>{kinds}</select></label>'
        '<label>sort by <select id="sort"><option value="">order of the folders</option>'
        f'<option value="name">name</option>{columns}</select></label>'
        '<button id="way" type="button" aria-pressed="false">descending</button></div>'
        '<p id="count" class="dim" role="status"></p>'
    )


def _table(board: Board, base: Path) -> str:
    heads = "".join(
        f'<th scope="col" data-sort="{i}"><span class="head">{column_head(c)}</span></th>'
        for i, c in enumerate(board.columns)
    )
    spans = [_span([row.cells[i] for row in board.rows]) for i in range(len(board.columns))]
    rows = "".join(_row(number, row, base, spans) for number, row in enumerate(board.rows))
    about = (
        "Scores with 95 % intervals, of baselines that draw with ranges. The best value of a column is bold, oracles "
        "not counted. The bar shows value and interval between the least and the greatest number of its column."
    )
    return (
        '<div class="scroll tall" id="board"><table class="scores board">'
        '<caption class="aside">Scores of systems and baselines</caption>'
        f'<thead><tr><th scope="col" data-sort="name"><span class="head">system</span></th>{heads}</tr></thead>'
        f'<tbody id="body">{rows}</tbody></table></div><p class="dim">{about}</p>'
    )


def _row(number: int, row: BoardRow, base: Path, spans: Sequence[tuple[float, float]]) -> str:
    link = _link(row, base)
    name = f'<a href="{escape_text(link)}">{breakable(row.name)}</a>' if link else breakable(row.name)
    mark = "" if row.kind == "system" else f'<span class="chip">{row.kind}</span>'
    model = f'<span class="about">{escape_text(row.model)}</span>' if row.model and row.model != row.name else ""
    notes = _notes(row)
    cells = "".join(
        f"<td{_value(cell)}>{_cell(cell, row.spread, span)}</td>" for cell, span in zip(row.cells, spans, strict=True)
    )
    return (
        f'<tr class="{row.kind}" data-kind="{row.kind}" data-number="{number}">'
        f'<th scope="row"><span class="name">{name}</span>{mark}{model}{notes}</th>{cells}</tr>'
    )


def _notes(row: BoardRow) -> str:
    """Return what a reader must know of a row: what is wrong with a folder at once, and the rest on demand."""
    if not row.notes:
        return ""
    if row.kind == "broken":
        return f'<span class="about">{escape_text(row.notes[0])}</span>'
    items = "".join(f"<li>{escape_text(note)}</li>" for note in row.notes)
    return f'<details><summary aria-label="notes on {escape_text(row.name)}">notes</summary><ul>{items}</ul></details>'


def _link(row: BoardRow, base: Path) -> str:
    """Return the relative address of the page of a row; "" if there is none. No name can give it a scheme."""
    page = row.folder / PAGE
    if row.kind == "broken" or not page.is_file():
        return ""
    path = os.path.relpath(page.resolve(), base.resolve()).replace(os.sep, "/")
    return "./" + quote(os.fsencode(path))


def _value(cell: ScoreCell) -> str:
    return "" if cell.value is None else f' data-value="{cell.value!r}"'


def _cell(cell: ScoreCell, spread: str, span: tuple[float, float]) -> str:
    if cell.value is None:
        return '<span class="dim">–</span>'
    shown = f"{cell.value:.3f}" + ("*" if cell.noted else "")
    shown = f'<strong>{shown}<span class="aside"> best</span></strong>' if cell.best else shown
    if cell.low is None or cell.high is None:
        return shown + _bar(cell.value, cell.value, cell.value, span)
    ends = f'<small><span class="aside">{spread} interval </span>{_interval(cell.low, cell.high)}</small>'
    return shown + ends + _bar(cell.value, cell.low, cell.high, span)


def _interval(low: float, high: float) -> str:
    return f"{low:.3f}–{high:.3f}" if low >= 0 else f"{low:+.3f} to {high:+.3f}".replace("-", "−")


def _span(cells: Sequence[ScoreCell]) -> tuple[float, float]:
    """Return the least and the greatest number of a column, with its intervals."""
    numbers = [x for c in cells for x in (c.value, c.low, c.high) if x is not None and math.isfinite(x)]
    return (min(numbers), max(numbers)) if numbers else (0.0, 0.0)


def _bar(value: float, low: float, high: float, span: tuple[float, float]) -> str:
    """Return value and interval on a line that reaches from the least to the greatest number of the column."""
    width = span[1] - span[0]
    if width <= 0:
        return ""
    at, left, right = (100 * (x - span[0]) / width for x in (value, low, high))
    line = f"left:{left:.1f}%;width:{max(right - left, 0):.1f}%"
    return (
        f'<span class="bar" aria-hidden="true"><i class="line" style="{line}"></i>'
        f'<i class="dot" style="left:{at:.1f}%"></i></span>'
    )


def _foot(board: Board) -> str:
    return "".join(f"<p>{escape_text(line)}</p>" for line in board.foot)
