"""Write a report as a FHIR DiagnosticReport that contains its Observations and its Device, by fhir.resources.

R4B is HL7's release of 2022, R5 that of 2023. The resource is one line of JSON, so that several are NDJSON. It is
preliminary: no person has read it. Images that are DICOM files give the patient's id, the accession number and the UID
of the study, all as identifiers; of other images nothing of that kind is known.
"""

from __future__ import annotations

import base64
import html
import importlib
from datetime import UTC, datetime
from typing import Any

from reportgen_core import Report, Study

from ..pages.shared.origin import PURPOSE, Origin
from .codes import LOINC, SCHEMES, finding_code
from .instances import Examination, all_dicom, read_examination
from .wanted import Finding, Wanted, check_installed, findings_of

STATUS = "preliminary"
DEVICE = {"reference": "#device"}


def check_fhir(study: Study, deidentify: bool) -> None:
    """Raise DataError if the images of a study are DICOM files that do not belong together."""
    _examination(study, deidentify)


def fhir_r4b(report: Report, study: Study, origin: Origin, wanted: Wanted) -> bytes:
    """Return a report as a DiagnosticReport of R4B."""
    return _resource("R4B.", report, study, origin, wanted)


def fhir_r5(report: Report, study: Study, origin: Origin, wanted: Wanted) -> bytes:
    """Return a report as a DiagnosticReport of R5."""
    return _resource("", report, study, origin, wanted)


def _resource(release: str, report: Report, study: Study, origin: Origin, wanted: Wanted) -> bytes:
    """Return the resource as one line. Its classes check every value; `release` is their package, "R4B." or ""."""
    check_installed("format fhir", ("fhir.resources",))
    module = importlib.import_module(f"fhir.resources.{release}diagnosticreport")
    values = _values(not release, report, study, origin, wanted)
    return str(module.DiagnosticReport(**values).model_dump_json()).encode() + b"\n"


def _values(newer: bool, report: Report, study: Study, origin: Origin, wanted: Wanted) -> dict[str, Any]:
    """Return the values of the DiagnosticReport; `newer` is R5, in which some fields have other names."""
    examination = _examination(study, wanted.deidentify)
    notes = [text for text in (report.note, report.problem) if text]
    seen = _observations(report, origin, wanted)
    subject = _subject(examination)
    for observation in seen:
        observation.update(subject)
    whole = "\n".join([report.text, *notes, origin.text()])
    lines = "".join(f"<p>{html.escape(line)}</p>" for line in whole.splitlines() if line.strip())
    extra: dict[str, Any] = {"note": [{"text": text} for text in (PURPOSE, *notes)]} if newer else {}
    return {
        "meta": {"tag": [{"display": PURPOSE}]},
        "text": {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{lines}</div>'},
        "contained": [_device(newer, origin), *seen],
        "status": STATUS,
        "code": _loinc("DiagnosticImagingReport"),
        "issued": datetime.now(UTC).isoformat(timespec="seconds"),
        "result": [{"reference": f"#{observation['id']}"} for observation in seen],
        "conclusion": f"{report.text or '(the model wrote nothing)'} ({PURPOSE})",
        "presentedForm": [
            {"contentType": "text/plain; charset=utf-8", "data": base64.b64encode(whole.encode()).decode()}
        ],
        **subject,
        **_study(newer, examination),
        **extra,
    }


def _examination(study: Study, deidentify: bool) -> Examination | None:
    """Return the examination of a study; None if its images are no DICOM files, or nothing of it may be named."""
    return read_examination(study, "fhir", deidentify) if not deidentify and all_dicom(study) else None


def _observations(report: Report, origin: Origin, wanted: Wanted) -> list[dict[str, Any]]:
    """Return the text as an Observation, and one with the probability of each finding."""
    note = [{"text": origin.text()}]
    common = {"resourceType": "Observation", "status": STATUS, "device": DEVICE, "note": note}
    text = {**common, "id": "report", "code": _loinc("Findings"), "valueString": report.text or "(nothing)"}
    return [text, *(_observation(n, row, common) for n, row in enumerate(findings_of(report, wanted), 1))]


def _observation(number: int, row: Finding, common: dict[str, Any]) -> dict[str, Any]:
    """Return the probability of a finding, with words on whether it reaches its threshold."""
    place = "at or above" if row.present else "below"
    return {
        **common,
        "id": f"finding-{number}",
        "code": _concept(row.name),
        "valueQuantity": {
            "value": round(row.probability, 4),
            "unit": "probability",
            "system": "http://unitsofmeasure.org",
            "code": "1",
        },
        "interpretation": [{"text": row.bound if row.threshold > 1 else f"{place} the model's {row.bound}"}],
    }


def _concept(name: str) -> dict[str, Any]:
    """Return a finding as a concept: with a code if a dictionary has its name, and always with its name as text."""
    code = finding_code(name)
    if code is None:
        return {"text": name}
    system = SCHEMES[code.scheme_designator]
    return {"coding": [{"system": system, "code": code.value, "display": code.meaning}], "text": name}


def _loinc(keyword: str) -> dict[str, Any]:
    from pydicom.sr.codedict import codes

    code = getattr(codes.LN, keyword)
    return {"coding": [{"system": LOINC, "code": code.value, "display": code.meaning}], "text": code.meaning}


def _device(newer: bool, origin: Origin) -> dict[str, Any]:
    """Return the model as a Device, with the version of reportgen and the hash of the model."""
    name = origin.model or "a model"
    named = {"name": [{"value": name, "type": "registered-name"}]} if newer else {
        "deviceName": [{"name": name, "type": "model-name"}]
    }  # fmt: skip
    pin = [{"type": {"text": "sha256 of the model"}, "value": origin.digest}] if origin.digest else []
    return {
        "resourceType": "Device",
        "id": "device",
        "manufacturer": "reportgen",
        "version": [{"type": {"text": "software"}, "value": origin.version}, *pin],
        "note": [{"text": PURPOSE}],
        **named,
    }


def _subject(examination: Examination | None) -> dict[str, Any]:
    """Return the patient by the id of the images; {} without one."""
    patient = examination.elements["PatientID"] if examination else ""
    return {"subject": {"type": "Patient", "identifier": {"value": patient}}} if patient else {}


def _study(newer: bool, examination: Examination | None) -> dict[str, Any]:
    """Return the study by its UID and its accession number; {} without DICOM files."""
    if examination is None:
        return {}
    identifier = {"system": "urn:dicom:uid", "value": f"urn:oid:{examination.uid}"}
    values: dict[str, Any] = {
        "study" if newer else "imagingStudy": [{"type": "ImagingStudy", "identifier": identifier}],
    }
    if accession := examination.elements["AccessionNumber"]:
        values["basedOn"] = [{"type": "ServiceRequest", "identifier": {"value": accession}}]
    return values
