"""Read Open-i's XML reports of the Indiana University chest X-ray collection (Demner-Fushman et al., 2016).

They are read from the folder ecgen-radiology or from NLMCXR_reports.tgz, which is never unpacked to disk. All sizes
are bounded. A document type declaration, which no report has, is refused, because its entities could expand without
end.
"""

from __future__ import annotations

import gzip
import re
import tarfile
import xml.etree.ElementTree as ET
import zlib
from collections.abc import Iterator
from pathlib import Path
from xml.parsers import expat

from reportgen_core import DataError, Study, View

from .image_files import is_name

MAX_REPORT = 2**20  # bytes of one report; the longest has 9,000
MAX_REPORTS = 20_000  # files; there are 3,955
MAX_ARCHIVE = 2**28  # bytes of the unpacked archive; there are 22 million


def studies(source: Path) -> Iterator[Study]:
    """Yield every report of a folder or .tgz, by number. The paths of views are image ids without a folder."""
    files = _folder(source) if source.is_dir() else _archive(source)
    by_id = {}
    for name, data in files:
        study = parse(name, data)
        if study.id in by_id:
            raise DataError(f"{source} holds two reports {study.id}; one of them must go")
        by_id[study.id] = study
    yield from sorted(by_id.values(), key=lambda s: (int(re.sub(r"\D", "", s.id) or 0), s.id))


def _folder(folder: Path) -> Iterator[tuple[str, bytes]]:
    paths = sorted(folder.glob("*.xml"))
    if len(paths) > MAX_REPORTS:
        raise DataError(f"{folder} holds more than {MAX_REPORTS} XML files; is it ecgen-radiology?")
    for path in paths:
        with path.open("rb") as file:
            yield str(path), file.read(MAX_REPORT + 1)


class _Bounded(gzip.GzipFile):
    """Unzips at most MAX_ARCHIVE bytes. Raises DataError for more."""

    left = MAX_ARCHIVE

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.left -= len(data)
        if self.left < 0:
            raise DataError(f"{self.name} unpacks to more than {MAX_ARCHIVE} bytes; is it NLMCXR_reports.tgz?")
        return data


def _archive(path: Path) -> Iterator[tuple[str, bytes]]:
    try:
        with _Bounded(path) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
            for count, member in enumerate(tar):
                if count > MAX_REPORTS:
                    raise DataError(f"{path} holds more than {MAX_REPORTS} files; is it NLMCXR_reports.tgz?")
                file = tar.extractfile(member) if member.isfile() and member.name.endswith(".xml") else None
                if file is not None:
                    yield f"{path}: {member.name}", file.read(MAX_REPORT + 1)
    except (tarfile.TarError, EOFError, OSError, zlib.error) as e:
        raise DataError(f"{path} cannot be read as a gzipped tar archive: {e}") from e


def _tree(name: str, data: bytes) -> ET.Element:
    if len(data) > MAX_REPORT:
        raise DataError(f"{name} has more than {MAX_REPORT} bytes, so it is no Open-i report")

    def refuse(*_: object) -> None:
        raise DataError(f"{name} declares a document type, which no Open-i report does; it is not read")

    builder, parser = ET.TreeBuilder(), expat.ParserCreate()
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(data, True)
    except expat.ExpatError as e:
        raise DataError(f"{name} is no well-formed XML: {e}") from e
    return builder.close()


def parse(name: str, data: bytes) -> Study:
    """Return one report as a study. Tags are the `automatic` (MTI) ones; extra has `mesh`, `normal` and the licence."""
    tree = _tree(name, data)
    uid = tree.find("uId")
    id = uid.get("id", "") if uid is not None else ""
    if not re.fullmatch(r"[\w.-]{1,64}", id):
        raise DataError(f"{name} has no uId, so it is no Open-i report")
    sections = {
        (e.get("Label") or "").lower(): text for e in tree.iter("AbstractText") if (text := (e.text or "").strip())
    }
    mesh = [text for e in tree.iter("major") if (text := (e.text or "").strip())]
    tags = dict.fromkeys(text.lower() for e in tree.iter("automatic") if (text := (e.text or "").strip()))
    images = [e.get("id") or "" for e in tree.iter("parentImage")]
    return Study(
        id,
        views=tuple(View(Path(i)) for i in images if is_name(i)),
        sections=sections,
        tags=tuple(tags),
        patient=id,
        extra={
            "mesh": mesh,
            "normal": any(m.lower() == "normal" for m in mesh),
            "licence": (tree.findtext("ccLicense") or "").strip(),
        },
    )
