"""Map a report to bytes in a named format. A new format is one more row of `FORMATS`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from reportgen_core import OptionError, Report, Study
from reportgen_core.registry import did_you_mean
from reportgen_core.text.printable import printable_json

from ..pages.shared.origin import PURPOSE, Origin
from .values import as_text, as_values, named_by_file

Write = Callable[[Report, Study, Origin], bytes]


@dataclass(frozen=True, slots=True)
class Format:
    """A format of reports. `write` gets the report, the study that it is of, and the model that wrote it."""

    media: str  # its media type
    suffix: str  # of its files
    summary: str
    write: Write


def report_bytes(report: Report, name: str, study: Study, origin: Origin) -> bytes:
    """Return a report in the format of this name. Raises OptionError for an unknown name.

    The files of `study` are on this machine while this runs; a format may read their headers.
    """
    return format_named(name).write(report, study, origin)


def format_named(name: str) -> Format:
    """Return a format by its name. Raises OptionError with the nearest names."""
    if name not in FORMATS:
        raise OptionError(f"no format {name!r}; {did_you_mean(name, FORMATS)}")
    return FORMATS[name]


def _text(report: Report, study: Study, origin: Origin) -> bytes:
    """Return the report for a reader, its note, and where it comes from."""
    notes = [f"note: {text}" for text in (report.note, report.problem) if text]
    return "\n".join([as_text(report, headed=False), *notes, origin.text()]).encode() + b"\n"


def _json(report: Report, study: Study, origin: Origin) -> bytes:
    """Return the report as `rg report --json` writes it, with its purpose and its model."""
    values = named_by_file(as_values(report, attention=False), [str(view.path) for view in study.views])
    return printable_json({**values, "model": origin.model, "purpose": PURPOSE}).encode() + b"\n"


FORMATS: dict[str, Format] = {
    "text": Format("text/plain; charset=utf-8", ".txt", "the report for a reader", _text),
    "json": Format("application/json", ".json", "the fields of rg report --json", _json),
}
