"""Registries: one for each kind of part, with entries by name. An entry is a name and an import path (torch-free)."""

from __future__ import annotations

import difflib
import importlib
import inspect
import os
import re
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, redirect_stdout, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar, cast

from .errors import OptionError, PluginError, ReportgenError, UnknownName, lists_in_methods, quoted
from .lazy import WINGS

T = TypeVar("T")
MIN_PREFIX = 3  # letters of the beginning of a name that stand for it
MAX_NEAR = 4  # names that a message proposes


@dataclass(frozen=True, slots=True)
class Entry:
    """One registered part, command or preset."""

    name: str  # a "*" at the end matches any ending: "timm/*"
    target: str  # "package.module:Name", imported at its first use
    summary: str
    paper: str = ""  # "arXiv:1409.1556"
    extra: str = ""  # the extra to install if the import fails: pip install 'reportgen[EXTRA]'
    options: Mapping[str, Any] = field(default_factory=dict)  # options that are fixed for this name
    tiny: Mapping[str, Any] = field(default_factory=dict)  # options of a small variant that runs in a second


def check_entry(entry: object) -> None:
    """Raise PluginError unless this is an entry whose fields have their types."""
    if not isinstance(entry, Entry):
        raise PluginError(f"returned {quoted(entry)}, which is no Entry")
    for name in ("name", "target", "summary", "paper", "extra"):
        value = getattr(entry, name)
        if not isinstance(value, str) or (name in ("name", "target") and not (value and value.isprintable())):
            raise PluginError(f"{name} of an Entry is {quoted(value)}, which is no text")
    if not isinstance(entry.options, Mapping) or not isinstance(entry.tiny, Mapping):
        raise PluginError(f"options and tiny of Entry {entry.name!r} must be mappings")


_LOCK = threading.RLock()


@contextmanager
def foreign_code(what: str = "") -> Iterator[None]:
    """Let code of a plugin run: whatever it raises, sys.exit too, becomes a PluginError that begins with `what`.

    What it prints to stdout goes to stderr, that of C code and child processes too: stdout may be JSON for a program.
    """
    with _LOCK, ExitStack() as undo:
        with suppress(OSError, ValueError, AttributeError):  # there is no stdout or no stderr
            stderr = undo.enter_context(open(2, "w", errors="backslashreplace", closefd=False))  # it may be closed
            undo.enter_context(redirect_stdout(stderr))
            sys.__stdout__.flush()  # type: ignore[union-attr]
            stdout = os.dup(1)
            undo.callback(os.close, stdout)
            os.dup2(2, 1)
            undo.callback(os.dup2, stdout, 1)
            undo.callback(sys.__stdout__.flush)  # type: ignore[union-attr]
        try:
            yield
        except (KeyboardInterrupt, ReportgenError):  # the user's Ctrl-C, and what is written for the user
            raise
        except BaseException as e:
            with suppress(BaseException):  # the text of an error is code of the plugin, too
                what += f"{type(e).__name__}: {' '.join(str(e).split()):.300}"
            raise PluginError(what.rstrip(": ") or type(e).__name__) from e


def resolve(target: str) -> Any:
    """Import "package.module:Name" and return Name. Raises PluginError, whatever the import raises."""
    module, _, name = target.partition(":")
    with foreign_code():
        return getattr(importlib.import_module(module), name)


def fold(name: str) -> str:
    """Return a name without capitals, spaces, "_" and "-": "Hier_LSTM" and "hier-lstm" are one."""
    return re.sub(r"[\s_-]+", "", name).casefold()


def match_name(name: str, names: Iterable[str]) -> str | None:
    """Return the only name that `name` can mean, or None: the same, the same folded, or the only one that begins so.

    A name that ends with "*" is a pattern, and is never meant.
    """
    known = [n for n in names if not n.endswith("*")]
    if name in known:
        return name
    folded = fold(name)
    same = [n for n in known if fold(n) == folded]
    begin = [n for n in known if fold(n).startswith(folded)] if len(folded) >= MIN_PREFIX else []
    alike = same or begin
    return alike[0] if len(alike) == 1 and folded else None


def near_names(name: str, names: Iterable[str]) -> list[str]:
    """Return the names that begin like `name`, else those that have it inside, else the nearest one; [] if none is."""
    known, folded = sorted(names), fold(name)
    begin = [n for n in known if fold(n).startswith(folded)] if len(folded) > 1 else []
    inside = [n for n in known if folded in fold(n)] if len(folded) >= MIN_PREFIX else []
    by_fold = {fold(n): n for n in reversed(known)}
    close = difflib.get_close_matches(name, known, n=1)
    close = close or [by_fold[f] for f in difflib.get_close_matches(folded, by_fold, n=1)]
    return (begin or inside or close)[:MAX_NEAR]


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return the end of an error message: "did you mean 'x' or 'y'? there are: x, y, z"."""
    options = sorted(names)
    near = [repr(n) for n in near_names(name, options)]
    hint = f"did you mean {', '.join(near[:-1])}{' or ' if near[:-1] else ''}{near[-1]}? " if near else ""
    return f"{hint}there are: {', '.join(options) or 'none'}"


nearest = did_you_mean  # the old name, for one release


def _is_pattern(key: str, name: str) -> bool:
    return key.endswith("*") and name.startswith(key[:-1]) and len(name) >= len(key)


class Registry(Mapping[str, Entry], Generic[T]):
    """The entries of one kind. The plugins give them at the first use."""

    def __init__(self, kind: str, base: str, source: Callable[[], Iterable[tuple[str, Entry]]]) -> None:
        self.kind, self._base, self._source = kind, base, source
        self._by_name: dict[str, tuple[str, Entry]] | None = None
        self.problems: list[str] = []  # a line for each entry that is left out

    def _entries(self) -> dict[str, tuple[str, Entry]]:
        """Return the owner and the entry of each name."""
        if self._by_name is None:
            self._by_name = {}
            for owner, entry in self._source():
                try:
                    self.add(entry, owner=owner)
                except PluginError as e:  # the first plugin that registers a name has it
                    self.problems.append(str(e))
        return self._by_name

    def add(self, entry: Entry, *, owner: str = "this program") -> None:
        """Register `entry` for this process. If its name is taken: as "DISTRIBUTION:name", and raises PluginError."""
        check_entry(entry)
        entries = self._entries()
        if entry.name in entries:
            other, longer = entries[entry.name][0], f"{owner.partition(':')[0]}:{entry.name}"
            entries.setdefault(longer, (owner, entry))
            raise PluginError(
                f"{self.kind} {entry.name!r} of {owner} is left out: {other} has that name; it is {longer!r}"
            )
        entries[entry.name] = (owner, entry)

    def _key(self, name: str) -> str:
        """Return the registered name for `name`: the same name, or the pattern that matches it. Raises UnknownName."""
        if name in self:
            return name if name in self._entries() else next(k for k in self._entries() if _is_pattern(k, name))
        meaning = WINGS["elsewhere"](name, self.kind) or did_you_mean(name, self._entries())
        raise UnknownName(f"no {self.kind} named {quoted(name)}; {meaning}")

    def find(self, name: str) -> str:
        """Return the registered name that a user means, by `match_name`. Raises UnknownName for none or several."""
        if not isinstance(name, str):
            raise UnknownName(f"no {self.kind} is named by {quoted(name)}; there are: {', '.join(self)}")
        match = None if name in self else match_name(name, self._entries())
        return match or (self._key(name) and name)

    def __getitem__(self, name: str) -> Entry:
        return self._entries()[self._key(name)][1]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and any(name == key or _is_pattern(key, name) for key in self._entries())

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._entries()))

    def __len__(self) -> int:
        return len(self._entries())

    def owner(self, name: str) -> str:
        """Return the id of the plugin that registered `name`. Raises UnknownName."""
        return self._entries()[self._key(name)][0]

    def get_class(self, name: str) -> type[T]:
        """Import the class behind `name`. Raises PluginError if the import fails or it is not a class of this kind."""
        entry, what = self[name], f"{self.kind} {name!r} of {self.owner(name)}"
        try:
            cls = resolve(entry.target)
        except PluginError as e:
            fix = f"; pip install 'reportgen[{entry.extra}]'" if entry.extra else ""
            raise PluginError(f"{what}: {e}{fix}") from e.__cause__
        if not (isinstance(cls, type) and issubclass(cls, resolve(self._base))):
            raise PluginError(f"{what}: {entry.target} is no {self.kind} class")
        lists_in_methods(cls)
        return cast(type[T], cls)

    load = get_class  # the old name, for one release

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:  # a guess, such as metrics.bleu(texts)
            raise AttributeError(WINGS["no_part"](self if "kind" in vars(self) else {}, name))

    def options(self, name: str) -> dict[str, inspect.Parameter]:
        """Return the options that a user may set: the keyword-only arguments that the entry does not fix."""
        arguments = inspect.signature(self.get_class(name)).parameters
        fixed = self.fixed(name)
        return {k: p for k, p in arguments.items() if p.kind is p.KEYWORD_ONLY and k not in fixed}

    def fixed(self, name: str) -> dict[str, Any]:
        """Return the options that the entry fixes; a pattern also fixes `name`, the part of the name after it."""
        entry = self[name]
        rest = {"name": name[len(self._key(name)) - 1 :]} if entry.name.endswith("*") else {}
        return {**entry.options, **rest}

    def create(self, name: str, *args: Any, **options: Any) -> T:
        """Build the part `name` with JSON values as options, kept in `part_config`. Raises OptionError for others."""
        return self.build(name, args, options)

    def build(
        self, name: str, args: Sequence[Any], options: Mapping[str, Any], *, saved: Mapping[str, Any] | None = None
    ) -> T:
        """Build the part `name` with `options`, and store `saved` in its `part_config` if given, else `options`.

        A model that is loaded is built without `pretrained`, and saved again with it. Raises OptionError as `create`.
        """
        names = self.options(name)
        for option in options:
            if option not in names:
                raise OptionError(f"{self.kind} {name!r} has no option {option!r}; {did_you_mean(option, names)}")
        if needed := [option for option, p in names.items() if p.default is p.empty and option not in options]:
            raise OptionError(f"{self.kind} {name!r} needs the option {needed[0]!r}; rg info {name} says what it is")
        cls, owner = self.get_class(name), self.owner(name)
        ours = ":" not in owner or owner.startswith("reportgen:")  # an error of ours keeps its traceback
        with nullcontext() if ours else foreign_code(f"{self.kind} {name!r} of {owner} cannot be built: "):
            part: Any = cls(*args, **self.fixed(name), **options)
        part.part_config = {"name": name, "options": dict(options if saved is None else saved)}
        return cast(T, part)


OLD_RECIPE = property(lambda part: part.part_config, doc="The old name of `part_config`, for one release.")
