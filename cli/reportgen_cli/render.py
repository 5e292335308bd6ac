"""Print tables and the progress of training. No other module imports rich, and it is imported only for a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from reportgen_core.scoring.score_tables import PrintedTable


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under a header: with lines on a terminal, else as plain aligned columns that a program can cut."""
    if sys.stdout.isatty():
        _draw(header, rows)
        return
    widths = [max(len(r[i]) for r in (header, *rows)) for i in range(len(header))]
    line = "  ".join(f"{{:<{width}}}" for width in widths)
    click.echo(
        "\n".join([line.format(*row).rstrip() for row in (header, *rows)])
    )  # in one call: a call for each line is slow


def print_tables(
    tables: Iterable[PrintedTable], format: str = "table", others: Mapping[str, Callable[[], str]] | None = None
) -> None:
    """Print tables in a format: `table` prints one below the other, `markdown` and `latex` print source text.

    `others` has a function for each further format, for example json and csv, that returns the text to print.
    """
    if format == "table":
        for printed in tables:
            click.echo(printed.title)
            table(printed.header, printed.rows)
            click.echo("".join(f"{line}\n" for line in printed.foot))
        return
    from reportgen_core.scoring.score_tables import as_latex, as_markdown

    all_tables = list(tables)
    writers = {"markdown": lambda: as_markdown(all_tables), "latex": lambda: as_latex(all_tables), **(others or {})}
    click.echo(writers[format](), nl=False)


def _draw(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    rich_table = Table(*header, box=box.SIMPLE_HEAD)
    for row in rows:
        rich_table.add_row(*(cell.replace("[", "\\[") for cell in row))
    Console().print(rich_table)


def pairs(rows: Sequence[tuple[str, str]]) -> None:
    """Print pairs of a name and a value, one pair a line, the values in one column."""
    width = max((len(name) for name, _ in rows), default=0)
    for name, value in rows:
        click.echo(f"{name.ljust(width)}  {value}".rstrip())


class TrainingProgress:
    """The progress of a training run on stderr: a bar on a terminal, elsewhere one line for each epoch."""

    def __init__(self, shown: bool = True) -> None:
        self.shown, self.live = shown, shown and sys.stderr.isatty()
        self.bar: Any = None

    def __enter__(self) -> TrainingProgress:
        return self

    def __exit__(self, *problem: object) -> None:
        if self.bar is not None:
            self.bar.stop()

    def __call__(self, record: Mapping[str, Any]) -> None:
        """Show one record of the log."""
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

            text_column = TextColumn("{task.description}")
            console = Console(stderr=True)
            self.bar = Progress(
                text_column, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console, transient=True
            )
            self.task = self.bar.add_task("", total=record["batches"])
            self.bar.start()
        text = f"epoch {record['epoch'] + 1} of {record['epochs']}, loss {record['loss']:.3f}"
        self.bar.update(self.task, advance=1, description=text)


def _epoch(record: Mapping[str, Any]) -> str:
    """Return the line for one epoch: its losses, and whether it is the best so far."""
    parts = [f"epoch {record['epoch'] + 1} of {record['epochs']}", f"training loss {record['train_loss']:.4f}"]
    for key, word in (("val_loss", "validation loss"), ("perplexity", "perplexity")):
        if record.get(key) is not None:
            parts.append(f"{word} {record[key]:.4f}")
    return ", ".join(parts) + (", the best so far" if record.get("best") else "")
