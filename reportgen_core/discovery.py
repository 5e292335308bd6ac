"""Finds plugins by entry point. A broken plugin is left out and its problem kept, for `rg plugins` to show."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata

import pluggy

from . import hookspecs
from .errors import PluginError
from .registry import Entry

GROUP = "reportgen"


@dataclass(slots=True)
class Plugin:
    """One entry point of the group; `problem` is empty while all is well with it."""

    name: str  # the entry point's
    distribution: str
    version: str
    problem: str = ""

    @property
    def id(self) -> str:
        return f"{self.distribution}:{self.name}"


@functools.cache
def load_plugins() -> tuple[pluggy.PluginManager, dict[str, Plugin]]:
    """Load every plugin once, ours first. REPORTGEN_PLUGINS, a comma list of names, keeps it to those."""
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    only = os.environ.get("REPORTGEN_PLUGINS")
    plugins: dict[str, Plugin] = {}
    for point in metadata.entry_points(group=GROUP):
        if only is not None and point.name not in only.split(","):
            continue
        dist = point.dist
        plugin = Plugin(point.name, dist.name if dist else "?", dist.version if dist else "?")
        plugins[plugin.id] = plugin
        try:
            module = point.load()
            asked = getattr(module, "reportgen_api", hookspecs.API_VERSION)
            if asked != hookspecs.API_VERSION:
                raise PluginError(f"made for plugin API {asked}; this reportgen has API {hookspecs.API_VERSION}")
            manager.register(module, name=plugin.id)
            manager.check_pending()
        except Exception as e:  # whatever a plugin's import raises
            plugin.problem = f"{type(e).__name__}: {e}"
            if manager.has_plugin(plugin.id):
                manager.unregister(name=plugin.id)
    return manager, dict(sorted(plugins.items(), key=lambda item: (item[1].distribution != "reportgen", item[0])))


def entries(hook: str) -> Iterator[tuple[str, Entry]]:
    """(plugin id, entry) of every implementation of `hook`."""
    manager, plugins = load_plugins()
    implementations = {i.plugin_name: i.function for i in getattr(manager.hook, hook).get_hookimpls()}
    for id, plugin in plugins.items():
        if id not in implementations:
            continue
        try:
            found = list(implementations[id]())
        except Exception as e:
            plugin.problem = f"{hook}: {type(e).__name__}: {e}"
        else:
            yield from ((id, entry) for entry in found)
