"""Turn the values of a column into the names of subgroups.

Ages become bands, spellings of a sex become one, a value that is missing is `not stated`. Columns are named as tables
name them: without white space and in capitals or small letters alike; `sex` also means `PatientSex` or `gender`.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ...errors import DataError
from ...files.cells import is_nothing
from ...files.tables import fold
from ...types import Study

MISSING = "not stated"
MAX_GROUPS = 20  # of one column: more make no table, and some are single studies
BANDS = ((18, "0-17"), (40, "18-39"), (65, "40-64"), (80, "65-79"), (math.inf, "80+"))  # years below, name
SAME: Mapping[str, tuple[str, ...]] = {
    "sex": ("sex", "gender", "patientsex", "patientgender"),
    "age": ("age", "patientage", "ageyears", "ageatstudy"),
    "view": ("view", "projection", "viewposition"),
}
SEXES = {"m": "male", "male": "male", "man": "male", "f": "female", "female": "female", "woman": "female"}
_AGE = re.compile(r"[<>~]?\s*(\d+(?:\.\d+)?)\s*(y|m|w|d)?[a-z]*\s*\+?", re.IGNORECASE)
_YEARS = {"y": 1.0, "m": 1 / 12, "w": 7 / 365.25, "d": 1 / 365.25}


def kind_of_column(name: str) -> str:
    """Return sex, age or view for a column of that meaning; "" for any other."""
    return next((kind for kind, names in SAME.items() if fold(name) in names), "")


def column_names(name: str) -> tuple[str, ...]:
    """Return the folded names of columns that `name` means: for sex, age and view all usual ones."""
    return tuple(dict.fromkeys((fold(name), *SAME.get(kind_of_column(name), ()))))


def group_names(column: str, values: Sequence[object]) -> tuple[str, ...]:
    """Return the subgroup of each value. Raises DataError if no study has a value, or if there are too many groups."""
    name: Callable[[Any], str] = {"age": age_band, "sex": _sex}.get(kind_of_column(column), plain_name)
    names = tuple(MISSING if is_nothing(value) else name(value) for value in values)
    groups = Counter(names)
    if set(groups) <= {MISSING}:
        raise DataError(f"--by {column}: none of the {len(values)} scored studies has a value of it")
    if len(groups) > MAX_GROUPS:
        raise DataError(
            f"--by {column}: {len(groups)} different values, and at most {MAX_GROUPS} make subgroups; put the values "
            "into a column of fewer, such as bands of a number"
        )
    spellings: dict[str, str] = {}
    return tuple(spellings.setdefault(n.casefold(), n) for n in names)


def in_order(column: str, names: Iterable[str]) -> list[str]:
    """Return the different names of a column's subgroups: ages from young to old, others by name, `not stated` last."""
    bands = {name: i for i, (_, name) in enumerate(BANDS)}
    ages = kind_of_column(column) == "age"
    return sorted(set(names), key=lambda n: (n == MISSING, bands.get(n, len(bands)) if ages else 0, _numeric(n), n))


def age_band(value: object) -> str:
    """Return the band of an age: 45, "45", "45.0", DICOM's "045Y" and "006M", "45 years", ">89"; else `not stated`."""
    match = _AGE.fullmatch(str(value).strip())
    if match is None:
        return MISSING
    years = float(match[1]) * _YEARS[(match[2] or "y").lower()]
    return next(name for below, name in BANDS if years < below)


def _sex(value: object) -> str:
    return SEXES.get(str(value).strip().casefold(), plain_name(value))


def plain_name(value: object) -> str:
    """Return a value as the name of a subgroup: yes and no for truth values, 3 for 3.0, texts without white space."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, list | tuple):
        return " ".join(map(plain_name, value)) or MISSING
    return " ".join(str(value).split())


def _numeric(name: str) -> float:
    try:
        return float(name)
    except ValueError:
        return math.inf


def study_columns(studies: Sequence[Study], by: Sequence[str]) -> dict[str, dict[str, object]]:
    """Return the values of each column of `by`, by study. Raises DataError for a column that no study has.

    A column is `view`, `split`, a key of `Study.extra`, or the name of a label.
    """
    columns: dict[str, dict[str, object]] = {}
    for column in by:
        values = {s.id: value for s in studies if not is_nothing(value := study_value(s, column))}
        if not values:
            raise DataError(f"--by {column}: no study has a value of it; there are: {', '.join(_known(studies))}")
        columns[column] = values
    return columns


def study_value(study: Study, column: str) -> object:
    """Return the value that a study has in a column; None if it has none."""
    kind, name, names = kind_of_column(column), fold(column), column_names(column)
    extra = {fold(str(key)): value for key, value in study.extra.items()}
    value = next((extra[n] for n in names if n in extra and not is_nothing(extra[n])), None)
    if value is not None:
        return value
    if kind == "view":
        return " and ".join(sorted({v.projection for v in study.views if v.projection})) or None
    if name == "split":
        return study.split or None
    labels = {fold(finding): value for finding, value in study.labels.items()}
    return {1.0: "present", 0.0: "absent", -1.0: "uncertain"}.get(labels[name]) if name in labels else None


def _known(studies: Sequence[Study]) -> list[str]:
    """Return the columns that studies have, for a message."""
    plain = [k for s in studies for k, v in s.extra.items() if isinstance(v, str | int | float) and not is_nothing(v)]
    views = ["view"] if any(v.projection for s in studies for v in s.views) else []
    return list(dict.fromkeys([*views, "split", *plain, *(label for s in studies for label in s.labels)]))
