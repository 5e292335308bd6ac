"""Write tables as source text: GitHub's Markdown, and LaTeX with booktabs.

Scores have three decimals with the leading zero, intervals are in the cell with an en dash, and the best value of a
column is bold. Systems, baselines and oracles are divided.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from .table import KINDS, PrintedTable, ScoreCell, ScoreGrid, label_of

PREAMBLE = "% needs \\usepackage[T1]{fontenc}, \\usepackage{booktabs} and \\usepackage{graphicx}\n"
OTHER_SIGNS = "% has signs that pdflatex does not know: compile it with xelatex or lualatex and a font that has them\n"


def as_markdown(shown: Iterable[PrintedTable]) -> str:
    """Return tables in GitHub's Markdown, each with its foot."""
    parts = []
    for table in shown:
        header, rows = _markdown_grid(table.grid) if table.grid else _markdown_cells(table)
        ruler = "|---|" + "---:|" * (len(header) - 1)
        lines = ["| " + " | ".join(row) + " |" for row in (header, *rows)]
        parts.append("\n".join([f"### {table.title}", "", lines[0], ruler, *lines[1:]]))
        if table.foot:
            parts.append("\n".join(f"- {_bars(line)}" for line in table.foot))
    return "\n\n".join(parts) + "\n"


def _markdown_cells(table: PrintedTable) -> tuple[list[str], list[list[str]]]:
    rows = [[_bars(_dashed(c.strip())) for c in row] for row in table.rows]
    return [_bars(label_of(c)) for c in table.header], rows


def _markdown_grid(grid: ScoreGrid) -> tuple[list[str], list[list[str]]]:
    header = ["", *(_bars(f"{c.label} {c.arrow}".strip()) for c in grid.columns)]
    rows: list[list[str]] = []
    for kind, members in grid.groups():
        if len(grid.groups()) > 1:
            rows.append([f"*{KINDS[kind]}*", *("" for _ in grid.columns)])
        rows += [[_bars(row.name), *(_markdown_cell(cell) for cell in row.cells)] for row in members]
    return header, rows


def _markdown_cell(cell: ScoreCell) -> str:
    value = _value(cell) + ("\\*" if cell.noted else "")
    value = f"**{value}**" if cell.best else value
    return f"{value} ({_ends(cell)})" if cell.low is not None else value


def _bars(cell: str) -> str:
    return cell.replace("|", "\\|")


def as_latex(shown: Iterable[PrintedTable]) -> str:
    """Return table environments with a short caption, a label, booktabs rules and the notes below."""
    names: dict[str, int] = {}
    parts = [_latex_table(table, _label(table.title, names)) for table in shown]
    text = "\n\n".join(parts) + "\n"
    return PREAMBLE + (OTHER_SIGNS if any(ord(c) > 0xFF for c in text) else "") + text


def _label(title: str, names: dict[str, int]) -> str:
    """Return a label that no other table has, made of the title."""
    slug = "-".join(re.findall(r"[a-z0-9]+", title.lower())) or "table"
    names[slug] = names.get(slug, 0) + 1
    return slug if names[slug] == 1 else f"{slug}-{names[slug]}"


def _latex_table(table: PrintedTable, label: str) -> str:
    header, groups = _latex_grid(table.grid) if table.grid else _latex_cells(table)
    lines = [r"\begin{table}", r"\centering", rf"\caption{{{_tex(table.title)}}}", rf"\label{{tab:{label}}}", r"\small"]
    lines.append(r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%")
    lines += [rf"\begin{{tabular}}{{l{'r' * (len(header) - 1)}}}", r"\toprule", " & ".join(header) + r" \\"]
    for rows in groups:
        lines += [r"\midrule", *(" & ".join(row) + r" \\" for row in rows)]
    lines += [r"\bottomrule", r"\end{tabular}}"]
    if table.foot:
        lines += [r"\par\smallskip", r"\begin{minipage}{\linewidth}\footnotesize\raggedright"]
        lines += [_tex(line) + r"\par" for line in table.foot]
        lines.append(r"\end{minipage}")
    return "\n".join([*lines, r"\end{table}"])


def _latex_cells(table: PrintedTable) -> tuple[list[str], list[list[list[str]]]]:
    rows = [[_tex(_dashed(c.strip())) for c in row] for row in table.rows]
    return [_tex(label_of(c)) for c in table.header], [rows]


def _latex_grid(grid: ScoreGrid) -> tuple[list[str], list[list[list[str]]]]:
    header = ["", *(_tex(f"{c.label} {c.arrow}".strip()) for c in grid.columns)]
    groups = [
        [[_tex(row.name), *(_latex_cell(cell) for cell in row.cells)] for row in members]
        for _, members in grid.groups()
    ]
    return header, groups


def _latex_cell(cell: ScoreCell) -> str:
    value = _tex(_value(cell)) + ("*" if cell.noted else "")
    value = rf"\textbf{{{value}}}" if cell.best else value
    return rf"\shortstack{{{value}\\{{\scriptsize {_tex(_ends(cell))}}}}}" if cell.low is not None else value


def _value(cell: ScoreCell) -> str:
    return "" if cell.value is None else f"{cell.value:.3f}"


def _ends(cell: ScoreCell) -> str:
    """Return the ends of an interval; between numbers with a sign stands a word, because a dash would look like one."""
    between = " to " if cell.low is not None and cell.low < 0 else "–"
    return f"{cell.low:.3f}{between}{cell.high:.3f}"


def _dashed(cell: str) -> str:
    """Return a cell with leading zeros, minus signs and dashes: .134-.161 is 0.134–0.161, -1..+2 is −1 to +2."""
    if re.search(r"[^\d.<+-]", cell):  # words
        return re.sub(r"(?<=\S) - (?=\S)", " − ", cell)
    if signed := re.fullmatch(r"([+-][\d.]+)\.\.([+-][\d.]+)", cell):
        return f"{signed[1]} to {signed[2]}".replace("-", "−")
    if ends := re.fullmatch(r"(-?\d*\.\d+)-(-?\d*\.\d+)", cell):
        return _ends(ScoreCell(None, float(ends[1]), float(ends[2])))
    return re.sub(r"(?<!\d)\.(?=\d)", "0.", cell).replace("-", "−")


_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "↑": r"$\uparrow$", "↓": r"$\downarrow$", "–": "--",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", "†": r"$\dagger$", "…": r"\ldots{}", "−": "$-$",
    "’": "'", "“": "``", "”": "''", "≥": r"$\geq$", "≤": r"$\leq$", "×": r"$\times$", "—": "---", "±": r"$\pm$",
}  # fmt: skip


def _tex(text: str) -> str:
    return "".join(_LATEX.get(c, c) for c in text)
