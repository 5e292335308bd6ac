"""Run `rg demo`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import click
from reportgen_zoo import demo as packaged

from reportgen_core import GenerationSettings

from ...formats.values import as_text, as_values
from ...options import FOLDER
from ...terminal.echo import say, say_text
from ..report import load_model


@click.command()
@click.option("--out", type=FOLDER, default="demo-out", show_default=True, help="Where the report and picture go.")
def demo(out: Path) -> None:
    """Write a report for a real radiograph that comes with reportgen, by the model that ships inside.

    \b
    Example: rg demo --out demo-out

    OUT/report.txt is the report, OUT/report.json the same with probabilities and attention, OUT/attention.png where the
    model looked, OUT/chest.jpg the radiograph. A demonstration: not for clinical use.
    """
    from ...pages.pictures import explain, save_picture
    from ...pages.shared.origin import model_origin

    image = packaged.image()
    model = load_model(None, "cpu", "auto")
    report = model.report([image], settings=GenerationSettings(attention=True))[0]
    out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(image, out / image.name)
    (out / "report.txt").write_text(report.text + "\n", encoding="utf-8")
    values = json.dumps(as_values(report, attention=True), indent=1, ensure_ascii=False)
    (out / "report.json").write_text(values + "\n", encoding="utf-8")
    grid = model.grid
    assert grid is not None  # the model that ships inside has a map
    origin = model_origin(packaged.MODEL)
    save_picture(explain(report, grid, origin), out / "attention.png", origin)
    say_text(as_text(report, headed=False))
    say(f"radiograph: {packaged.CREDIT}", err=True)
    say(f"wrote {out}/report.txt, report.json, attention.png and {image.name}", err=True)
    for sentence in packaged.trust():
        say(sentence, err=True)
