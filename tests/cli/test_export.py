"""`rg export`: the files compute what torch computes, and run where reportgen is not installed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from reportgen_cli.exporting import runtimes
from reportgen_cli.exporting.eight_bits import EightBitCost, cost_of
from reportgen_cli.exporting.folder import drawn_probe, export_model
from reportgen_cli.exporting.graphs import check_exportable, written_by_torch

from reportgen_core import CompositionError, DataError, GenerationSettings, Model, PluginError, Study, View, compose
from reportgen_core.data.batches import read_batches
from reportgen_core.data.images import prepare_file
from reportgen_core.models.abilities import WritesSentences, WritesStepwise
from reportgen_core.text.spec import EOS, TextSpec, Vocabulary

SMALL = {"size": 64, "model_args": {"layers": [1, 1, 1, 1], "channels": [4, 4, 8, 8]}}
WORDS = "the heart is large , normal ( small ) / left effusion .".split()  # noqa: SIM905 - a sentence of words
LSTM = {"hidden": 12, "embedding": 10}
DECODERS: dict[str, tuple[str, dict[str, object]]] = {
    **{name: (name, LSTM) for name in ("soft-att", "lstm", "lrcn", "densenet-lstm", "hier-lstm-dual")},
    "hier-lstm co": ("hier-lstm", {**LSTM, "stop_threshold": 1.0}),  # which never stops: four sentences
    **{f"hier-lstm {kind}": ("hier-lstm", {**LSTM, "attention": kind}) for kind in ("visual", "none")},
    "hier-lstm, the topic at every word": ("hier-lstm", {**LSTM, "topic": "every", "word_layers": 2, "bias": True}),
    "transformer": ("transformer", {"hidden": 16, "heads": 2, "layers": 2, "feed_forward": 12}),
    "gpt2": ("gpt2", {"config": {"n_layer": 2, "n_head": 2, "n_embd": 16, "n_positions": 40}}),
}
TAGS = ("edema", "mass", "hernia")


def make(decoder: str, **options: object) -> Model:
    """Return a small model with random weights and some words."""
    torch.manual_seed(0)
    name, own = DECODERS.get(decoder, (decoder, {}))
    model = compose(
        encoder="resnet18", encoder_options={**SMALL, **options}, decoder=name, decoder_options=own,
        text=TextSpec(recipe="plain", max_length=12, max_words=6, max_sentences=4), vocabulary=Vocabulary(WORDS),
        tags=TAGS,
    )  # fmt: skip
    for parameter in model.head.parameters():
        torch.nn.init.normal_(parameter, std=1.5)  # so that the words differ
    return model.eval()


def images(folder: Path, count: int = 9) -> list[Path]:
    """Write some noisy images and return their paths."""
    draw = np.random.default_rng(0)
    paths = [folder / f"{n}.png" for n in range(count)]
    for path in paths:
        y, x = np.mgrid[0:80, 0:70]
        waves = 127 + 100 * np.sin(x / draw.uniform(3, 20)) * np.cos(y / draw.uniform(3, 20))
        Image.fromarray(waves.astype(np.uint8)).save(path)
    return paths


@pytest.mark.parametrize("decoder", DECODERS)
def test_the_step_writes_what_generate_writes(decoder: str, tmp_path: Path) -> None:
    model, (path,) = make(decoder), images(tmp_path, 1)
    assert isinstance(model.head, WritesStepwise) != isinstance(model.head, WritesSentences)
    pixels = torch.from_numpy(prepare_file(path, model.encoder.image).pixels.astype(np.float32))[None]
    with torch.inference_mode():
        words, logits, lengths = written_by_torch(model, pixels)
    assert len(logits) == len(words) == sum(lengths)
    written = [[n for n in sentence.tolist() if n != EOS] for sentence in words.split(lengths)]
    study = Study("s", (View(path),))
    with torch.inference_mode():
        ((batch, _),) = list(read_batches([study], model.encoder.image, batch_size=1))
        (generated,) = model.head.generate(model.encode(batch), GenerationSettings())
    assert written == [list(sentence) for sentence in generated.candidates[0].sentences] and len(set(words)) > 1


@pytest.mark.parametrize(
    ("decoder", "options", "says"),
    [
        ("chestxray8", {}, "rg export knows the steps of soft-att, lstm, .* and gpt2; .*chestxray8 has none"),
        ("soft-att", {"views": 2}, "rg export takes models of one image; .* takes 2"),
        ("soft-att", {"fit": "keep"}, "fit stretch and 8 bits; .* has fit keep and 8 bits"),
    ],
)
def test_a_model_that_the_script_cannot_run_is_refused(decoder: str, options: dict, says: str) -> None:
    with pytest.raises(CompositionError, match=says) as caught:
        check_exportable(make(decoder, **options))
    assert "\n" not in str(caught.value)


def test_a_missing_package_and_too_few_images_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtimes.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(PluginError, match=r"needs onnx, onnxscript, openvino, nncf: pip install 'reportgen\[export\]'"):
        runtimes.need_packages("openvino", True)
    monkeypatch.setattr(runtimes.importlib.util, "find_spec", lambda name: object())
    with pytest.raises(DataError, match=r"--int8 is calibrated on images, 8 at least .* got 1"):
        export_model(make("lstm"), "m", tmp_path / "o", "onnx", images(tmp_path, 1), int8=True)
    assert not (tmp_path / "o").exists()


def run(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the script of an exported folder in a process in which neither reportgen nor torch can be imported."""
    code = (
        "import runpy, sys\n"
        "for name in ('torch', 'reportgen_core', 'reportgen_cli', 'reportgen_plugins'): sys.modules[name] = None\n"
        "sys.argv = sys.argv[1:]\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    command = [sys.executable, "-c", code, str(folder / "run.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder.parent, check=False)


def test_findings_that_8_bits_change_are_counted_and_bounded() -> None:
    exact = ["No effusion.", "Small effusion.", "Edema. Small effusion.", "Heart is normal."]
    small = ["The lungs are clear.", "Possible effusion.", "Small effusion. Edema.", "Heart is normal."]
    cost = cost_of(exact, small)
    assert cost == EightBitCost(images=4, with_findings=2, other_findings=1, other_words=3)
    cost.check(25)
    with pytest.raises(DataError, match=r"findings of 1 of 4 images \(25 %\), and the words of 3; 24 % are allowed"):
        cost.check(24)
    assert "reads no finding in these reports" in cost_of(["word"], ["words"]).line()


services = pytest.mark.services  # the exporters are imported for seconds


@services
@pytest.mark.parametrize("decoder", DECODERS)
def test_onnx_runs_without_reportgen_and_writes_its_reports(decoder: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    model, paths = make(decoder), images(tmp_path, 3)
    written = export_model(model, "small", tmp_path / "out", "onnx", paths[:1])
    assert written.difference < 1e-4 and written.same_words
    done = run(tmp_path / "out", "--check")
    assert done.returncode == 0 and "the words are the same" in done.stdout, done.stderr
    reports = [r.text for r in model.iter_reports([Study(p.stem, (View(p),)) for p in paths], precision="fp32")]
    assert run(tmp_path / "out", *paths).stdout.splitlines() == reports and all(reports)
    assert "onnxruntime" in (tmp_path / "out" / "README.md").read_text()


@services
def test_an_image_that_the_script_cannot_read_is_one_line_and_the_others_have_reports(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    paths, folder = images(tmp_path, 2), tmp_path / "out"
    export_model(make("lstm"), "small", folder, "onnx", paths[:1])
    whole = run(folder, *paths)
    assert whole.returncode == 0 and not whole.stderr
    (tmp_path / "cut.png").write_bytes(paths[0].read_bytes()[:200])
    (tmp_path / "no\nimage.png").write_bytes(b"none")
    Image.fromarray(np.full((80, 70), 40_000, np.uint16)).save(tmp_path / "deep.png")
    bad = [tmp_path / name for name in ("cut.png", "no\nimage.png", "deep.png", "missing.png")]
    done = run(folder, bad[0], paths[0], *bad[1:], paths[1])
    assert done.returncode == 1 and done.stdout == whole.stdout
    lines = done.stderr.splitlines()
    assert [line.partition(": ")[0] for line in lines] == [f"cannot read {str(path)!r}" for path in bad], done.stderr
    assert "no PNG or JPEG" in lines[1] and "more than 8 bits" in lines[2] and "No such file" in lines[3]


@services
@pytest.mark.parametrize("decoder", ["hier-lstm co", "hier-lstm-dual", "transformer", "gpt2"])
def test_openvino_writes_the_reports_of_every_kind_of_step(decoder: str, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    model, paths = make(decoder), images(tmp_path, 3)
    written = export_model(model, "small", tmp_path / "out", "openvino", paths[:1])
    assert written.difference < 1e-3 and written.same_words
    reports = [r.text for r in model.iter_reports([Study(p.stem, (View(p),)) for p in paths], precision="fp32")]
    assert run(tmp_path / "out", *paths).stdout.splitlines() == reports and all(reports)


@services
def test_openvino_and_its_eight_bits_run_without_reportgen(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    pytest.importorskip("nncf")
    model, paths = make("soft-att", equalize=True), images(tmp_path)
    written = export_model(model, "small", tmp_path / "out", "openvino")
    assert written.difference < 1e-4 and written.same_words
    reports = [r.text for r in model.iter_reports([Study(p.stem, (View(p),)) for p in paths], precision="fp32")]
    assert run(tmp_path / "out", *paths).stdout.splitlines() == reports
    small = export_model(model, "small", tmp_path / "int8", "openvino", paths, int8=True, max_changed=100)
    head = json.loads((tmp_path / "int8" / "model.json").read_text())
    assert small.difference > 1e-4 and head["int8"] and head["changed_by_int8"]["images"] == len(paths)
    assert head["changed_by_int8"] == asdict(small.cost)
    assert run(tmp_path / "int8", "--check").returncode == 0


@services
def test_eight_bits_of_onnx_differ_a_little_and_a_damaged_file_fails_the_check(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    model, paths = make("soft-att"), images(tmp_path)
    written = export_model(model, "small", tmp_path / "out", "onnx", paths, int8=True, max_changed=100)
    assert written.difference > 1e-4
    probe = dict(np.load(tmp_path / "out" / "probe.npz"))
    assert probe["pixels"].shape == (1, 64, 64)
    np.savez(tmp_path / "out" / "probe.npz", **{**probe, "logits": probe["logits"] + 500})
    assert run(tmp_path / "out", "--check").returncode == 1


@services
def test_the_command_writes_a_folder_and_says_how_it_differs(rg: Callable, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    make("lstm").save(tmp_path / "model")
    done = rg("export", tmp_path / "model", "--to", "onnx", "--out", tmp_path / "out")
    assert done.code == 0 and "logits differ from torch's by" in done.err and "the same words" in done.err
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"README.md", "run.py", "model.json", "probe.npz", "encoder.onnx", "step.onnx"}
    assert drawn_probe(make("lstm")).shape == (64, 64)
