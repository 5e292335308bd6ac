"""Named entries per kind. Nothing here imports torch: an entry is a name and an import path."""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Generic, TypeVar, cast

from .errors import OptionError, PluginError, ReportgenError, UnknownName

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Entry:
    """One registered thing."""

    name: str  # a trailing "*" matches any ending: "timm/*"
    target: str  # "package.module:Name", imported when it is first used
    summary: str
    paper: str = ""  # "arXiv:1409.1556"
    extra: str = ""  # what to write in pip install 'reportgen[...]' when the import fails
    options: Mapping[str, Any] = field(default_factory=dict)  # fixed for this name: {"backbone": "vgg16"}
    tiny: Mapping[str, Any] = field(default_factory=dict)  # options of a variant that a test runs in a second


def resolve(target: str) -> Any:
    """Import "package.module:Name" and return Name."""
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """`did you mean 'x'? there are: a, b`, for the end of an error message."""
    known = sorted(names)
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{hint}there are: {', '.join(known) or 'none'}"


nearest = did_you_mean  # the old name, for one release


def known_fields(
    kind: type[Any], values: Mapping[str, Any], what: str, error: type[ReportgenError] = OptionError
) -> dict[str, Any]:
    """Return JSON values as arguments of the dataclass `kind`; a list becomes a tuple where the field is one.

    `what` names the owner of the values in the message: "training has no setting 'epoch'". Raises `error` for a key
    that is no field of `kind`.
    """
    known = {f.name: str(f.type) for f in fields(kind)}
    for name in values:
        if name not in known:
            raise error(f"{what} has no setting {name!r}; {did_you_mean(name, known)}")
    return {k: tuple(v) if isinstance(v, list) and known[k].startswith("tuple") else v for k, v in values.items()}


class Registry(Mapping[str, Entry], Generic[T]):
    """The entries of one kind, asked of the plugins on the first look-up."""

    def __init__(self, kind: str, base: str, source: Callable[[], Iterable[tuple[str, Entry]]]) -> None:
        self.kind, self._base, self._source = kind, base, source
        self._found: dict[str, tuple[str, Entry]] | None = None
        self.problems: list[str] = []

    def _entries(self) -> dict[str, tuple[str, Entry]]:
        if self._found is None:
            self._found = {}
            for owner, entry in self._source():
                try:
                    self.add(entry, owner=owner)
                except PluginError as e:  # the first to register a name keeps it
                    self.problems.append(str(e))
        return self._found

    def add(self, entry: Entry, *, owner: str = "this program") -> None:
        """Register `entry` for the life of the process. Raises PluginError where the name is taken."""
        found = self._entries()
        if entry.name in found:
            raise PluginError(
                f"{self.kind} {entry.name!r} of {owner} is left out: {found[entry.name][0]} has that name"
            )
        found[entry.name] = (owner, entry)

    def _key(self, name: str) -> str:
        """The registered name that serves `name`: itself, or the pattern that matches it."""
        found = self._entries()
        if name in found:
            return name
        for key in found:
            if key.endswith("*") and name.startswith(key[:-1]) and len(name) >= len(key):
                return key
        raise UnknownName(f"no {self.kind} named {name!r}; {did_you_mean(name, found)}")

    def __getitem__(self, name: str) -> Entry:
        return self._entries()[self._key(name)][1]

    def __contains__(self, name: object) -> bool:
        try:
            return isinstance(name, str) and bool(self._key(name))
        except UnknownName:
            return False

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._entries()))

    def __len__(self) -> int:
        return len(self._entries())

    def owner(self, name: str) -> str:
        """The plugin that registered `name`."""
        return self._entries()[self._key(name)][0]

    def get_class(self, name: str) -> type[T]:
        """Import the class behind `name`. Raises PluginError where that fails or it is no such part."""
        entry = self[name]
        try:
            found = resolve(entry.target)
        except (ImportError, AttributeError) as e:
            fix = f"; pip install 'reportgen[{entry.extra}]'" if entry.extra else ""
            raise PluginError(f"{self.kind} {name!r} of {self.owner(name)}: {e}{fix}") from e
        if not (isinstance(found, type) and issubclass(found, resolve(self._base))):
            raise PluginError(f"{self.kind} {name!r} of {self.owner(name)}: {entry.target} is no {self.kind} class")
        return cast(type[T], found)

    load = get_class  # the old name, for one release

    def options(self, name: str) -> dict[str, inspect.Parameter]:
        """The options a user may set: the keyword-only arguments that the entry does not fix."""
        arguments = inspect.signature(self.get_class(name)).parameters
        fixed = self._fixed(name)
        return {k: p for k, p in arguments.items() if p.kind is p.KEYWORD_ONLY and k not in fixed}

    def _fixed(self, name: str) -> dict[str, Any]:
        """What the entry's own options and, for a pattern, the rest of the name say."""
        entry = self[name]
        rest = {"name": name[len(entry.name) - 1 :]} if entry.name.endswith("*") else {}
        return {**entry.options, **rest}

    def create(self, name: str, *args: Any, **options: Any) -> T:
        """Build the part `name`; its options are JSON values, and the part remembers them in `part_config`.

        Raises OptionError for an option that the part does not have.
        """
        return self.build(name, args, options)

    def build(
        self, name: str, args: Sequence[Any], options: Mapping[str, Any], *, saved: Mapping[str, Any] | None = None
    ) -> T:
        """Build the part `name` with `options`, and have it remember `saved` in their place where that is given.

        A model that is loaded is built without `pretrained`, and saved again with it. Raises OptionError as `create`.
        """
        known = self.options(name)
        for option in options:
            if option not in known:
                raise OptionError(f"{self.kind} {name!r} has no option {option!r}; {did_you_mean(option, known)}")
        part: Any = self.get_class(name)(*args, **self._fixed(name), **options)
        part.part_config = {"name": name, "options": dict(options if saved is None else saved)}
        return cast(T, part)


def _part_config(part: Any) -> dict[str, Any]:
    config: dict[str, Any] = part.part_config
    return config


OLD_RECIPE = property(_part_config, doc="The old name of `part_config`, for one release.")
