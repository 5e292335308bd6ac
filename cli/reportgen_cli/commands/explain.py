"""Run `rg explain`."""

from __future__ import annotations

from pathlib import Path

import click

from ..options import FOLDER, device_option, images_and_model
from .report import report


@click.command()
@images_and_model
@click.option("--out", type=FOLDER, default="explained", show_default=True, help="A page a study, and its pictures.")
@device_option()
@click.pass_context
def explain(
    ctx: click.Context, images: tuple[Path, ...], model: str | None, as_study: bool, beams: int, out: Path, device: str
) -> None:
    """Show where a model looks: for each study a page, a picture of each sentence and word, and the numbers.

    \b
    Example: rg explain chest.png --model runs/best

    OUT/STUDY.html works offline. It is what rg report --explain OUT writes, too.
    """
    ctx.invoke(report, images=images, model=model, as_study=as_study, beams=beams, explain=str(out), device=device)
    click.echo(f"pages in {out}", err=True)
