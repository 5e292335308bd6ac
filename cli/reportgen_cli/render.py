"""Draws tables. The one module that imports rich, and only where somebody looks at a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from reportgen_core.scoring.score_tables import PrintedTable


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under a header: drawn on a terminal, else as plain aligned columns that a program can cut."""
    if sys.stdout.isatty():
        _drawn(header, rows)
        return
    widths = [max(len(r[i]) for r in (header, *rows)) for i in range(len(header))]
    line = "  ".join(f"{{:<{width}}}" for width in widths)
    click.echo("\n".join([line.format(*row).rstrip() for row in (header, *rows)]))  # at once: a line each is slow


def print_tables(
    tables: Iterable[PrintedTable], format: str = "table", others: Mapping[str, Callable[[], str]] | None = None
) -> None:
    """Print tables in a format: `table` draws them one below the other, `markdown` and `latex` write their source.

    `others` gives the text of each further format, as of json and csv, when it is called.
    """
    if format == "table":
        for one in tables:
            click.echo(one.title)
            table(one.header, one.rows)
            click.echo("".join(f"{line}\n" for line in one.foot))
        return
    from reportgen_core.scoring.score_tables import as_latex, as_markdown

    shown = list(tables)
    writers = {"markdown": lambda: as_markdown(shown), "latex": lambda: as_latex(shown), **(others or {})}
    click.echo(writers[format](), nl=False)


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


class Training:
    """Shows the records of a training run on stderr: a bar on a terminal, elsewhere a line an epoch."""

    def __init__(self, shown: bool = True) -> None:
        self.shown, self.live = shown, shown and sys.stderr.isatty()
        self.bar: Any = None

    def __enter__(self) -> Training:
        return self

    def __exit__(self, *problem: object) -> None:
        if self.bar is not None:
            self.bar.stop()

    def __call__(self, record: Mapping[str, Any]) -> None:
        """Take one record of the log."""
        if not self.shown:
            return
        if record["kind"] == "step":
            self._step(record)
        elif record["kind"] == "epoch":
            if self.bar is not None:
                self.bar.stop()
                self.bar = None
            click.echo(_epoch(record), err=True)

    def _step(self, record: Mapping[str, Any]) -> None:
        if not self.live:
            return
        if self.bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            said = TextColumn("{task.description}")
            console = Console(stderr=True)
            self.bar = Progress(
                said, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console, transient=True
            )
            self.task = self.bar.add_task("", total=record["batches"])
            self.bar.start()
        text = f"epoch {record['epoch'] + 1} of {record['epochs']}, loss {record['loss']:.3f}"
        self.bar.update(self.task, advance=1, description=text)


def _epoch(record: Mapping[str, Any]) -> str:
    """One line on an epoch."""
    parts = [f"epoch {record['epoch'] + 1} of {record['epochs']}", f"training loss {record['train_loss']:.4f}"]
    for key, word in (("val_loss", "validation loss"), ("perplexity", "perplexity")):
        if record.get(key) is not None:
            parts.append(f"{word} {record[key]:.4f}")
    return ", ".join(parts) + (", the best so far" if record.get("best") else "")
