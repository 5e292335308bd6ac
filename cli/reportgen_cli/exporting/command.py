"""Run `rg export`: write a model as files that ONNX Runtime or OpenVINO execute without reportgen."""

from __future__ import annotations

from pathlib import Path

import click

from ..options import FOLDER
from ..terminal.echo import say
from . import MAX_CHANGED


@click.command()
@click.argument("model")
@click.option("--to", required=True, type=click.Choice(("onnx", "openvino")), help="The runtime.")
@click.option("--out", required=True, type=FOLDER, help="The folder to write.")
@click.option("--int8", is_flag=True, help="An encoder of 8 bits, calibrated on the images of --images.")
@click.option(
    "--images",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="Images, or folders of them: for --int8, and the first one for the probe. May be repeated.",
)
@click.option(
    "--max-changed", default=MAX_CHANGED, show_default=True, type=click.FloatRange(0, 100), metavar="PERCENT",
    help="With --int8: refuse if more of the images get other findings.",
)  # fmt: skip
def export(model: str, to: str, out: Path, int8: bool, images: tuple[Path, ...], max_changed: float) -> None:
    """Write MODEL as files that run without reportgen, with a script and a probe.

    \b
    Example: rg export resnet10t-soft-att.phantom_v3 --to onnx --out exported
    Example: rg export soft-att-run --to openvino --out exported --int8 --images chests/

    The files are compared with torch on the probe; the difference goes to stderr.
    Then: python exported/run.py chest.png
    """
    from reportgen_core.data.study_files import group_files
    from reportgen_core.models.loading import load_model

    from .folder import export_model

    paths = [Path(view.path) for study in group_files(images) for view in study.views] if images else []
    written = export_model(load_model(model), model, out, to, paths, int8=int8, max_changed=max_changed)
    if written.cost is not None:
        say(written.cost.line(), err=True)
    words = "the same words" if written.same_words else "other words"
    say(
        f"{out}: {written.size / 2**20:.1f} MiB; on the probe logits differ from torch's by {written.difference:.1e} "
        f"at most, {words}",
        err=True,
    )
