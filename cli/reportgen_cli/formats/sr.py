"""Write a report as a DICOM Comprehensive SR (PS3.3 A.35.3) that belongs to the study of its images, by highdicom.

    CONTAINER  Diagnostic Imaging Report
      the model as observer (TID 1002, 1004), and as algorithm with version and pin (TID 4019)
      CONTAINER  Findings
        TEXT     Finding: a sentence           < INFERRED FROM the images, or its boxes as SCOORD
        CODE     Finding: one that is present  < with its probability; a TEXT where no dictionary has a code
        TEXT     Comment: findings below their threshold
      TEXT       Comment: for research, not a medical device, and the notes of the report

The document is unverified and preliminary: no person has read it.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from reportgen_core import Box, Report, Study

from ..pages.shared.origin import Origin
from .codes import finding_code
from .instances import Examination, Instance, derived_uid, read_examination
from .wanted import Finding, Wanted, check_installed, findings_of

MAX_NAME = 64  # characters of a long string, VR LO
SERIES_NUMBER = 9900


def check_sr(study: Study, deidentify: bool) -> None:
    """Raise DataError if the images of a study are no DICOM files of one examination."""
    read_examination(study, "sr", deidentify)


def sr_bytes(report: Report, study: Study, origin: Origin, wanted: Wanted) -> bytes:
    """Return a report as a DICOM file. Raises DataError if the images are no DICOM files of one examination."""
    check_installed("format sr", ("highdicom",))
    from pydicom import dcmwrite

    examination = read_examination(study, "sr", wanted.deidentify)
    document = sr_document(report, examination, origin, wanted)
    file = io.BytesIO()
    dcmwrite(file, document, enforce_file_format=True)
    return file.getvalue()


def sr_document(report: Report, examination: Examination, origin: Origin, wanted: Wanted) -> Any:
    """Return a report as a `highdicom.sr.ComprehensiveSR`."""
    from highdicom.sr import ComprehensiveSR

    content = _root(report, examination, origin, wanted)
    text = (report.text, report.note, origin.text(), repr(findings_of(report, wanted)))
    document: Any = ComprehensiveSR(
        evidence=[_evidence(instance, examination) for instance in examination.instances],
        content=content,
        series_instance_uid=derived_uid("series", examination.uid, origin.digest or origin.model),
        series_number=SERIES_NUMBER,
        sop_instance_uid=wanted.instance or derived_uid("file", examination.uid, *text),
        instance_number=1,
        manufacturer="reportgen",
        is_complete=True,
        is_final=False,
        specific_character_set="ISO_IR 192",
    )
    document.ManufacturerModelName = _short(origin.model or "a model")
    document.SoftwareVersions = [_short(origin.version), *([origin.digest[:MAX_NAME]] if origin.digest else [])]
    document.SeriesDescription = "Report of a model, for research, not a medical device"
    for name, value in examination.elements.items():
        setattr(document, name, value)
    now = datetime.now(UTC)
    document.ContentDate, document.ContentTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    document.TimezoneOffsetFromUTC = "+0000"
    return document


def _root(report: Report, examination: Examination, origin: Origin, wanted: Wanted) -> Any:
    """Return the root of the content: who observed, the findings and the comments."""
    import highdicom.sr as sr
    from pydicom.sr.codedict import codes

    root = sr.ContainerContentItem(codes.LN.DiagnosticImagingReport, is_content_continuous=False)
    observer = sr.ObserverContext(
        codes.DCM.Device,
        sr.DeviceObserverIdentifyingAttributes(
            derived_uid("device", origin.digest or origin.model),
            name=_short(origin.model or "a model"),
            manufacturer_name="reportgen",
            model_name=_short(origin.model or "a model"),
        ),
    )
    algorithm = sr.AlgorithmIdentification(
        name=origin.model or "a model",
        version=origin.version,
        parameters=[f"sha256 {origin.digest}"] if origin.digest else None,
    )
    comments = [origin.text(), *(text for text in (report.note, report.problem) if text)]
    items = [
        *algorithm,
        *observer,
        _findings(report, examination, wanted),
        *(sr.TextContentItem(codes.DCM.Comment, text, "CONTAINS") for text in comments),
    ]
    root.ContentSequence = sr.ContentSequence(items)
    return root


def _findings(report: Report, examination: Examination, wanted: Wanted) -> Any:
    """Return the container of the sentences and of the findings."""
    import highdicom.sr as sr
    from pydicom.sr.codedict import codes

    used = examination.used(report)
    sources = [instance for instance in used if instance] or list(examination.instances)
    rows = findings_of(report, wanted)
    items = []
    for number, sentence in enumerate(report.sentences or (report.text,)):
        boxes = report.boxes[number] if number < len(report.boxes) else ()
        items.append(_sentence(sentence, boxes, used, sources))
    items += [_finding(row) for row in rows if row.present]
    if absent := [f"{row.name} {row.probability:.2f} ({row.bound})" for row in rows if not row.present]:
        items.append(
            sr.TextContentItem(codes.DCM.Comment, "Probabilities below threshold: " + "; ".join(absent), "CONTAINS")
        )
    container = sr.ContainerContentItem(codes.DCM.Findings, is_content_continuous=False, relationship_type="CONTAINS")
    container.ContentSequence = sr.ContentSequence(items)
    return container


def _sentence(text: str, boxes: Sequence[Box], used: Sequence[Instance | None], sources: Sequence[Instance]) -> Any:
    """Return a sentence with its boxes as regions of images, or with the images that it was written from."""
    import highdicom.sr as sr
    from pydicom.sr.codedict import codes

    item = sr.TextContentItem(codes.DCM.Finding, text or "(the model wrote nothing)", "CONTAINS")
    regions = [
        _region(box, instance)
        for box in boxes
        if box.view < len(used) and (instance := used[box.view]) and instance.rows and instance.columns
    ]
    images = [
        sr.ImageContentItem(codes.DCM.SourceImage, i.sop_class, i.uid, relationship_type="INFERRED FROM")
        for i in sources
    ]
    item.ContentSequence = sr.ContentSequence(regions or images)
    return item


def _region(box: Box, instance: Instance) -> Any:
    """Return a box as a closed line over its image: columns and rows, in pixels from the upper left corner."""
    import highdicom.sr as sr
    import numpy as np

    left, top = box.left * instance.columns, box.top * instance.rows
    right, bottom = left + box.width * instance.columns, top + box.height * instance.rows
    corners = [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]
    within = np.clip(np.array(corners), 0, [instance.columns, instance.rows])
    region = sr.ImageRegion("POLYLINE", within, sr.SourceImageForRegion(instance.sop_class, instance.uid))
    region.RelationshipType = "INFERRED FROM"
    return region


def _finding(row: Finding) -> Any:
    """Return a finding with its probability in per cent: coded if a dictionary has its name, else as text."""
    import highdicom.sr as sr
    from pydicom.sr.codedict import codes

    code = finding_code(row.name)
    item = (
        sr.CodeContentItem(codes.DCM.Finding, code, "CONTAINS")
        if code
        else sr.TextContentItem(codes.DCM.Finding, row.name, "CONTAINS")
    )
    certainty = round(100 * row.probability, 2)
    item.ContentSequence = sr.ContentSequence(
        [
            sr.NumContentItem(
                codes.DCM.CertaintyOfFinding, certainty, codes.UCUM.Percent, relationship_type="HAS PROPERTIES"
            )
        ]
    )
    return item


def _evidence(instance: Instance, examination: Examination) -> Any:
    """Return what highdicom reads of an image: its UIDs. The elements of the patient are set on the document."""
    from pydicom.dataset import Dataset

    image = Dataset()
    image.SOPClassUID, image.SOPInstanceUID = instance.sop_class, instance.uid
    image.StudyInstanceUID, image.SeriesInstanceUID = examination.uid, instance.series
    for name in examination.elements:
        setattr(image, name, "")
    return image


def _short(text: str) -> str:
    return text.replace("\\", "/")[:MAX_NAME]
