"""Run `rg board`."""

from __future__ import annotations

from pathlib import Path

import click

from ...pages.shared.origin import Origin, today
from ...terminal.echo import say


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FOLDER...")
@click.option(
    "--out", "place", type=click.Path(dir_okay=False, path_type=Path), default=Path("board.html"), show_default=True,
    help="The page to write.",
)  # fmt: skip
def board(folders: tuple[Path, ...], place: Path) -> None:
    """Put evaluations on one page that sorts and filters: a leaderboard.

    \b
    Example: rg board evaluations/* --out board.html

    FOLDER is what rg eval --out wrote. Scores of another protocol, section, split or metric version are refused. A
    folder that cannot be read is a row that says why, and the others stand; the exit code is then 1.
    """
    from reportgen_core.files.atomic import atomic_write
    from reportgen_core.scoring.compared.board import make_board

    from ...pages.board.page import board_page

    made = make_board([folder for folder in folders if folder.resolve() != place.resolve()])  # * may match the page
    place.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(place, board_page(made, place, Origin(date=today())))
    for row in made.broken:
        say(f"rg: {row.folder}: {row.notes[0]}", err=True)
    say(str(place), err=True)
    if made.broken:
        click.get_current_context().exit(1)
