"""Find plugins by entry point. A broken plugin is left out, and `rg plugins` shows its problem."""

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
    """One entry point of the group. `problem` says why it is left out; "" if it is not."""

    name: str  # of the entry point
    distribution: str
    version: str
    problem: str = ""

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
    plugins: dict[str, Plugin] = {}
    for point in metadata.entry_points(group=GROUP):
        if only is not None and point.name not in only.split(","):
            continue
        dist = point.dist
        plugin = Plugin(point.name, dist.name if dist else "?", dist.version if dist else "?")
        plugins[plugin.id] = plugin
        try:
            module = point.load()
            api = getattr(module, "reportgen_api", hookspecs.API_VERSION)
            if api != hookspecs.API_VERSION:
                raise PluginError(f"made for plugin API {api}; this reportgen has API {hookspecs.API_VERSION}")
            manager.register(module, name=plugin.id)
            manager.check_pending()
        except Exception as e:  # whatever a plugin's import raises
            plugin.problem = f"{type(e).__name__}: {e}"
            if manager.has_plugin(plugin.id):
                manager.unregister(name=plugin.id)
    return manager, dict(sorted(plugins.items(), key=lambda item: (item[1].distribution != "reportgen", item[0])))


def entries(hook: str) -> Iterator[tuple[str, Entry]]:
    """Yield the plugin's id and the entry for every entry that a plugin returns from `hook`."""
    manager, plugins = load_plugins()
    implementations = {i.plugin_name: i.function for i in getattr(manager.hook, hook).get_hookimpls()}
    for id, plugin in plugins.items():
        if id not in implementations:
            continue
        try:
            returned = list(implementations[id]())
        except Exception as e:
            plugin.problem = f"{hook}: {type(e).__name__}: {e}"
        else:
            yield from ((id, entry) for entry in returned)
