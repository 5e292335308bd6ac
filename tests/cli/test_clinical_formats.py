"""DICOM SR and FHIR: valid by checkers of others, tied to the study and to no more, coded from dictionaries alone."""

from __future__ import annotations

import base64
import importlib
import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from radiographs import HEADER, OTHERS, radiograph
from reportgen_cli.commands import report as commands
from reportgen_cli.formats import wanted as packages
from reportgen_cli.formats.codes import finding_code
from reportgen_cli.formats.report import report_bytes
from reportgen_cli.formats.wanted import Wanted
from reportgen_cli.pages.shared.origin import PURPOSE, Origin

from reportgen_core import Box, DataError, OptionError, Report, Study, View, load

ORIGIN = Origin(model="tiny.made_v1", digest="ab" * 32, date="2026-11-29")
RELEASES = {"fhir": "fhir.resources.R4B.diagnosticreport", "fhir-r5": "fhir.resources.diagnosticreport"}


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Two radiographs of one examination."""
    files = [radiograph(tmp_path / "in" / f"{n}.dcm", number=n) for n in (1, 2)]
    return Study("case", tuple(View(file) for file in files))


@pytest.fixture
def report(study: Study) -> Report:
    """A report with a region in its first sentence, and with three findings."""
    return Report(
        "case",
        "Effusion on the left — große. A wire.",
        ("Effusion on the left — große.", "A wire."),
        findings={"Pleural Effusion": 0.91, "Support Devices": 0.6, "Pneumothorax": 0.3},
        views=(str(study.views[1].path),),
        boxes=((Box("effusion", 0.25, 0.5, 0.5, 0.25),), ()),
        note="only one view",
    )


def document(content: bytes, tmp_path: Path) -> Dataset:
    (tmp_path / "sr.dcm").write_bytes(content)
    return dcmread(tmp_path / "sr.dcm")


def items(node: Dataset, kind: str) -> list[Dataset]:
    """Return all content items of a value type, in order."""
    own = [node] if node.get("ValueType") == kind else []
    return own + [found for child in node.get("ContentSequence", []) for found in items(child, kind)]


@pytest.mark.skipif(not shutil.which("dciodvfy"), reason="needs dciodvfy of dicom3tools")
@pytest.mark.parametrize("deidentify", [False, True])
@pytest.mark.parametrize("plain", [False, True])
def test_dciodvfy_finds_no_error_in_a_document(
    study: Study, report: Report, tmp_path: Path, deidentify: bool, plain: bool
) -> None:
    if plain:
        report = replace(report, sentences=(), boxes=(), findings={}, views=(), note="", text="Clear.")
    document(report_bytes(report, "sr", study, ORIGIN, Wanted(deidentify=deidentify)), tmp_path)
    done = subprocess.run(["dciodvfy", tmp_path / "sr.dcm"], capture_output=True, text=True, check=False)
    assert "ComprehensiveSR" in done.stdout + done.stderr
    assert "Error" not in done.stdout + done.stderr


def test_a_document_belongs_to_its_study_and_names_its_model(study: Study, report: Report, tmp_path: Path) -> None:
    made = document(report_bytes(report, "sr", study, ORIGIN), tmp_path)
    assert {name: str(made[name].value) for name in HEADER} == HEADER
    assert made.StudyInstanceUID == "1.2.3"
    referred = made.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    assert referred.SeriesInstanceUID == "1.2.3.1"
    unused = made.PertinentOtherEvidenceSequence if "PertinentOtherEvidenceSequence" in made else []
    every = [referred, *(series for item in unused for series in item.ReferencedSeriesSequence)]
    assert {i.ReferencedSOPInstanceUID for s in every for i in s.ReferencedSOPSequence} == {"1.2.3.1.1", "1.2.3.1.2"}
    texts = {item.ConceptNameCodeSequence[0].CodeMeaning: item.TextValue for item in items(made, "TEXT")}
    assert texts["Algorithm Name"] == ORIGIN.model
    assert texts["Algorithm Version"] == ORIGIN.version
    assert texts["Algorithm Parameters"] == f"sha256 {ORIGIN.digest}"
    assert made.VerificationFlag == "UNVERIFIED" and made.PreliminaryFlag == "PRELIMINARY"
    assert any(PURPOSE in item.TextValue for item in items(made, "TEXT"))


def test_no_other_element_of_the_header_is_copied(study: Study, report: Report, tmp_path: Path) -> None:
    content = report_bytes(report, "sr", study, ORIGIN)
    assert not [value for value in OTHERS.values() if value.encode() in content]


def test_deidentify_leaves_no_value_and_no_uid_of_the_header(study: Study, report: Report, tmp_path: Path) -> None:
    content = report_bytes(report, "sr", study, ORIGIN, Wanted(deidentify=True))
    made = document(content, tmp_path)
    assert not any(made[name].value for name in HEADER)
    assert b"1.2.3" not in content.replace(made.SOPInstanceUID.encode(), b"").replace(b"1.2.840", b"")
    evidence = made.CurrentRequestedProcedureEvidenceSequence[0]
    assert evidence.StudyInstanceUID == made.StudyInstanceUID
    for name in RELEASES:
        text = report_bytes(report, name, study, ORIGIN, Wanted(deidentify=True)).decode()
        assert not [value for value in (*HEADER.values(), *OTHERS.values(), "1.2.3") if value != "F" and value in text]


def test_boxes_are_regions_in_pixels_of_the_image_that_they_are_in(
    study: Study, report: Report, tmp_path: Path
) -> None:
    made = document(report_bytes(report, "sr", study, ORIGIN), tmp_path)
    (region,) = items(made, "SCOORD")
    left, right, top, bottom = 0.25 * 80, 0.75 * 80, 0.5 * 96, 0.75 * 96
    assert region.GraphicType == "POLYLINE"
    assert list(region.GraphicData) == [left, top, right, top, right, bottom, left, bottom, left, top]
    assert region.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID == "1.2.3.1.2"


def test_present_findings_are_coded_where_a_dictionary_has_them(study: Study, report: Report, tmp_path: Path) -> None:
    made = document(report_bytes(report, "sr", study, ORIGIN, Wanted(thresholds={"Pneumothorax": 0.4})), tmp_path)
    findings = next(c for c in items(made, "CONTAINER") if c.ConceptNameCodeSequence[0].CodeMeaning == "Findings")
    coded = [i.ConceptCodeSequence[0] for i in findings.ContentSequence if i.ValueType == "CODE"]
    effusion = codes.SCT.PleuralEffusion
    assert [(c.CodeValue, c.CodingSchemeDesignator) for c in coded] == [(effusion.value, "SCT")]
    texts = [i.TextValue for i in findings.ContentSequence if i.ValueType == "TEXT"]
    assert texts[:3] == [*report.sentences, "Support Devices"]
    assert texts[3] == "Probabilities below threshold: Pneumothorax 0.30 (threshold 0.40)"
    numbers = [float(i.MeasuredValueSequence[0].NumericValue) for i in items(made, "NUM")]
    assert numbers == pytest.approx([91, 60])


def test_a_finding_without_an_entry_has_no_code() -> None:
    assert finding_code("Support Devices") is None
    assert finding_code("") is None
    assert finding_code("pleural effusion") == codes.SCT.PleuralEffusion


def test_a_document_has_the_uid_of_its_content(study: Study, report: Report, tmp_path: Path) -> None:
    uids = [
        document(report_bytes(r, "sr", study, ORIGIN), tmp_path).SOPInstanceUID
        for r in (report, report, replace(report, text="Another."))
    ]
    assert uids[0] == uids[1] != uids[2]


@pytest.mark.parametrize("name", RELEASES)
def test_fhir_is_read_by_the_classes_of_its_release(study: Study, report: Report, name: str) -> None:
    text = report_bytes(report, name, study, ORIGIN).decode()
    resource = importlib.import_module(RELEASES[name]).DiagnosticReport.model_validate_json(text)
    assert text.count("\n") == 1
    values = json.loads(text)
    seen = {r["id"]: r for r in values["contained"]}
    assert resource.status == "preliminary"
    assert [r["reference"] for r in values["result"]] == ["#report", "#finding-1", "#finding-2", "#finding-3"]
    assert seen["report"]["valueString"] == report.text
    assert [seen[f"finding-{n}"]["valueQuantity"]["value"] for n in (1, 2, 3)] == [0.91, 0.6, 0.3]
    assert seen["finding-1"]["code"]["coding"][0]["code"] == codes.SCT.PleuralEffusion.value
    assert "coding" not in seen["finding-2"]["code"]
    assert {"type": {"text": "sha256 of the model"}, "value": ORIGIN.digest} in seen["device"]["version"]
    assert values["subject"]["identifier"]["value"] == "MRN-4711"
    assert "urn:oid:1.2.3" in text and "ACC-9" in text
    assert PURPOSE in values["conclusion"] and PURPOSE in values["text"]["div"]
    assert PURPOSE in base64.b64decode(values["presentedForm"][0]["data"]).decode()
    assert not [value for value in (HEADER["PatientName"], "19500102", *OTHERS.values()) if value in text]


def test_fhir_takes_an_image_that_is_no_dicom(report: Report, chest: Path) -> None:
    values: dict[str, Any] = json.loads(report_bytes(report, "fhir", Study("chest", (View(chest),)), ORIGIN))
    assert "subject" not in values and "imagingStudy" not in values


def test_sr_of_what_is_no_dicom_or_of_two_examinations_is_one_line(
    report: Report, study: Study, chest: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=r"format sr wants DICOM files, and chest\.png is none"):
        report_bytes(report, "sr", Study("chest", (View(chest),)), ORIGIN)
    other = View(radiograph(tmp_path / "other.dcm", study="1.2.9"))
    with pytest.raises(DataError, match="of 2 examinations"):
        report_bytes(report, "sr", replace(study, views=(*study.views, other)), ORIGIN)


@pytest.mark.parametrize(("name", "package"), [("sr", "highdicom"), ("fhir", r"fhir\.resources")])
def test_without_the_extra_one_line_says_how_to_get_it(
    report: Report, study: Study, name: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(OptionError, match=rf"format {name} needs {package}: pip install 'reportgen\[clinical\]'"):
        report_bytes(report, name, study, ORIGIN)


def test_rg_report_writes_files_of_a_format(rg, model: Path, study: Study, tmp_path: Path) -> None:
    folder, out = study.views[0].path.parent, tmp_path / "out"
    done = rg("report", folder, "--model", model, "--precision", "fp32", "--format", "sr", "--out", out)
    assert done.code == 0, done.err
    made = dcmread(out / "in.dcm")
    text = load(model).report([v.path for v in study.views], precision="fp32")[0].text
    assert done.out.splitlines()[0] == text
    said = [i.TextValue for i in items(made, "TEXT") if i.ConceptNameCodeSequence[0].CodeMeaning == "Finding"]
    assert " ".join(said).startswith(text)


def test_rg_report_prints_fhir_as_a_line_for_each_study(rg, model: Path, chest: Path, tmp_path: Path) -> None:
    done = rg("report", chest, chest.with_name("in") / "x", "--model", model, "--format", "fhir")
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert [row["resourceType"] for row in rows] == ["DiagnosticReport"]
    assert done.code == 1  # of the file that is not there


def test_rg_report_json_as_a_format_names_the_model(rg, model: Path, chest: Path) -> None:
    values = json.loads(rg("report", chest, "--model", model, "--format", "json").out)
    assert values["model"] == "tiny" and values["purpose"] == PURPOSE and values["text"]


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--format", "sr"], "needs --out DIR"),
        (["--format", "fhir", "--json"], "give one"),
        (["--deidentify"], "--deidentify belongs to --format sr or fhir"),
        (["--store"], "--store stores in the archive that the studies are from"),
        (["--store", "--format", "fhir"], "--store puts DICOM SR into the archive"),
    ],
)
def test_options_that_do_not_go_together_are_one_line(rg, model: Path, chest: Path, flags, says: str) -> None:
    done = rg("report", chest, "--model", model, *flags)
    assert done.code == 1 and says in done.err and "Traceback" not in done.err


def test_rg_report_says_in_one_line_that_sr_wants_dicom(rg, model: Path, chest: Path, tmp_path: Path) -> None:
    done = rg("report", chest, "--model", model, "--format", "sr", "--out", tmp_path / "out")
    assert done.code == 1 and "format sr wants DICOM files, and chest.png is none" in done.err
    assert not list((tmp_path / "out").glob("*.dcm"))


@pytest.mark.parametrize(
    ("files", "arguments", "says"),
    [
        (["a.png"], ["--format", "sr", "--out", "o"], "format sr wants DICOM files, and a.png is none"),
        (["a.png", "b.png"], ["--format", "sr", "--out", "o"], "none of the 2 studies can have this format"),
        (["a.dcm", "b.dcm"], ["--format", "fhir", "--study"], "the images of a are of 2 examinations; it wants one"),
        (["ct.dcm"], ["--strict"], "is refused: its header says modality"),
        (["ct.dcm", "hand.dcm"], ["--strict"], "its header says body part"),
    ],
)
def test_what_headers_rule_out_is_said_before_a_model_is_read(
    rg, tmp_path: Path, chest: Path, monkeypatch: pytest.MonkeyPatch, files: list[str], arguments: list[str], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(commands, "load_model", lambda *_: pytest.fail("a model is read"))
    for name in ("a.png", "b.png"):
        shutil.copy(chest, name)
    for name, uid, more in (("a", "1.2.1", {}), ("b", "1.2.2", {}), ("hand", "1.2.3", {"BodyPartExamined": "HAND"})):
        radiograph(tmp_path / f"{name}.dcm", uid, **more)
    radiograph(tmp_path / "ct.dcm", "1.2.9", modality="CT")
    done = rg("report", *files, *arguments)
    assert done.code == 1 and says in done.err and "Traceback" not in done.err and not done.out


def test_one_study_that_can_have_the_format_lets_the_others_be_named(
    rg, tmp_path: Path, chest: Path, model: Path
) -> None:
    file = radiograph(tmp_path / "a.dcm")
    done = rg("report", chest, file, "--model", model, "--format", "sr", "--out", tmp_path / "o")
    assert done.code == 1 and "format sr wants DICOM files, and chest.png is none" in done.err
    assert (tmp_path / "o" / "a.dcm").exists()


def test_with_a_folder_the_terminal_has_the_text_and_the_folder_the_format(
    rg, tmp_path: Path, chest: Path, model: Path
) -> None:
    done = rg("report", chest, "--model", model, "--format", "fhir", "--out", tmp_path / "o")
    values = json.loads((tmp_path / "o" / "chest.fhir.json").read_text())
    assert (
        done.out.splitlines()[0] == load(model).report(chest)[0].text and values["resourceType"] == "DiagnosticReport"
    )


def test_a_finding_that_a_model_never_names_has_no_threshold_above_one(report: Report, study: Study) -> None:
    wanted = Wanted(thresholds={"Pneumothorax": 2.0})
    rows = json.loads(report_bytes(report, "fhir", study, ORIGIN, wanted))["contained"]
    says = {row["code"]["text"]: row["interpretation"][0]["text"] for row in rows if "interpretation" in row}
    assert says["Pneumothorax"] == "never named by this model" and "threshold of" not in says["Pleural Effusion"]
    assert b"Pneumothorax 0.30 (never named by this model)" in report_bytes(report, "sr", study, ORIGIN, wanted)
