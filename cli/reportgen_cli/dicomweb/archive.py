"""Ask an archive that speaks DICOMweb (PS3.18): QIDO-RS lists, WADO-RS fetches, STOW-RS stores; by dicomweb-client.

An address is written dicomweb:URL for a whole archive, or dicomweb:URL/studies/UID for one study. URL is the root
of the archive's DICOMweb services, as http://127.0.0.1:8042/dicom-web.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reportgen_core import DataError, OptionError

from ..formats.wanted import check_installed

TOKEN = "REPORTGEN_DICOMWEB_TOKEN"
RADIOGRAPHS = ("CR", "DX", "DR", "RG")  # modalities of projection radiographs, PS3.3 C.7.3.1.1.1
ATTEMPTS, FIRST_WAIT = 5, 500  # requests to an archive that does not answer, and milliseconds that double each time
SECONDS = 60.0  # that an archive may take for an answer
_ADDRESS = re.compile(r"dicomweb:(https?):/+(.+)")  # a path has lost one of the two slashes
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
    return [_address(text) for text in written]


def _address(text: str) -> Address:
    match = _ADDRESS.fullmatch(text)
    if match is None:
        raise OptionError(f"{text} is no address; it is written dicomweb:https://HOST/ROOT or …/studies/UID")
    url = f"{match[1]}://{match[2].rstrip('/')}"
    if "@" in url.split("/")[2]:
        raise OptionError(f"an address has no user or password in it; {TOKEN} holds a token")
    if study := _STUDY.fullmatch(url):
        return Address(study[1], study[2])
    if "/studies" in url:
        raise OptionError(f"{text} names no study; it is written dicomweb:URL/studies/UID")
    return Address(url)


class NoAnswer(DataError):
    """An archive cannot be reached."""


class Archive:
    """An archive. Every method raises DataError with one line if the archive refuses or does not answer."""

    def __init__(self, url: str) -> None:
        check_installed("dicomweb:", ("dicomweb_client",))
        from dicomweb_client.api import DICOMwebClient

        token = os.environ.get(TOKEN, "")
        headers = {"Authorization": f"Bearer {token}"} if token else None
        self.url = url
        self.client = DICOMwebClient(url, headers=headers, timeout=SECONDS)
        self.client.set_http_retry_params(max_attempts=ATTEMPTS, wait_exponential_multiplier=FIRST_WAIT)

    def studies(self) -> list[str]:
        """Return the UIDs of all studies with a radiograph, sorted."""
        uids: set[str] = set()
        for modality in RADIOGRAPHS:
            own: set[str] = set()
            more = True
            while more:  # an archive may give a part at a time, and some give all again for any offset
                with self._errors("list its studies"):
                    rows = self.client.search_for_studies(
                        search_filters={"ModalitiesInStudy": modality}, offset=len(own) or None
                    )
                before = len(own)
                own.update(_uid(row, "0020000D") for row in rows)
                more = len(own) > before
            uids |= own
        return sorted(uids)

    def fetch(self, study: str, folder: Path) -> list[Path]:
        """Write the radiographs of a study into a folder and return the files, in the order of their UIDs."""
        with self._errors(f"list study {study}"):
            rows = self.client.search_for_series(study)
        series = sorted(_uid(row, "0020000E") for row in rows if _uid(row, "00080060") in RADIOGRAPHS)
        files: dict[str, Path] = {}
        for uid in series:
            with self._errors(f"give series {uid}"):
                for image in self.client.iter_series(study, uid):
                    path = folder / f"{len(files) + 1}.dcm"
                    image.save_as(path, enforce_file_format=True)
                    files[str(image.SOPInstanceUID)] = path
        return [files[uid] for uid in sorted(files)]

    def holds(self, study: str, instance: str) -> bool:
        """Return whether a study has this instance."""
        with self._errors(f"search study {study}"):
            rows = self.client.search_for_instances(study, search_filters={"SOPInstanceUID": instance}, limit=1)
        return any(_uid(row, "00080018") == instance for row in rows)

    def store(self, study: str, instance: str, content: bytes) -> None:
        """Store a DICOM file in a study. An archive that has it already keeps the one it has."""
        from pydicom import dcmread

        try:
            with self._errors(f"store a report in study {study}"):
                answer = self.client.store_instances([dcmread(io.BytesIO(content))], study)
        except NoAnswer:
            raise
        except DataError:
            if self.holds(study, instance):  # another process was quicker
                return
            raise
        if getattr(answer, "FailedSOPSequence", None) and not self.holds(study, instance):
            reason = getattr(answer.FailedSOPSequence[0], "FailureReason", "")
            raise DataError(f"archive {self.url} did not store a report in study {study}: failure reason {reason}")

    @contextmanager
    def _errors(self, task: str) -> Iterator[None]:
        """Turn the faults of a connection and of an answer into DataError. `task` is what the archive was to do."""
        import requests

        try:
            yield
        except requests.HTTPError as e:
            status = e.response.status_code if e.response is not None else 0
            hint = f"; {TOKEN} holds a token" if status in (401, 403) else ""
            raise DataError(f"archive {self.url} was to {task} and answered {status}{hint}") from e
        except (requests.ConnectionError, requests.Timeout) as e:
            raise NoAnswer(f"archive {self.url} was to {task}, and does not answer") from e
        except requests.RequestException as e:
            raise DataError(f"archive {self.url} was to {task}: {type(e).__name__}") from e
        except ValueError as e:
            raise DataError(f"archive {self.url} was to {task}, and its answer is no DICOMweb: {e}") from e


def _uid(row: dict[str, Any], tag: str) -> str:
    """Return the first value of an element of DICOM JSON as a text; "" without one."""
    values = row.get(tag, {}).get("Value") or [""]
    return str(values[0])
