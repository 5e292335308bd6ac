"""Print tables, pairs and the progress of training. Only the bar of a training run on a terminal imports rich."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from reportgen_core.text.printable import printable

from .terminal.echo import MAX_LINE, say, say_json_text, say_text
from .terminal.layout import pair_lines, table_lines, wrapped
from .terminal.progress import Heartbeat

if TYPE_CHECKING:
    from reportgen_core.scoring.score_tables import PrintedTable

MAX_CELL = 1000  # characters of a cell that are printed


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under a header: fitted to the width of a terminal, else as aligned columns that a program can cut."""
    header, rows = _printable(header), [_printable(row) for row in rows]
    if sys.stdout.isatty():
        say_text("\n".join(table_lines(header, rows, terminal_width())))
        return
    widths = [max(len(r[i]) for r in (header, *rows)) for i in range(len(header))]
    line = "  ".join(f"{{:<{width}}}" for width in widths)
    say_text(
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
            say(printed.title)
            table(printed.header, printed.rows)
            say_text("".join(f"{line}\n" for line in _fitted(printed.foot)))
        return
    from reportgen_core.scoring.score_tables import as_latex, as_markdown

    all_tables = list(tables)
    writers = {"markdown": lambda: as_markdown(all_tables), "latex": lambda: as_latex(all_tables), **(others or {})}
    text = writers[format]()
    if format == "json":
        say_json_text(text)
    else:
        say_text(text, nl=False)


def say_prose(text: str) -> None:
    """Print a text of several lines; on a terminal those that are too long are wrapped."""
    say_text("\n".join(_fitted(text.split("\n"), indent="")))


def _fitted(lines: Sequence[str], indent: str = "  ") -> list[str]:
    """Return lines of prose; for a terminal those that are too long are wrapped, with a hanging indent."""
    if not sys.stdout.isatty():
        return list(lines)
    parts = [wrapped(printable(line), terminal_width() - len(indent)) for line in lines]
    return [f"{indent if i else ''}{line}" for part in parts for i, line in enumerate(part)]


def _printable(row: Sequence[str]) -> list[str]:
    return [printable(cell, MAX_CELL) for cell in row]


def terminal_width() -> int:
    """Return the columns of the terminal; COLUMNS sets another number."""
    return shutil.get_terminal_size().columns


def pairs(rows: Sequence[tuple[str, str]]) -> None:
    """Print a line for each pair of a name and a value, the values in one column; a terminal wraps long values."""
    rows = [(printable(name, MAX_CELL), value) for name, value in rows]
    if sys.stdout.isatty():
        say_text("\n".join(pair_lines([(name, printable(value, MAX_LINE)) for name, value in rows], terminal_width())))
        return
    width = max((len(name) for name, _ in rows), default=0)
    for name, value in rows:
        say(f"{name.ljust(width)}  {value}".rstrip())


class TrainingProgress:
    """The progress of a training run on stderr: a bar on a terminal, elsewhere a line for each epoch and now and then.

    `command` is the name of the command in these lines; see `Heartbeat`.
    """

    def __init__(self, shown: bool = True, command: str = "train") -> None:
        self.shown, self.live = shown, shown and sys.stderr.isatty()
        self.bar: Any = None
        self.heartbeat = Heartbeat(command, shown, live=False)

    def note(self, line: str) -> None:
        """Print a line on stderr, if progress is shown."""
        if self.shown:
            say(line, err=True)

    def __enter__(self) -> TrainingProgress:
        self.heartbeat.__enter__()
        return self

    def __exit__(self, *problem: Any) -> None:
        self.heartbeat.__exit__(*problem)
        if self.bar is not None:
            self.bar.stop()

    def __call__(self, record: Mapping[str, Any]) -> None:
        """Show one record of the log."""
        if not self.shown:
            return
        if record["kind"] == "note":
            say(f"note: {record['note']}", err=True)
        elif record["kind"] == "step":
            self._step(record)
        elif record["kind"] == "epoch":
            if self.bar is not None:
                self.bar.stop()
                self.bar = None
            say(_epoch(record), err=True)

    def _step(self, record: Mapping[str, Any]) -> None:
        text = f"epoch {record['epoch'] + 1} of {record['epochs']}, loss {record['loss']:.3f}"
        if not self.live:
            epoch, loss = text.split(", ")
            done = round((record["at"] - record["epoch"]) * record["batches"])
            self.heartbeat.say(f"{epoch}, batch {done} of {record['batches']}, {loss}")
            return
        if self.bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            text_column = TextColumn("{task.description}")
            console = Console(stderr=True)
            self.bar = Progress(
                text_column,
                BarColumn(complete_style="blue", finished_style="green"),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=console,
                transient=True,
            )
            self.task = self.bar.add_task("", total=record["batches"])
            self.bar.start()
        self.bar.update(self.task, advance=1, description=text)


def _epoch(record: Mapping[str, Any]) -> str:
    """Return the line for one epoch: its losses, and whether it is the best so far."""
    parts = [f"epoch {record['epoch'] + 1} of {record['epochs']}", f"training loss {record['train_loss']:.4f}"]
    for key, word in (("val_loss", "validation loss"), ("perplexity", "perplexity")):
        if record.get(key) is not None:
            parts.append(f"{word} {record[key]:.4f}")
    return ", ".join(parts) + (", the best so far" if record.get("best") else "")
