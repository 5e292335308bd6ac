"""Measure exported models next to torch: images a second through the encoder, and what 8 bits cost in F1 of findings.

    python -m benchmarks.exported --studies 200
    python -m benchmarks.exported --studies 0 --encoder densenet121

The speed is of the encoder graph of `rg export`, batch 8, all runtimes in turns: of the shipped model
`resnet10t-soft-att.phantom_v3`, or with `--encoder` of another encoder at 224 pixels, random weights, and `soft-att`.
The cost is of the shipped model: F1 of its findings by `chexpert-rules` against the reports of studies of the phantom
that are drawn here with a seed of their own. 64 more studies calibrate the encoders of 8 bits.
"""

from __future__ import annotations

import argparse
import json
import runpy
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from reportgen_cli.exporting.folder import export_model
from reportgen_cli.exporting.graphs import EncoderGraph
from reportgen_cli.exporting.runtimes import ExportedGraph, quantise, to_openvino

from benchmarks.measure import Row, Run, counted, emit, in_turns, per_second, ratio
from reportgen_core import Model, Study, compose, load
from reportgen_core.data.images import prepare_file
from reportgen_core.models import autocast_for, to_channels_last
from reportgen_core.registries import datasets, metrics
from reportgen_core.text.spec import TextSpec, Vocabulary

SHIPPED, IMAGES, CALIBRATION, SEED = "resnet10t-soft-att.phantom_v3", 8, 64, 20_241
WAYS = {
    "onnxruntime, fp32": ("onnx", False), "onnxruntime, encoder of 8 bits": ("onnx", True),
    "openvino, fp32": ("openvino", False), "openvino, encoder of 8 bits": ("openvino", True),
}  # fmt: skip


def exported(model: Model, name: str, folder: Path, calibration: Sequence[Path]) -> dict[str, Path]:
    """Return a folder for each way; the ONNX files are written once and converted."""
    base = folder / "base"
    export_model(model, name, base, "onnx", calibration[:1])
    pixels = [prepare_file(path, model.encoder.image).pixels.astype(np.float32) for path in calibration]
    folders = {}
    for way, (to, int8) in WAYS.items():
        out = folders[way] = folder / way
        shutil.copytree(base, out)
        if to == "openvino":
            to_openvino(out)
        if int8:
            quantise(to, out, pixels)
        head = json.loads((out / "model.json").read_text(encoding="utf-8"))
        (out / "model.json").write_text(json.dumps({**head, "format": to}), encoding="utf-8")
    return folders


def speed(model: Model, name: str, folders: dict[str, Path]) -> list[Row]:
    """Return images a second of the encoder graph by torch and by the exported files."""
    spec = model.encoder.image
    pixels = np.random.default_rng(0).random((IMAGES, spec.height, spec.width), np.float32) * 255
    to_channels_last(model.encoder)
    whole, tensor = EncoderGraph(model).eval(), torch.from_numpy(pixels)

    def by_torch(precision: str) -> Callable[[], None]:
        def run() -> None:
            with torch.inference_mode(), autocast_for(torch.device("cpu"), precision):
                whole(tensor)

        return run

    runs: list[tuple[str, Run]] = [("torch, fp32", by_torch("fp32")), ("torch, bf16", by_torch("bf16"))]
    for way, folder in folders.items():
        graph = ExportedGraph(folder, "encoder", WAYS[way][0])
        runs.append((way, lambda graph=graph: graph({"pixels": pixels})))
    times = in_turns(*(run for _, run in runs), turn=0.2)
    return [
        Row(
            f"encoder of `{name}`, {spec.height} pixels, batch {IMAGES}: {way}", per_second(IMAGES, seconds),
            "images/s", ratio(times[0], seconds), "torch's speed, fp32",
        )
        for (way, _), seconds in zip(runs, times, strict=True)
    ]  # fmt: skip


def cost(model: Model, folders: dict[str, Path], studies: Sequence[Study]) -> list[Row]:
    """Return F1 of findings of the shipped model by torch and by the exported files."""
    metric = metrics.create("chexpert-rules")
    references = [[study.text(("impression", "findings"))] for study in studies]
    exact = [report.text for report in model.iter_reports(studies, precision="fp32")]
    texts = {"torch, fp32": exact}
    for way, folder in folders.items():
        script = runpy.run_path(str(folder / "run.py"))
        files = script["graphs"]()
        pixels = np.stack([script["read"](study.views[0].path) for study in studies])
        written = [r for at in range(0, len(pixels), 32) for r in script["write"](*files, pixels[at : at + 32])]
        texts[way] = [script["text"](words) for words in written]
    rows = []
    for way, reports in texts.items():
        score = metric.compute(reports, references)
        same = sum(a == b for a, b in zip(reports, exact, strict=True))
        what = f"`{SHIPPED}`, {len(studies)} studies: {way}"
        rows.append(Row(f"{what}: {score.name}", counted(100 * score.value), "%"))
        rows.append(Row(f"{what}: reports as torch writes them", counted(100 * same / len(reports)), "%"))
    return rows


def random_model(encoder: str) -> Model:
    """Return a model of an encoder at 224 pixels with random weights."""
    torch.manual_seed(0)
    return compose(
        encoder=encoder, encoder_options={"size": 224}, decoder="soft-att",
        text=TextSpec(recipe="plain", max_length=8), vocabulary=Vocabulary(["heart", "."]),
    ).eval()  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=200, help="for F1; 0: the speed alone")
    parser.add_argument("--encoder", default="", help="for the speed; the shipped model's without it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder, rows = Path(scratch), []
        drawn = datasets.create(
            "phantom", folder / "phantom", n=options.studies + CALIBRATION, seed=SEED, views=1
        ).read().studies  # fmt: skip
        calibration = [Path(study.views[0].path) for study in drawn[options.studies :]]
        name = options.encoder or SHIPPED
        model = random_model(name) if options.encoder else load(SHIPPED).eval()
        folders = exported(model, name, folder, calibration)
        if options.studies and not options.encoder:
            rows += cost(model, folders, drawn[: options.studies])
        emit([*rows, *speed(model, name, folders)])


if __name__ == "__main__":
    main()
