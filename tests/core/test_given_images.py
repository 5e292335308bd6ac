"""An image in memory gets the report of the same picture in a file, and a text is never taken for a list."""

from __future__ import annotations

import importlib
import inspect
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import reportgen_core
from reportgen_core import (
    Collection,
    ImageError,
    OptionError,
    Report,
    Study,
    TargetSpec,
    TrainSettings,
    View,
    compose,
    evaluate,
    metrics,
    protocols,
    train,
)
from reportgen_core.annotation import Columns, annotate
from reportgen_core.data.given.images import as_picture, image_files
from reportgen_core.data.images import read_image
from reportgen_core.models import Model
from reportgen_core.retrieval import remove_texts, texts_for_images, write_index
from reportgen_core.scoring import measure_diversity
from reportgen_core.scoring.abilities.metrics import ModelOutputs
from reportgen_core.testing.parts import tiny_model
from reportgen_core.text import TextSpec, Vocabulary, build_vocabulary, join

GREY = np.random.default_rng(0).integers(0, 256, (40, 50)).astype(np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (40, 50, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def model() -> Model:
    return tiny_model()


def read(image: object, folder: Path) -> np.ndarray:
    """Return the grey values that a model gets of an image in memory, (h, w) 0..1."""
    with image_files(image) as (paths, _):
        return read_image(paths[0])


SAME = {
    "bytes": GREY,
    "tensor": torch.from_numpy(GREY),
    "one channel": GREY[:, :, None],
    "one channel first": torch.from_numpy(GREY)[None],
    "floats": GREY / 255,
    "16 bits": GREY.astype(np.uint16) * 257,
    "big end first": (GREY.astype(np.uint16) * 257).astype(">u2"),
    "PIL": Image.fromarray(GREY),
    "PIL of floats": Image.fromarray((GREY / np.float32(255)).astype(np.float32)),
    "PIL of integers": Image.fromarray(GREY.astype(np.int32) * 257),
    "PIL with alpha": Image.fromarray(GREY).convert("LA"),
    "not contiguous": np.asfortranarray(GREY),
    "with gradient": torch.from_numpy(GREY / 255).requires_grad_(),
}


@pytest.mark.parametrize("kind", SAME)
def test_a_grey_image_in_memory_is_the_picture_of_its_file(kind: str, tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png")
    np.testing.assert_allclose(read(SAME[kind], tmp_path), read_image(tmp_path / "a.png"), atol=1e-4)


@pytest.mark.parametrize(
    "image",
    [
        COLOUR,
        COLOUR.transpose(2, 0, 1),
        torch.from_numpy(COLOUR.transpose(2, 0, 1)),
        Image.fromarray(COLOUR),
        COLOUR / 255,
    ],
    ids=["channels last", "channels first", "tensor", "PIL", "floats"],
)
def test_a_colour_image_in_memory_is_the_picture_of_its_file(image: object, tmp_path: Path) -> None:
    Image.fromarray(COLOUR).save(tmp_path / "a.png")
    np.testing.assert_allclose(read(image, tmp_path), read_image(tmp_path / "a.png"), atol=2.5 / 255)


def test_a_photograph_that_lies_on_its_side_is_turned_as_in_its_file(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(GREY).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_allclose(
        read(Image.open(tmp_path / "a.png"), tmp_path), read_image(tmp_path / "a.png"), atol=1e-4
    )


def test_black_and_white_is_read() -> None:
    assert as_picture(np.array([[True, False]])).convert("L").getpixel((0, 0)) == 255


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (GREY.astype(np.float32), r"floats are 0 \(black\) to 1 \(white\), got 0..255"),
        (GREY / 255 - 0.5, r"got -0.5..0.5"),
        (np.full((4, 4), np.nan), "and NaN"),
        (np.where(GREY > 3, GREY / 255, np.inf), r"got .*..inf"),
        (GREY.astype(np.int64), "values of type int64 have no known range"),
        (np.zeros((2, 3, 8, 8), np.uint8), r"got \(2, 3, 8, 8\); give several images as a list"),
        (np.zeros((8, 8, 2), np.uint8), r"with 1, 3 or 4 channels, got \(8, 8, 2\)"),
        (np.zeros((0, 8), np.uint8), "an image is"),
        (np.zeros(8, np.uint8), "an image is"),
        (np.zeros((8, 8, 4)), "four channels are for uint8"),
        (Image.fromarray(GREY.astype(np.int32) - 300), r"integers is 0..65535, got -300"),
        (5, "an image is a path, a PIL image, a numpy array or a tensor, got int"),
        ([GREY, None], "got NoneType"),
    ],
)
def test_what_is_no_image_is_one_line(image: object, says: str, model: Model) -> None:
    with pytest.raises(ImageError, match=says):
        model.report(image if isinstance(image, list) else [image] if isinstance(image, int) else image)


def test_paths_and_images_get_reports_in_their_order_and_no_temporary_path(model: Model, tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "file.png")
    bad = tmp_path / "none.png"
    reports = model.report([tmp_path / "file.png", GREY, Image.fromarray(COLOUR), str(bad), torch.from_numpy(GREY)])
    assert [r.study for r in reports] == ["file", "image-2", "image-3", "none", "image-5"]
    assert [r.views for r in reports[1:3]] == [("image-2.png",), ("image-3.png",)]
    assert reports[1].text == reports[4].text == reports[0].text
    assert "none.png" in reports[3].problem


@pytest.mark.parametrize("image", ["file.png", Path("file.png"), GREY, torch.from_numpy(GREY), Image.fromarray(GREY)])
def test_one_image_needs_no_list(model: Model, image: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(GREY).save(tmp_path / "file.png")
    Image.fromarray(COLOUR).save(tmp_path / "other.png")
    monkeypatch.chdir(tmp_path)
    (report,) = model.report(image)
    assert report.text and not report.problem


STUDY = Study("s", (View(Path("x.png")),), {"findings": "clear ."})
CALLS = {
    "Study(views)": lambda model: Study("s", "x.jpg"),
    "Study(views) by name": lambda model: Study("s", views=Path("x.jpg")),
    "Study(tags)": lambda model: Study("s", tags="normal"),
    "Study.text": lambda model: STUDY.text("findings"),
    "Collection": lambda model: Collection("abc", None),
    "TargetSpec": lambda model: TargetSpec("words"),
    "Report": lambda model: Report("s", "text", "sentences"),
    "compose(tags)": lambda model: compose(encoder="none", decoder="lstm", tags="abc"),
    "compose(findings)": lambda model: compose(encoder="none", decoder="lstm", findings=b"abc"),
    "report_studies": lambda model: model.report_studies("chest.png"),
    "iter_reports": lambda model: model.iter_reports("chest.png"),
    "pooled_features": lambda model: model.pooled_features("chest.png"),
    "train": lambda model: train(model, "studies.csv"),
    "train(val)": lambda model: train(model, [STUDY], "val", out="x"),
    "TrainSettings(steps)": lambda model: TrainSettings(steps=["words"]),
    "evaluate(metrics)": lambda model: evaluate({"a": "x"}, {"a": "x"}, metrics="bleu"),
    "evaluate(sections)": lambda model: evaluate({"a": "x"}, {"a": "x"}, sections="findings"),
    "evaluate(by)": lambda model: evaluate({"a": "x"}, {"a": "x"}, by="sex"),
    "evaluate(images)": lambda model: evaluate({"a": "x"}, {"a": "x"}, images={"a": "x.png"}),
    "ModelOutputs": lambda model: ModelOutputs("report", [STUDY]),
    "annotate": lambda model: annotate(model, "table.csv"),
    "Columns": lambda model: Columns(sections="findings"),
    "TextSpec": lambda model: TextSpec(sections="findings"),
    "Vocabulary": lambda model: Vocabulary("effusion"),
    "Vocabulary.encode": lambda model: Vocabulary().encode("effusion"),
    "build_vocabulary": lambda model: build_vocabulary("no effusion", TextSpec()),
    "join": lambda model: join(["no", "effusion"] and "no effusion", TextSpec()),
    "join of lists": lambda model: join(["no effusion"], TextSpec()),
    "measure_diversity": lambda model: measure_diversity("no effusion", [["no effusion"]]),
    "references": lambda model: measure_diversity(["no effusion"], ["no effusion"]),
    "metric": lambda model: metrics.create("bleu").compute("no effusion", [["no effusion"]]),
    "metric's references": lambda model: metrics.create("bleu").compute(["no effusion"], ["no effusion"]),
    "labels": lambda model: metrics.create("chexpert-rules").labels("no effusion"),
    "protocol": lambda model: protocols.create("raw").reports("no effusion"),
    "texts_for_images": lambda model: texts_for_images(model, "chest.png", 1),
    "remove_texts": lambda model: remove_texts(None, "t1"),
    "write_index": lambda model: write_index(Path("x"), "text", None, model="m", sentences={}),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_text_is_refused_where_a_list_is_wanted(call: str, model: Model) -> None:
    with pytest.raises(OptionError, match=r"takes (a list|lists) as \w+, not the text .*; write \[\.\.\.\]"):
        CALLS[call](model)


def test_predictions_and_references_of_a_path_are_refused(model: Model) -> None:
    for arguments in (("predictions.csv", {"a": "x"}), ({"a": "x"}, "references.csv"), (model, "table.csv")):
        with pytest.raises(OptionError, match=r"evaluate takes .* as (predictions|references), not the text"):
            evaluate(*arguments)


WINGS = ["text", "files", "data", "scoring", "models", "training", "annotation", "sentences", "retrieval", "testing"]


@pytest.mark.parametrize("package", ["reportgen_core", *(f"reportgen_core.{wing}" for wing in WINGS)])
def test_every_public_function_that_takes_a_list_refuses_a_text(package: str) -> None:
    module = importlib.import_module(package)
    for name in module.__all__:
        function = getattr(module, name)
        if not inspect.isfunction(function):
            continue
        annotations = [str(p.annotation) for p in inspect.signature(function).parameters.values()]
        if any(a.startswith(("Sequence[", "Iterable[", "Collection[", "tuple[", "list[")) for a in annotations):
            assert hasattr(function, "takes_lists"), f"{package}.{name}"
        assert pickle.loads(pickle.dumps(function)) is function, f"{package}.{name} cannot be sent to another process"


def test_lists_tuples_and_generators_are_taken_as_before() -> None:
    assert len(Vocabulary(w for w in ("a", "b"))) == len(Vocabulary(["a", "b"]))
    assert reportgen_core.text.TextSpec(sections=("findings",)).sections == ("findings",)
