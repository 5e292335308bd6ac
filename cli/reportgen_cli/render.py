"""Draws tables. The one module that imports rich, and only where somebody looks at a terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under a header: drawn on a terminal, else as plain aligned columns that a program can cut."""
    if sys.stdout.isatty():
        _drawn(header, rows)
        return
    widths = [max(len(r[i]) for r in (header, *rows)) for i in range(len(header))]
    for row in (header, *rows):
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _drawn(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    drawn = Table(*header, box=box.SIMPLE_HEAD)
    for row in rows:
        drawn.add_row(*(cell.replace("[", "\\[") for cell in row))
    Console().print(drawn)


def pairs(rows: Sequence[tuple[str, str]]) -> None:
    """Print what belongs to what, a line each, the values under each other."""
    width = max((len(name) for name, _ in rows), default=0)
    for name, value in rows:
        click.echo(f"{name.ljust(width)}  {value}".rstrip())
