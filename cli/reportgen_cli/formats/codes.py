"""Find the code of a finding in the dictionaries of SNOMED CT and DICOM that come with pydicom.

No code is written here: a finding without an entry of its own name stays plain text.
"""

from __future__ import annotations

import functools
from typing import Any

SCHEMES = {"SCT": "http://snomed.info/sct", "DCM": "http://dicom.nema.org/resources/ontology/DCM"}  # in FHIR
LOINC = "http://loinc.org"


def finding_code(name: str) -> Any | None:
    """Return the `pydicom.sr.coding.Code` whose keyword is this name without blanks and signs; None without one.

    SNOMED CT is searched first, then DICOM's own dictionary.
    """
    from pydicom.sr.codedict import codes

    for scheme in SCHEMES:
        if keyword := _keywords(scheme).get(_fold(name)):
            return getattr(getattr(codes, scheme), keyword)
    return None


@functools.lru_cache(4)
def _keywords(scheme: str) -> dict[str, str]:
    """Return the keywords of a dictionary by their small letters and digits."""
    from pydicom.sr.codedict import codes

    return {_fold(keyword): keyword for keyword in dir(getattr(codes, scheme)) if keyword[:1].isupper()}


def _fold(name: str) -> str:
    return "".join(sign for sign in name.casefold() if sign.isalnum())
