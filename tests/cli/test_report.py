"""`rg report` and `rg demo`: files, folders and studies in, reports out, and a bad image stops nobody."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from reportgen_cli.commands import report as command
from reportgen_cli.commands.report import as_text, as_values
from reportgen_zoo.pull import catalogue as manifests

from reportgen_core import Attention, GenerationSettings, Report, load
from reportgen_core.testing.parts import WORDS


def test_a_report_is_the_models_own(rg, model: Path, chest: Path) -> None:
    done = rg("report", chest, "--model", model, "--precision", "fp32")
    assert done.code == 0
    wrote = load(model).report([chest], precision="fp32")[0]
    assert done.out.splitlines()[0] == wrote.text
    assert wrote.text.split()[0].strip(".").lower() in WORDS
    assert f"model {model}, cpu, fp32" in done.err


def test_settings_of_generation_are_given_by_name(rg, model: Path, chest: Path) -> None:
    flags = ["--generation", "sample=true", "--generation", "seed=3", "--generation", "stop_threshold=1.0"]
    done = rg("report", chest, "--model", model, "--precision", "fp32", *flags)
    settings = GenerationSettings(sample=True, seed=3, options={"stop_threshold": 1.0})
    assert done.out.splitlines()[0] == load(model).report([chest], settings, precision="fp32")[0].text


@pytest.mark.parametrize(
    ("flag", "says"), [("sampl=true", "no generation option 'sampl'"), ("top_p=7", "top_p above 0")]
)
def test_a_wrong_setting_of_generation_is_one_line(rg, model: Path, chest: Path, flag: str, says: str) -> None:
    done = rg("report", chest, "--model", model, "--generation", flag)
    assert done.code == 1
    assert says in done.err and "Traceback" not in done.err


def test_a_bad_image_is_named_and_the_others_are_reported(rg, model: Path, chest: Path, tmp_path: Path) -> None:
    bad, gone = tmp_path / "bad.png", tmp_path / "gone.png"
    bad.write_bytes(chest.read_bytes()[:60])
    done = rg("report", bad, chest, gone, "--model", model)
    assert done.code == 1
    assert "# chest" in done.out
    complaints = [line for line in done.err.splitlines() if line.startswith("rg: ")]
    assert [str(path) in line for path, line in zip((bad, gone), complaints, strict=True)] == [True, True]


def test_json_is_a_line_a_study_also_for_a_bad_one(rg, model: Path, chest: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_text("no image")
    done = rg("report", tmp_path / "bad.png", chest, "--model", model, "--json")
    values = {v["study"]: v for v in map(json.loads, done.out.splitlines())}
    assert done.code == 1
    assert values["chest"]["text"]
    assert not values["chest"]["problem"]
    assert values["chest"]["tags"]
    assert values["bad"]["problem"]
    assert not values["bad"]["text"]


def test_attention_is_given_as_numbers_that_sum_to_one(rg, model: Path, chest: Path) -> None:
    done = rg("report", chest, "--model", model, "--json", "--attention")
    looked = json.loads(done.out)["attention"]
    assert looked["per"] == "sentence"
    for row in looked["regions"]:
        assert sum(row) == pytest.approx(1, abs=1e-3)  # rounded to 5 places, 4 regions
    assert "attention" not in json.loads(rg("report", chest, "--model", model, "--json").out)


def test_a_folder_is_searched_and_files_are_written(rg, model: Path, chest: Path, tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    for i, name in enumerate(("a.png", "deep/b.png")):
        Image.open(chest).rotate(90 * i).save(tmp_path / "in" / name)
    done = rg("report", tmp_path / "in", "--model", model, "--out", tmp_path / "out", "--explain")
    assert done.code == 0
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        "reports.jsonl", "index.html", *(f"{study}{kind}" for study in "ab" for kind in (".txt", ".png", ".html"))
    }  # fmt: skip
    lines = [json.loads(line) for line in (tmp_path / "out" / "reports.jsonl").read_text().splitlines()]
    assert [v["study"] for v in lines] == ["a", "b"]
    assert (tmp_path / "out" / "a.txt").read_text() == lines[0]["text"] + "\n"
    assert Image.open(tmp_path / "out" / "a.png").width > 300


def test_views_of_one_study_give_one_report(rg, model: Path, chest: Path, tmp_path: Path) -> None:
    other = tmp_path / "lateral.png"
    Image.open(chest).rotate(90).save(other)
    done = rg("report", chest, other, "--study", "--model", model, "--json")
    [values] = map(json.loads, done.out.splitlines())
    assert values["study"] == "chest"


def dicom(path: Path, uid: str, **header: str) -> None:
    """An 8-bit chest radiograph with a patient's name in its header."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    made.file_meta.MediaStorageSOPInstanceUID = uid
    made.SOPClassUID, made.SOPInstanceUID = made.file_meta.MediaStorageSOPClassUID, uid
    made.StudyInstanceUID, made.PatientName, made.PatientID = "1.2.3", "Doe^Jane", "MRN-4711"
    made.Rows = made.Columns = 64
    made.SamplesPerPixel, made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 1, 8, 8, 7, 0
    made.PhotometricInterpretation = "MONOCHROME2"
    made.PixelData = np.random.default_rng(0).integers(0, 256, 64 * 64, dtype=np.uint8).tobytes()
    for name, value in header.items():
        setattr(made, name, value)
    made.save_as(path, enforce_file_format=True)


def test_dicom_files_of_one_examination_are_one_report_and_no_header_leaves(rg, model: Path, tmp_path: Path) -> None:
    (tmp_path / "case").mkdir()
    for i in (1, 2):
        dicom(tmp_path / "case" / f"{i}.dcm", f"1.2.3.{i}")
    done = rg("report", tmp_path / "case", "--model", model, "--json", "--out", tmp_path / "out", "--explain")
    assert done.code == 0
    [values] = map(json.loads, done.out.splitlines())
    assert values["study"] == "case"
    written = (
        b"".join(p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()) + (done.out + done.err).encode()
    )
    assert b"Doe^Jane" not in written
    assert b"MRN-4711" not in written


def test_a_study_without_a_frontal_view_is_noted(rg, model: Path, tmp_path: Path) -> None:
    dicom(tmp_path / "side.dcm", "1.2.3.1", ViewPosition="LL")
    done = rg("report", tmp_path / "side.dcm", "--model", model)
    assert done.code == 0
    assert "note: side: no frontal view" in done.err


def test_more_reports_come_with_beams(rg, model: Path, chest: Path) -> None:
    done = rg("report", chest, "--model", model, "--beams", 3, "--n-best", 3, "--json")
    values = json.loads(done.out)
    assert values["alternatives"]
    assert values["text"] not in values["alternatives"]


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (["--model", "no.such_model"], "no model or model folder 'no.such_model'; "),
        (["--explain", "--model", "x"], "--explain writes pictures, and needs --out"),
        (["--device", "mps", "--model", "x"], "--device mps: torch finds no such device here"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    rg, chest: Path, asked: list[str], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    done = rg("report", chest, *asked)
    assert done.code == 1
    assert done.err.startswith("rg: ")
    assert says in done.err


def test_a_model_without_words_says_what_to_do(rg, chest: Path, tmp_path: Path) -> None:
    tiny = ["size=64", 'model_args={"layers": [1, 1, 1, 1], "channels": [4, 4, 8, 8]}']
    options = [word for option in tiny for word in ("--encoder-option", option)]
    rg("compose", "--encoder", "resnet50", "--decoder", "hier-lstm", *options, "--out", tmp_path / "new")
    done = rg("report", chest, "--model", tmp_path / "new")
    assert done.code == 1
    assert "this model has no words yet: train it first" in done.err


def test_no_shipped_model_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifests, "builtin", lambda: manifests.Manifest(1))
    with pytest.raises(command.OptionError, match="is not inside this installation"):
        command.default_model()


def test_the_text_has_alternatives_and_the_likeliest_five() -> None:
    tags = {f"t{i}": 0.9 - 0.1 * i for i in range(7)}
    told = as_text(Report("s", "a b.", tags=tags, alternatives=("c.",)), headed=True)
    assert told == "# s\na b.\nor: c.\ntags: t0 0.90, t1 0.80, t2 0.70, t3 0.60, t4 0.50"


def test_values_hold_everything_a_program_needs() -> None:
    looked = Attention("sentence", torch.tensor([[0.25, 0.75]]), torch.tensor([[1.0]]), torch.tensor([3]))
    values = as_values(Report("s", "a.", ("a.",), attention=looked, attended_tags=("opacity",)), attention=True)
    assert values["attention"] == {
        "per": "sentence",
        "tag_names": ("opacity",),
        "sentences": (),
        "regions": [[0.25, 0.75]],
        "tags": [[1.0]],
    }
    json.dumps(values)


def test_the_demonstration_writes_report_and_picture(
    rg, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "default_model", lambda: str(model))
    done = rg("demo", "--out", tmp_path / "demo")
    assert done.code == 0
    written = {"report.txt", "report.json", "attention.png", "chest.jpg"}
    assert {p.name for p in (tmp_path / "demo").iterdir()} == written
    assert done.out.startswith((tmp_path / "demo" / "report.txt").read_text().strip())
    assert "CC BY 3.0" in done.err
    picture = np.asarray(Image.open(tmp_path / "demo" / "attention.png"))
    assert picture.std() > 20  # not an empty page


def test_files_that_are_no_images_cost_no_model(rg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "refs.csv"
    table.write_text("id,report\na,Heart normal.\n")
    monkeypatch.setattr("reportgen_cli.commands.report.load_model", None)  # calling it would raise a TypeError
    done = rg("report", table, tmp_path / "nothere.png", "--json")
    assert done.code == 1 and "refs.csv" in done.err and "nothere.png" in done.err
    assert "2 studies: 0 reports, 2 could not be read" in done.err
    assert len(done.out.splitlines()) == 2
