"""Map a report to bytes in a named format. A new format is one more row of `FORMATS`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from reportgen_core import OptionError, Report, Study
from reportgen_core.registry import did_you_mean
from reportgen_core.text.printable import printable_json

from ..pages.shared.origin import PURPOSE, Origin
from .fhir import check_fhir, fhir_r4b, fhir_r5
from .sr import check_sr, sr_bytes
from .values import as_text, as_values, named_by_file
from .wanted import Wanted, check_installed, missing_packages

Write = Callable[[Report, Study, Origin, Wanted], bytes]
Check = Callable[[Study, bool], None]


@dataclass(frozen=True, slots=True)
class Format:
    """A format of reports. `write` gets the report, the study that it is of, and the model that wrote it."""

    media: str  # its media type
    suffix: str  # of its files
    summary: str
    make: Write
    packages: tuple[str, ...] = ()  # that it needs besides those that always come
    binary: bool = False  # no text for a terminal
    check_study: Check | None = None  # raises DataError for a study that cannot have it, by headers; True: deidentified

    def write(self, report: Report, study: Study, origin: Origin, wanted: Wanted | None = None) -> bytes:
        """Return a report in this format. The files of `study` are read. Raises DataError or OptionError."""
        return self.make(report, study, origin, wanted or Wanted())

    @property
    def usable(self) -> bool:
        """Return whether the packages that this format needs are installed."""
        return not missing_packages(self.packages)

    def check(self, name: str) -> None:
        """Raise OptionError if a package that this format needs is not installed."""
        check_installed(f"format {name}", self.packages)


def report_bytes(report: Report, name: str, study: Study, origin: Origin, wanted: Wanted | None = None) -> bytes:
    """Return a report in the format of this name. Raises OptionError for an unknown name.

    The files of `study` are on this machine while this runs; a format may read their headers.
    """
    return format_named(name).write(report, study, origin, wanted)


def format_named(name: str) -> Format:
    """Return a format by its name. Raises OptionError with the nearest names."""
    if name not in FORMATS:
        raise OptionError(f"no format {name!r}; {did_you_mean(name, FORMATS)}")
    return FORMATS[name]


def _text(report: Report, study: Study, origin: Origin, wanted: Wanted) -> bytes:
    """Return the report for a reader, its note, and where it comes from."""
    notes = [f"note: {text}" for text in (report.note, report.problem) if text]
    return "\n".join([as_text(report, headed=False), *notes, origin.text()]).encode() + b"\n"


def _json(report: Report, study: Study, origin: Origin, wanted: Wanted) -> bytes:
    """Return the report as `rg report --json` writes it, with its purpose and its model."""
    values = named_by_file(as_values(report, attention=False), [str(view.path) for view in study.views])
    return printable_json({**values, "model": origin.model, "purpose": PURPOSE}).encode() + b"\n"


FHIR = ("fhir.resources",)
FORMATS: dict[str, Format] = {
    "text": Format("text/plain; charset=utf-8", ".txt", "the report for a reader", _text),
    "json": Format("application/json", ".json", "the fields of rg report --json", _json),
    "sr": Format("application/dicom", ".dcm", "DICOM SR, for DICOM images", sr_bytes, ("highdicom",), True, check_sr),
    "fhir": Format("application/fhir+json", ".fhir.json", "FHIR R4B", fhir_r4b, FHIR, check_study=check_fhir),
    "fhir-r5": Format("application/fhir+json", ".fhir5.json", "FHIR R5", fhir_r5, FHIR, check_study=check_fhir),
}
