"""Read the header of a DICOM file: the elements named here, and facts about the picture.

Only listed elements are parsed, so names and dates of a patient are never in memory. PatientID and the UIDs of study
and series are hashed at once, with a key that differs from process to process: they only serve to group files.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ...errors import ImageError
from ...files.shards.member import open_image

if TYPE_CHECKING:
    from ...types import Projection

MAX_BYTES = 1 << 29  # of a file, and of a deflated one when inflated
MAX_META = 256  # elements of group 2; there are about ten
HEADER_BYTES = 1 << 20  # of a deflated file, that are inflated to see how large its picture is
EXTRA_BYTES = 1 << 26  # of a deflated file, besides its picture
MAX_SHOWN = 20  # characters of an element in a note

_DEFLATED, _PLAIN = b"1.2.840.10008.1.2.1.99", b"1.2.840.10008.1.2.1\0\0\0"
_LONG = (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")  # PS3.5, 7.1.2
SIZE = ["Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "BitsAllocated"]
DOMAIN = ["SOPClassUID", "Modality", "BodyPartExamined", "AnatomicRegionSequence"]
VIEW = ["ViewPosition", "ViewCodeSequence", "PatientOrientation", "ImageLaterality", "Laterality"]
_GROUP = ["PatientID", "StudyInstanceUID", "SeriesInstanceUID"]
_KEY = os.urandom(16)

# Words of View Position (PS3.3 C.8.1.3), and others that are in it in files of MIMIC-CXR, Open-i and hospitals.
_LATERAL = frozenset({"LL", "RL", "LATERAL", "LAT", "LLAT", "RLAT", "LATL", "LATR"})
_FRONTAL = frozenset({"PA", "AP", "FRONTAL", "LLD", "RLD", "DECUBITUS", "DECUB"})  # lying on a side, the beam level
# CID 4010 "DX View": SNOMED CT and the older SNOMED RT codes.
_CODES: dict[str, Projection] = {
    **dict.fromkeys(["399348003", "272479007", "399033003", "R-10206", "R-10214", "R-40888", "R-10202"], "frontal"),
    **dict.fromkeys(["399067008", "399173006", "399198007", "R-102CD", "R-10236", "R-10232"], "lateral"),
}
# Modalities (PS3.3 C.7.3.1.1.1) of projection radiographs, and words that do not say what a file is.
_RADIOGRAPHS = frozenset({"CR", "DX", "DR", "RG", "XR", "X-RAY", "XRAY", "RX"})
_UNSAID = frozenset({"", "OT", "SC", "OTHER", "UNKNOWN", "UNSPECIFIED", "UNDEFINED", "NONE", "N/A", "NA", "NULL"})
# Storage classes (PS3.4 B.5) of other modalities, for a file without Modality: the UID after its common root.
_CLASSES = {
    "2": "CT", "2.1": "CT", "2.2": "CT", "4": "MR", "4.1": "MR", "4.3": "MR", "4.4": "MR", "128": "PT", "130": "PT",
    "20": "NM", "3.1": "US", "6.1": "US", "6.2": "US", "1.2": "MG", "1.2.1": "MG", "1.3": "IO", "1.3.1": "IO",
    "12.1": "XA", "12.1.1": "XA", "12.2": "RF", "12.2.1": "RF", "481.1": "RTIMAGE",
}  # fmt: skip
_STORAGE = "1.2.840.10008.5.1.4.1.1."
_CHEST = re.compile(r"CHEST|THORA[XC]|T.?.RAX|TORAC|LUNG|PULMO|\bCXR|\bRIBS?\b|STERN|CLAVIC|HEART|CARDIAC|MEDIASTIN")
_SPINE = re.compile(r"SPINE|VERTEB|MYEL")


@dataclass(frozen=True, slots=True)
class DicomFacts:
    """Facts of a header about the picture. The hashes group files, and are not to be shown; "" if there is no value."""

    projection: Projection
    study: str = field(repr=False)  # of patient and examination
    series: str = field(default="", repr=False)
    laterality: str = ""  # L, R, B (both) or U (unpaired), as written
    modality: str = ""  # in capitals, as CR, DX, CT
    body_part: str = ""  # in capitals, as CHEST, HAND
    notes: tuple[str, ...] = ()  # contradictions, for the reader of a report
    not_chest: tuple[str, ...] = ()  # why the header says that this is no chest radiograph


def is_dicom(path: Path) -> bool:
    """Return whether a file is DICOM by its content: magic after a preamble, or elements from the first byte on."""
    with open_image(path) as file:
        return is_dicom_file(file, path)


def is_dicom_file(file: BinaryIO, path: Path) -> bool:
    """Return whether an open file is DICOM, as `is_dicom` does, and go back to its beginning."""
    head = file.read(132)
    file.seek(0)
    if head[128:] == b"DICM":
        return True
    if head[:2] not in (b"\x02\x00", b"\x08\x00", b"\x00\x08"):  # groups that come first, either byte order
        return False
    try:
        dataset = read_elements(file, path, ["SOPClassUID", "Rows"])
        return any(name in dataset for name in ("SOPClassUID", "Rows"))
    except ImageError:
        return False  # no DICOM: another reader finds out what it is
    finally:
        file.seek(0)


def dicom_facts(path: Path) -> DicomFacts:
    """Return the facts of a DICOM file. Raises ImageError if its header cannot be read."""
    with naming(path, "damaged or unsupported DICOM"), open_image(path) as file:
        return facts_of(read_elements(file, path, VIEW + DOMAIN + _GROUP))


def facts_of(dataset: Any) -> DicomFacts:
    """Return the facts of a parsed header."""
    projection, contradiction = _projection(dataset)
    modality = raw_text(dataset, "Modality").upper()
    if modality in _UNSAID:
        modality = _CLASSES.get(raw_text(dataset, "SOPClassUID").removeprefix(_STORAGE), modality)
    body_part = _body_part(dataset)
    study = [raw_text(dataset, name) for name in ("PatientID", "StudyInstanceUID")]
    not_chest = []
    if modality not in _UNSAID | _RADIOGRAPHS:
        not_chest.append(f"its header says modality {shown(modality)}: it is no radiograph")
    if body_part not in _UNSAID and (not _CHEST.search(body_part) or _SPINE.search(body_part)):
        not_chest.append(f"its header says body part {shown(body_part)}: it is no chest")
    return DicomFacts(
        projection,
        _hashed(*study) if study[1] else "",
        _hashed(*study, series) if (series := raw_text(dataset, "SeriesInstanceUID")) else "",
        (raw_text(dataset, "ImageLaterality") or raw_text(dataset, "Laterality")).upper()[:1],
        modality,
        body_part,
        (contradiction,) if contradiction else (),
        tuple(not_chest),
    )


def _hashed(*texts: str) -> str:
    return hashlib.blake2b("\0".join(texts).encode(), key=_KEY, digest_size=16).hexdigest()


def _body_part(dataset: Any) -> str:
    """Return the body part in capitals: of BodyPartExamined, else the meaning of the code of the region."""
    part = raw_text(dataset, "BodyPartExamined").upper()
    if part not in _UNSAID:
        return part
    meanings = [raw_text(item, "CodeMeaning").upper() for item in items(dataset, "AnatomicRegionSequence")]
    return next((meaning for meaning in meanings if meaning not in _UNSAID), part)


def _projection(dataset: Any) -> tuple[Projection, str]:
    """Return the projection by view position, view code and the way the rows run; "" if none of them says it.

    It is lateral if any of them says so. If another one says frontal, the second value is a note; else it is "".
    """
    position = raw_text(dataset, "ViewPosition").upper()
    codes = [raw_text(item, "CodeValue") for item in items(dataset, "ViewCodeSequence")]
    towards = raw_text(dataset, "PatientOrientation")[:1].upper()  # the patient's side that rows run to
    rows: dict[str, Projection] = {**dict.fromkeys("LR", "frontal"), **dict.fromkeys("AP", "lateral")}
    evidence: list[tuple[str, Projection]] = []
    if position:
        evidence.append((f"view position {shown(position)}", _projection_of(position)))
    evidence += [("its view code", _CODES[code]) for code in codes if code in _CODES][:1]
    if towards in rows:
        evidence.append((f"rows towards {towards}", rows[towards]))
    sides = {side for _, side in evidence if side}
    if len(sides) > 1:
        claims = ", ".join(f"{what} is {side}" for what, side in evidence if side)
        return "lateral", f"its header contradicts itself ({claims}): taken for a lateral view"
    if position and not evidence[0][1]:
        return ("lateral" if "lateral" in sides else ""), ""  # an oblique view has rows towards L or R, too
    return next(iter(sides), ""), ""


def _projection_of(position: str) -> Projection:
    """Return the projection of a view position by its words: "PA", "AP AXIAL", "LEFT LATERAL"; "" for any other."""
    words = set(re.findall(r"[A-Z]+", position))
    if words & {"DECUBITUS", "DECUB"} or not (words & _LATERAL or words == {"L"}):
        return "frontal" if words & _FRONTAL else ""
    return "lateral"


def shown(text: str) -> str:
    """Return a text of a header for a note: short, and with escapes for characters that cannot be printed."""
    short = text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"
    return short if short.isprintable() else ascii(short)


def items(dataset: Any, keyword: str) -> Sequence[Any]:
    """Return the items of a sequence; () if there is none, or it cannot be read."""
    try:
        return dataset.get(keyword) or ()
    except Exception:  # pydicom raises many kinds of errors for a damaged sequence
        return ()


def raw_text(dataset: Any, keyword: str) -> str:
    """Return the text of an element as written, without blanks around it; "" if there is none.

    pydicom's own value would come with a warning that prints a malformed one.
    """
    element = dataset.get_item(keyword)
    value = None if element is None else element.value
    if isinstance(value, bytes | bytearray):
        text = bytes(value).decode("latin-1")  # never fails, and keeps different bytes different
    elif value is None or isinstance(value, str):
        text = value or ""
    else:
        text = "\\".join(map(str, value if isinstance(value, Sequence) else [value]))
    return " ".join(text.replace("\0", " ").split())


def has_value(dataset: Any, keyword: str) -> bool:
    """Return whether an element is there and not empty."""
    element = dataset.get_item(keyword)
    return element is not None and element.value not in (None, b"", "", [])


def read_elements(file: BinaryIO, path: Path, keywords: Sequence[str]) -> Any:
    """Return these elements of an open file. pydicom has types, but its elements are `Any` to them.

    Raises ImageError, naming `path`.
    """
    from pydicom import dcmread
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    with naming(path, "damaged or unsupported DICOM"):
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        if size > MAX_BYTES:
            raise ImageError(f"it has {size:,} bytes; at most {MAX_BYTES:,} are read")
        plain, header_only = _inflated(file), "PixelData" not in keywords
        ds = dcmread(plain, force=True, specific_tags=list(keywords), stop_before_pixels=header_only)
        if "TransferSyntaxUID" not in ds.file_meta:  # pydicom has worked out what a bare data set is written in
            implicit, little = ds.original_encoding
            explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
            ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
        return ds


def _inflated(file: BinaryIO) -> BinaryIO:
    """Return the file itself, or a deflated one as a plain one. pydicom would inflate it without a bound.

    The bound is what the picture needs that the first bytes announce. Raises ImageError for a file that inflates to
    more than that.
    """
    end, places = _file_meta(file)
    file.seek(0)
    if not places:
        return file
    data = file.read()
    head = bytearray(data[:end])
    for at in places:
        head[at : at + len(_PLAIN)] = _PLAIN
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    plain = inflate.decompress(data[end:], HEADER_BYTES)
    if inflate.unconsumed_tail:
        most = min(MAX_BYTES, _announced(head + plain) + EXTRA_BYTES)
        plain += inflate.decompress(inflate.unconsumed_tail, max(1, most - len(plain)))
        if inflate.unconsumed_tail:
            raise ImageError(f"it inflates to more than {most:,} bytes; its header announces fewer")
    return io.BytesIO(head + plain)


def _announced(beginning: bytes | bytearray) -> int:
    """Return how many bytes the pixels of a file have, by its first bytes; MAX_BYTES if they do not say it."""
    from pydicom import dcmread

    try:
        ds = dcmread(io.BytesIO(beginning), force=True, specific_tags=list(SIZE), stop_before_pixels=True)
        pixels = int(ds.Rows) * int(ds.Columns) * int(ds.get("SamplesPerPixel") or 1)
        return pixels * (int(ds.BitsAllocated) + 7) // 8 * max(1, int(ds.get("NumberOfFrames") or 1))
    except Exception:  # the beginning of a file may end in the middle of an element
        return MAX_BYTES


def _file_meta(file: BinaryIO) -> tuple[int, list[int]]:
    """Return where the elements of group 2 end, and where among them the deflated transfer syntax is named.

    They are read one by one, as pydicom reads them, because their group length may be missing or wrong.
    """
    at = 132 if file.read(132)[128:] == b"DICM" else 0
    places: list[int] = []
    for _ in range(MAX_META):
        file.seek(at)
        head = file.read(12)  # group 2 is always explicit VR, little endian
        if len(head) < 8 or head[:2] != b"\x02\0":
            return at, places
        start, length = (12, head[8:12]) if head[4:6] in _LONG else (8, head[6:8])
        size = int.from_bytes(length, "little")
        if head[2:4] == b"\x10\0":
            file.seek(at + start)
            if file.read(min(size, 64)).strip(b" \0") == _DEFLATED:
                places.append(at + start)
        at += start + size
    raise ImageError(f"its header has more than {MAX_META} elements of group 2")


@contextmanager
def naming(path: Path, guess: str) -> Iterator[None]:
    """Turn any error of the block into one ImageError with the file's name.

    Its reason is that of our own error, else `guess` with the words of the decoder.
    """
    try:
        yield
    except ImageError as e:
        prefix = f"cannot read {path}: "
        raise ImageError(prefix + str(e).removeprefix(prefix)) from e
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as e:  # decoders raise anything at all on damaged bytes; a panic in Rust is no Exception
        why = " ".join(str(e).split())[:200] or type(e).__name__
        raise ImageError(f"cannot read {path}: {guess} ({why})") from e
