"""Restrict a search to texts about some findings, in some state, from some datasets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import DataError, OptionError, lists_only
from ..files.cells import is_nothing, labels_value, names_value, text_value
from ..files.tables import columns_of

STATES: Mapping[float, str] = {1.0: "present", 0.0: "absent", -1.0: "uncertain"}


def plain_name(name: str) -> str:
    """Return the name of a finding or a dataset in small letters with single spaces, as filters compare it."""
    return " ".join(name.casefold().split())


@lists_only
@dataclass(frozen=True, slots=True)
class TextFilter:
    """The texts that a search may find. A text passes if it passes every field that is not empty."""

    findings: tuple[str, ...] = ()  # the text names at least one of them
    state: str = ""  # it names one in this state: "present", "absent" or "uncertain"
    datasets: tuple[str, ...] = ()  # it comes from one of them

    def __post_init__(self) -> None:
        if self.state and self.state not in STATES.values():
            raise OptionError(f"no state {self.state!r}; there are: {', '.join(STATES.values())}")
        object.__setattr__(self, "findings", tuple(map(plain_name, self.findings)))
        object.__setattr__(self, "datasets", tuple(map(plain_name, self.datasets)))

    def __bool__(self) -> bool:
        return bool(self.findings or self.state or self.datasets)

    def __str__(self) -> str:
        """Return the filter as the options of the command line."""
        parts = [f"--finding {name!r}" for name in self.findings]
        parts += [f"--state {self.state}"] if self.state else []
        return " ".join(parts + [f"--dataset {name!r}" for name in self.datasets])

    def wanted_tags(self) -> frozenset[str]:
        """Return the tags (see `tags_of`) of which a text needs one; none if any text will do."""
        if not self.state:
            return frozenset(self.findings)
        return frozenset(f"{name}:{self.state}" for name in self.findings or ("",))

    def passes(self, labels: Iterable[str], dataset: str) -> bool:
        """Return whether a text with these labels, from this dataset, may be found."""
        wanted = self.wanted_tags()
        return (not wanted or not wanted.isdisjoint(tags_of(labels))) and (
            not self.datasets or plain_name(dataset) in self.datasets
        )


def tags_of(labels: Iterable[str]) -> list[str]:
    """Return what a text can be filtered by: for "edema:absent" the tags "edema", ":absent" and "edema:absent"."""
    tags = set()
    for label in labels:
        name, colon, state = label.rpartition(":")
        tags |= {name, f":{state}", label} if colon else {label}
    return sorted(tags)


def read_labels(row: Mapping[str, Any]) -> tuple[tuple[str, ...], str]:
    """Return the labels of a row of a table, "edema" or "edema:absent", and its dataset, "" for none.

    The labels are an object of numbers, as `rg label --json` writes it, or names with the column `state`. Raises
    DataError for another value.
    """
    values = [row[name] for name in columns_of("labels", row) if not is_nothing(row[name])]
    value = values[0] if values else None
    state = next((plain_name(t) for n in columns_of("state", row) if (t := text_value(row[n])) is not None), "")
    if isinstance(value, Mapping):
        labels = [_label(name, STATES.get(number, str(number))) for name, number in labels_value(value).items()]
    else:
        labels = [_label(name, state) for name in names_value(value)] if value is not None else []
    dataset = next((t for n in columns_of("dataset", row) if (t := text_value(row[n])) is not None), "")
    return tuple(sorted(set(labels))), dataset.strip()


def _label(name: str, state: str) -> str:
    """Return a finding with its state. Raises DataError for an unknown state or a name with a colon."""
    if state and state not in STATES.values():
        raise DataError(f"the finding {name!r} is {state!r}; a state is {', '.join(STATES.values())} (or 1, 0, -1)")
    if ":" in name:
        raise DataError(f"the name of a finding has no colon, {name!r} has one")
    return f"{plain_name(name)}:{state}" if state else plain_name(name)
