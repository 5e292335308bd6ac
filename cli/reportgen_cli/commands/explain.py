"""Run `rg explain`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..options import FOLDER, all_pictures_option, device_option, images_and_model, picture_options
from ..report_options import context_options
from .report import report


@click.command()
@images_and_model
@context_options
@click.option("--out", type=FOLDER, default="explained", show_default=True, help="A page a study, and its pictures.")
@all_pictures_option()
@picture_options
@device_option()
@click.pass_context
def explain(ctx: click.Context, /, out: Path, **options: Any) -> None:
    """Show where a model looks: for each study a page and a picture, on request a picture of each sentence and word.

    \b
    Example: rg explain chest.png --model runs/best

    OUT/STUDY.html works offline. It is what rg report --explain OUT writes, too.
    """
    ctx.invoke(report, explain=str(out), **options)
