"""`import reportgen`: what a notebook finds, and what each function takes."""

from __future__ import annotations

import ast
import pydoc
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import reportgen
from PIL import Image

import reportgen_core
from reportgen_core import OptionError, ReportgenError, Study, View
from reportgen_core.testing import tiny_model

PAIRS = [("a.png", "The heart is normal."), ("b.png", "Small left effusion. The heart is normal.")]


@pytest.fixture
def images(tmp_path, monkeypatch):
    """Two radiographs a.png and b.png in the current folder, and a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REPORTGEN_CACHE", str(tmp_path / "cache"))
    for i, name in enumerate(("a.png", "b.png")):
        Image.fromarray(np.random.default_rng(i).integers(0, 255, (40, 32), dtype=np.uint8)).save(name)
    return tmp_path


def test_importing_reportgen_loads_no_torch_and_few_modules() -> None:
    code = "import sys; before = set(sys.modules); import reportgen; print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = {m.partition(".")[0] for m in done.stdout.split()}
    assert not modules & {"torch", "numpy", "PIL", "click", "rich", "pandas", "IPython", "reportgen_plugins"}


def test_tab_and_help_show_the_main_functions_with_their_signatures() -> None:
    assert {"compose", "train", "load", "save", "evaluate", "studies", "encoders"} <= set(dir(reportgen))
    page = pydoc.plain(pydoc.render_doc(reportgen))
    for name in ("compose(encoder: ", "train(\n", "load(name_or_folder", "studies(source: ", "evaluate(predictions: "):
        assert name.rstrip() in page, name
    assert len(page.splitlines()) < 800


def plain_id(value: object) -> str:
    """Return the name of a value in a test's id, without its address in memory."""
    return "object" if type(value) is object else repr(value)


@pytest.mark.parametrize("name", ["compose", "evaluate", "load", "sample_image", "save", "studies", "train"])
def test_every_function_has_an_example_that_is_python(name: str) -> None:
    (example,) = re.findall(r"Example: (.*)", getattr(reportgen, name).__doc__)
    ast.parse(example)
    assert example.startswith("reportgen.")


def test_the_names_of_the_core_are_served_too() -> None:
    assert reportgen.Encoder is reportgen_core.Encoder
    assert reportgen.UnknownName is reportgen_core.UnknownName
    with pytest.raises(AttributeError, match="no attribute 'no_such_name'"):
        _ = reportgen.no_such_name
    for word, meant in (("predict", "it is reportgen.load().report("), ("evalute", "did you mean reportgen.evaluate?")):
        with pytest.raises(AttributeError, match=re.escape(meant)):
            getattr(reportgen, word)


def test_a_score_is_found_by_its_name() -> None:
    scores = reportgen.evaluate(["a b"], ["a b c"], metrics=["bleu"], protocol="raw", resamples=0, baselines=False)
    assert scores["BLEU4"] == scores["bleu-4"] == scores.scores["bleu-4"]
    with pytest.raises(KeyError, match="no score named 'blue-4'; did you mean 'bleu-4'"):
        _ = scores["blue-4"]


@pytest.mark.slow
def test_the_example_of_the_package_runs(images, monkeypatch) -> None:
    monkeypatch.setenv("BROWSER", "true")
    doc = reportgen.__doc__ or ""
    code = "\n".join(line.strip() for line in re.findall(r"^    (.*)$", doc, re.MULTILINE))
    code = code.replace("reports.show()", 'reports.show("page.html")').replace(
        '"densenet121", "lstm"', 'ENCODER, "lstm"'
    )
    code = code.replace("epochs=2", "epochs=1").replace(
        "studies).scores", "studies, resamples=0, protocol='raw').scores"
    )
    space = {"ENCODER": "resnet18"}
    exec(code, space)
    assert space["scores"]["bleu-1"] >= 0
    assert Path("page.html").read_text().count("<img") > 1


def test_studies_of_pairs_a_table_a_dataset_and_a_file_are_the_same(images) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"id": ["1-a", "2-b"], "image": ["a.png", "b.png"], "report": [text for _, text in PAIRS]})

    class Data:
        def __len__(self):
            return 2

        def __getitem__(self, i):
            return PAIRS[i]

    frame.to_csv("t.csv", index=False)
    expected = [Study(i, (View(images / n),), {"findings": t}) for i, (n, t) in zip(("1-a", "2-b"), PAIRS, strict=True)]
    for source in (PAIRS, frame, Data(), "t.csv", Path("t.csv"), iter(PAIRS)):
        assert list(reportgen.studies(source).studies) == expected, source


def test_images_in_memory_are_kept_once_and_pixel_by_pixel(images) -> None:
    picture = Image.open("a.png")
    first, second = reportgen.studies([(picture, "x"), (np.asarray(picture), "x")], split="train").studies
    assert first.views == second.views and first.split == "train"
    assert np.array_equal(np.asarray(Image.open(first.views[0].path)), np.asarray(picture))


def test_missing_cells_of_pandas_are_missing(images) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {"image": ["a.png", "b.png"], "PatientID": [1, 2], "findings": ["normal", None], "sex": ["F", pandas.NA]}
    )
    first, second = reportgen.studies(frame, columns=["sex"]).studies
    assert (first.patient, first.extra, second.sections, second.extra) == ("1", {"sex": "F"}, {}, {})


def test_texts_are_scored_by_their_places_and_reports_by_their_studies() -> None:
    options = {"metrics": ["BLEU"], "protocol": "raw", "resamples": 0}
    by_place = reportgen.evaluate(["heart normal"], ["the heart is normal"], **options)
    by_id = reportgen_core.evaluate({"1": "heart normal"}, {"1": "the heart is normal"}, **options)
    assert by_place.scores == by_id.scores
    report = reportgen.Report("1", "heart normal")
    assert reportgen.evaluate([report], {"1": "the heart is normal"}, **options).scores == by_id.scores


def test_a_model_is_trained_on_pairs_and_its_run_gets_a_free_folder(images, capsys) -> None:
    model = tiny_model("resnet50", "lstm")
    for folder in ("resnet50-lstm-run", "resnet50-lstm-run-2"):
        trained = reportgen.train(model, PAIRS, epochs=1)
        assert f"2 studies to learn from, 0 held back, run in {folder}\n" in capsys.readouterr().err
        assert (images / folder / "best" / "config.json").is_file()
    reports = trained.report(["a.png", Image.open("b.png")])
    assert [r.study for r in reports] == ["a.png", "image-2.png"] or len(reports) == 2


WRONG = [None, ["a"], "a", Path("a"), 3, {"a": 1}, object()]


@pytest.mark.parametrize("value", WRONG, ids=plain_id)
@pytest.mark.parametrize("name", ["compose", "evaluate", "load", "save", "studies", "train"])
def test_a_wrong_argument_is_one_sentence(images, name: str, value: object) -> None:
    if name == "load" and value is None:
        return  # the model that ships inside
    second = () if name in ("load", "studies", "compose") else (value,)
    for module in (reportgen, reportgen_core):
        if name == "evaluate" and value == ["a"] and module is reportgen:
            continue  # texts by their places
        if (function := getattr(module, name, None)) is None:
            continue
        with pytest.raises(ReportgenError) as error:
            function(value, *second, **({"out": "run"} if name == "train" else {}))
        assert "\n" not in str(error.value) and len(str(error.value)) < 700


def test_a_table_of_pandas_in_the_wrong_place_is_named(images) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"id": ["1"], "report": ["x"]})
    for call in (
        lambda: reportgen.load(frame),
        lambda: reportgen.compose(frame),
        lambda: reportgen_core.evaluate(frame, frame),
        lambda: tiny_model("resnet50", "lstm").report(frame),
    ):
        with pytest.raises(ReportgenError, match="DataFrame"):
            call()


@pytest.mark.parametrize("value", [None, 3, {"a": 1}, object(), [None], [[1]]], ids=plain_id)
def test_a_model_names_what_is_no_image(value: object) -> None:
    with pytest.raises(ReportgenError, match="an image is a path, a PIL image, a numpy array or a tensor, got"):
        tiny_model("resnet50", "lstm").report(value)


def test_an_option_of_a_wrong_type_and_one_too_many_are_named() -> None:
    with pytest.raises(OptionError, match="compose takes a whole number as seed, not the text 'x'"):
        reportgen_core.compose("resnet50", "lstm", seed="x")
    with pytest.raises(OptionError, match="compose: got an unexpected keyword argument 'sed'"):
        reportgen_core.compose("resnet50", "lstm", sed=1)


@pytest.mark.parametrize(
    ("given", "meant"),
    [("ResNet50", "resnet50"), ("resnet_50", "resnet50"), ("densenet12", "densenet121"), ("VGG-16", "vgg16")],
)
def test_a_name_is_understood_where_there_is_no_doubt(given: str, meant: str) -> None:
    assert reportgen.encoders.find(given) == meant


@pytest.mark.parametrize(
    ("given", "near"),
    [
        ("densenet", "did you mean 'densenet121', 'densenet169' or 'densenet201'"),
        ("resnte50", "did you mean 'resnet50'"),
        ("", "there are: densenet121"),
    ],
)
def test_a_name_in_doubt_gets_the_nearest_ones(given: str, near: str) -> None:
    with pytest.raises(reportgen_core.UnknownName, match=near):
        reportgen.encoders.find(given)


def test_a_saved_name_is_never_guessed() -> None:
    assert "ResNet50" not in reportgen.encoders
    assert "densenet12" not in reportgen.encoders
