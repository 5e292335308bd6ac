"""Find plugins by entry point. A bad plugin is left out, and `rg plugins` shows its problem; nothing else may suffer.

All code of a plugin is called by `run`: it may raise anything, end the program, print, or return wrong values for ever.
"""

from __future__ import annotations

import functools
import itertools
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import pluggy

from . import hookspecs
from .errors import PluginError, ReportgenError, quoted
from .registry import Entry, check_entry, foreign_code, near_names

GROUP = "reportgen"
SLOW_IMPORT, MAX_SECONDS, MAX_VALUES = 2.0, 10, 100_000  # a slower import is named; a hook that takes more has no end
SECONDS = {"": 20, "find_model": 0}  # that an import may take, and a search for a model: as long as it likes


@dataclass(slots=True)
class Plugin:
    """One entry point of the group. `problem` says why it is left out, or which of its hooks; "" if it is not."""

    name: str  # of the entry point
    distribution: str
    version: str
    problem: str = ""
    note: str = ""  # a remark on a plugin that works

    @property
    def id(self) -> str:
        """Return the distribution and the name of the entry point: "reportgen:builtin"."""
        return f"{self.distribution}:{self.name}"


@functools.cache
def load_plugins() -> tuple[pluggy.PluginManager, dict[str, Plugin]]:
    """Load every plugin once and return the manager and the plugins by id, ours first.

    REPORTGEN_PLUGINS in the environment, names with commas between, leaves out all other plugins.
    """
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    only = os.environ.get("REPORTGEN_PLUGINS")
    points, broken = _entry_points()
    plugins = {plugin.id: plugin for plugin in broken}
    for point in points:
        dist = point.dist
        plugin = Plugin(point.name, dist.name or "?" if dist else "?", dist.version if dist else "?")
        if plugin.id in plugins or (only is not None and point.name not in only.split(",")):
            continue
        plugins[plugin.id] = plugin
        run(plugin, "", functools.partial(_register, manager, plugin, point))
        if plugin.problem and manager.has_plugin(plugin.id):
            manager.unregister(name=plugin.id)
    return manager, dict(sorted(plugins.items(), key=lambda item: (item[1].distribution != "reportgen", item[0])))


def _entry_points() -> tuple[list[metadata.EntryPoint], list[Plugin]]:
    """Return the entry points of the group, and a plugin with a problem for each package whose list is unreadable."""
    with suppress(Exception):
        return list(metadata.entry_points(group=GROUP)), []
    points: list[metadata.EntryPoint] = []  # one package is enough to fail for all: read them one by one
    broken = []
    for dist in metadata.distributions():
        try:
            points += dist.entry_points.select(group=GROUP)
        except Exception as e:
            broken.append(Plugin("?", dist.name or "?", dist.version, f"entry_points.txt: {type(e).__name__}: {e}"))
    return points, broken


def _register(manager: pluggy.PluginManager, plugin: Plugin, point: metadata.EntryPoint) -> None:
    """Import the module of an entry point and register its hooks."""
    start = time.monotonic()
    module, seconds = point.load(), time.monotonic() - start
    if seconds > SLOW_IMPORT and plugin.distribution != "reportgen":
        plugin.note = f"its import takes {seconds:.1f} s, in every command"
    if (api := getattr(module, "reportgen_api", hookspecs.API_VERSION)) != hookspecs.API_VERSION:
        raise PluginError(f"made for plugin API {api}; this reportgen has API {hookspecs.API_VERSION}")
    manager.register(module, name=plugin.id)
    hooks = [(n, h.has_spec(), h.get_hookimpls()) for n, h in vars(manager.hook).items() if not n.startswith("_")]
    if unknown := [n for n, known, functions in hooks if functions and not known]:
        near = near_names(unknown[0], [n for n, known, _ in hooks if known])[:1]
        raise PluginError(f"unknown hook {unknown[0]!r}" + "".join(f"; did you mean {name!r}?" for name in near))


def run(plugin: Plugin, hook: str, function: Callable[[], Any]) -> Any:
    """Call code of a plugin and return its result; None if it fails, and then the plugin has the problem."""
    try:
        with foreign_code(), _time_limit(0 if plugin.distribution == "reportgen" else SECONDS.get(hook, MAX_SECONDS)):
            return function()
    except ReportgenError as e:
        problem = (f"{hook}: " if hook else "") + (str(e) if e.__cause__ else f"{type(e).__name__}: {e}")
        if problem not in plugin.problem:
            plugin.problem = "; ".join(filter(None, (plugin.problem, problem)))


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Stop code that does not end by SystemExit, which few catch; only in the main thread of a system with alarms."""
    with ExitStack() as undo:
        if seconds and threading.current_thread() is threading.main_thread() and hasattr(signal, "SIGALRM"):
            before = signal.signal(signal.SIGALRM, lambda *_: sys.exit(f"it did not end within {seconds} s"))
            undo.callback(signal.signal, signal.SIGALRM, before)
            undo.callback(signal.setitimer, signal.ITIMER_REAL, *signal.setitimer(signal.ITIMER_REAL, seconds, 1))
        yield


def implementations(hook: str, **arguments: Any) -> Iterator[tuple[Plugin, Callable[[], Any]]]:
    """Yield the plugin and its function, with its arguments, for every plugin that has this hook, ours first."""
    manager, plugins = load_plugins()
    order = {id: number for number, id in enumerate(plugins)}
    for one in sorted(getattr(manager.hook, hook).get_hookimpls(), key=lambda h: order.get(h.plugin_name, len(order))):
        plugin = plugins.get(one.plugin_name) or Plugin(one.plugin_name, "this program", "")
        yield plugin, functools.partial(one.function, *[arguments[name] for name in one.argnames])


def entries(hook: str) -> Iterator[tuple[str, Entry]]:
    """Yield the plugin's id and the entry for every entry that a plugin returns from `hook`.

    A hook that returns anything else is left out with all its entries.
    """
    for plugin, function in implementations(hook):
        for entry in run(plugin, hook, functools.partial(_collect, function, "entries", check_entry)) or ():
            yield plugin.id, entry


def names(hook: str) -> Iterator[str]:
    """Yield every name that a plugin returns from `hook`: of a model, or of a manifest."""
    for plugin, function in implementations(hook):
        yield from run(plugin, hook, functools.partial(_collect, function, "names", _check_name)) or ()


def _check_name(value: object) -> None:
    if not isinstance(value, str) or not value:
        raise PluginError(f"returned {quoted(value)}, which is no name")


def _collect(function: Callable[[], Any], what: str, check: Callable[[Any], None]) -> list[Any]:
    """Return the values that a hook returns, each checked. Raises PluginError for no list, or one without end."""
    returned = function()
    if isinstance(returned, str | bytes | Mapping | Entry) or not isinstance(returned, Iterable):
        raise PluginError(f"returned {quoted(returned)}, which is no list of {what}")
    values = list(itertools.islice(returned, MAX_VALUES + 1))
    if len(values) > MAX_VALUES:
        raise PluginError(f"does not end: {MAX_VALUES:,} {what} and more")
    for value in values:
        check(value)
    return values
