"""Ask an archive that speaks DICOMweb (PS3.18): QIDO-RS lists, WADO-RS fetches, STOW-RS stores; by dicomweb-client.

An address is written dicomweb:URL for a whole archive, or dicomweb:URL/studies/UID for one study. URL is the root
of the archive's DICOMweb services, as http://127.0.0.1:8042/dicom-web.
"""

from __future__ import annotations

import io
import re
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reportgen_core import DataError, OptionError

from ..formats.wanted import check_installed
from .login import HINT, login_of

RADIOGRAPHS = ("CR", "DX", "DR", "RG")  # modalities of projection radiographs, PS3.3 C.7.3.1.1.1
ATTEMPTS, FIRST_WAIT = 5, 500  # requests to an archive that does not answer, and milliseconds that double each time
SECONDS = 60.0  # that an archive may take for an answer
MOST_IMAGES = 1000  # of a study
_ADDRESS = re.compile(r"(?:dicomweb:)?(https?):/+([^?#]+)")  # a path has lost one of the two slashes
_STUDY = re.compile(r"(.+)/studies/([0-9.]{1,64})")


@dataclass(frozen=True, slots=True)
class Address:
    """Where studies are: an archive, and in it one study or, with "", all."""

    url: str
    study: str = ""

    def __str__(self) -> str:
        return self.url + (f"/studies/{self.study}" if self.study else "")


def addresses(images: Sequence[Path]) -> list[Address]:
    """Return the addresses of archives among the arguments of a command; [] if all are files or folders.

    Raises OptionError if there are both, or if an address is not written as above.
    """
    written = [str(image) for image in images if str(image).startswith("dicomweb:")]
    if written and len(written) != len(images):
        raise OptionError("files and dicomweb: addresses were given; report them one after the other")
    return [parse_address(text) for text in written]


def parse_address(text: str) -> Address:
    """Return an address as a user wrote it; dicomweb: may be left out. Raises OptionError for another text."""
    match = _ADDRESS.fullmatch(text)
    if match is None:
        shown = "that address" if "@" in text else text  # it may hold a password
        raise OptionError(f"{shown} is no address; it is written dicomweb:https://HOST/ROOT or …/studies/UID")
    url = f"{match[1]}://{match[2].rstrip('/')}"
    if "@" in url.split("/")[2]:
        raise OptionError(f"an address has no user or password in it; {HINT}")
    if study := _STUDY.fullmatch(url):
        return Address(study[1], study[2])
    if "/studies" in url:
        raise OptionError(f"{text} names no study; it is written dicomweb:URL/studies/UID")
    return Address(url)


@dataclass(frozen=True, slots=True)
class ArchivedStudy:
    """A study as an archive lists it; "" and 0 for what the archive does not say."""

    uid: str
    date: str = ""  # YYYYMMDD
    time: str = ""  # HHMMSS…
    accession: str = ""
    description: str = ""
    images: int = 0  # instances of all kinds


class ArchiveError(DataError):
    """An archive refuses, or answers what cannot be used."""


class NoAnswer(ArchiveError):
    """An archive cannot be reached."""


class Archive:
    """An archive. Every method raises ArchiveError with one line if the archive refuses or does not answer.

    `name` is what errors call it. `attempts` at most are made to reach it; each may take so many seconds.
    """

    def __init__(self, url: str, name: str = "", attempts: int = 0, seconds: float = SECONDS) -> None:
        check_installed("dicomweb:", ("dicomweb_client",))
        self.url, self.name, self.login = url, name or f"archive {url}", login_of()
        self.attempts, self.seconds = attempts or ATTEMPTS, seconds
        self._own = threading.local()

    @property
    def client(self) -> Any:
        """Return the client of this thread: its session is not made for several threads."""
        if not hasattr(self._own, "client"):
            import requests
            from dicomweb_client.api import DICOMwebClient

            session = requests.Session()
            session.auth = self.login
            client = DICOMwebClient(self.url, session=session, timeout=self.seconds)
            client.set_http_retry_params(
                self.attempts > 1, max_attempts=self.attempts, wait_exponential_multiplier=FIRST_WAIT
            )
            self._own.client = client
        return self._own.client

    def studies(self) -> list[ArchivedStudy]:
        """Return all studies with a radiograph, in the order of their UIDs."""
        rows: dict[str, ArchivedStudy] = {}
        for modality in RADIOGRAPHS:
            rows |= self.studies_with(modality)
        return [rows[uid] for uid in sorted(rows)]

    def studies_with(self, modality: str) -> dict[str, ArchivedStudy]:
        """Return the studies with a file of this modality, by their UIDs."""
        own: dict[str, ArchivedStudy] = {}
        more = True
        while more:  # an archive may give a part at a time, and some give all again for any offset
            with self._errors("list its studies"):
                rows = self.client.search_for_studies(
                    search_filters={"ModalitiesInStudy": modality},
                    fields=["StudyDescription", "NumberOfStudyRelatedInstances"],
                    offset=len(own) or None,
                )
                listed = {study.uid: study for study in map(_listed, rows)}
            before = len(own)
            own |= listed
            more = len(own) > before
        return own

    def fetch(self, study: str, folder: Path) -> list[Path]:
        """Write the radiographs of a study into a folder and return the files, in the order of their UIDs."""
        with self._errors(f"list study {study}"):
            rows = self.client.search_for_series(study)
            series = sorted(_text(row, "0020000E") for row in rows if _text(row, "00080060") in RADIOGRAPHS)
        files: dict[str, Path] = {}
        for uid in series:
            with self._errors(f"give series {uid}"):
                for image in self.client.iter_series(study, uid):
                    if len(files) == MOST_IMAGES:
                        raise DataError(f"study {study} has more than {MOST_IMAGES} radiographs")
                    path = folder / f"{len(files) + 1}.dcm"
                    image.save_as(path, enforce_file_format=True)
                    files[str(image.SOPInstanceUID)] = path
        if not files:
            raise DataError(f"study {study} of {self.name} has no radiograph (modality CR, DX, DR or RG)")
        return [files[uid] for uid in sorted(files)]

    def holds(self, study: str, instance: str) -> bool:
        """Return whether a study has this instance."""
        with self._errors(f"search study {study}"):
            rows = self.client.search_for_instances(study, search_filters={"SOPInstanceUID": instance}, limit=1)
            return any(_text(row, "00080018") == instance for row in rows)

    def store(self, study: str, instance: str, content: bytes) -> None:
        """Store a DICOM file in a study. An archive that has it already keeps the one it has."""
        from pydicom import dcmread

        try:
            with self._errors(f"store a report in study {study}"):
                answer = self.client.store_instances([dcmread(io.BytesIO(content))], study)
        except NoAnswer:
            raise
        except ArchiveError:
            if self.holds(study, instance):  # another process was quicker
                return
            raise
        if getattr(answer, "FailedSOPSequence", None) and not self.holds(study, instance):
            reason = getattr(answer.FailedSOPSequence[0], "FailureReason", "")
            raise ArchiveError(f"{self.name} did not store a report in study {study}: failure reason {reason}")

    @contextmanager
    def _errors(self, task: str) -> Iterator[None]:
        """Turn the faults of a connection and of an answer into ArchiveError. `task` is what was to be done."""
        import requests
        from pydicom.errors import InvalidDicomError
        from retrying import RetryError

        asked = f"{self.name} was to {task}"
        try:
            yield
        except DataError:
            raise
        except requests.HTTPError as e:
            raise self._refused(asked, e.response.status_code if e.response is not None else 0) from e
        except RetryError as e:  # it has answered "later" to every attempt
            raise self._refused(asked, e.last_attempt.value.status_code) from e
        except requests.exceptions.SSLError as e:
            fault = "its certificate is not trusted; REQUESTS_CA_BUNDLE names a file with those that are"
            untrusted = "CERTIFICATE_VERIFY_FAILED" in str(e)
            raise NoAnswer(f"{asked}, and {fault if untrusted else 'does not speak TLS there'}") from e
        except (requests.ConnectionError, requests.Timeout) as e:
            raise NoAnswer(f"{asked}, and does not answer") from e
        except (requests.exceptions.JSONDecodeError, InvalidDicomError) as e:
            raise ArchiveError(f"{asked}, and its answer is no DICOMweb; is this the root of its services?") from e
        except requests.RequestException as e:
            raise ArchiveError(f"{asked}: {type(e).__name__}") from e
        except (ValueError, TypeError, AttributeError, KeyError, EOFError, NotImplementedError, struct.error) as e:
            raise ArchiveError(f"{asked}, and its answer is no DICOMweb ({type(e).__name__})") from e

    def _refused(self, asked: str, status: int) -> ArchiveError:
        return ArchiveError(f"{asked} and answered {status}" + (f"; {HINT}" if status in (401, 403) else ""))


def _listed(row: dict[str, Any]) -> ArchivedStudy:
    """Return a study of a list in DICOM JSON. Raises ValueError for a row that is none."""
    if not _text(row, "0020000D"):
        raise ValueError("no Study Instance UID")
    date, time, accession, description, images = (
        _text(row, tag) for tag in ("00080020", "00080030", "00080050", "00081030", "00201208")
    )
    count = int(images) if images.isdecimal() else 0
    return ArchivedStudy(_text(row, "0020000D"), date, time, accession, description, count)


def _text(row: dict[str, Any], tag: str) -> str:
    """Return the first value of an element of DICOM JSON as a text; "" without one."""
    values = row.get(tag, {}).get("Value") or [""]
    return "" if values[0] is None else str(values[0])
