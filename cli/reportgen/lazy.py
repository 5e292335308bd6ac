"""Public names that are imported at their first use. `reportgen_core`, too, is imported only then."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence


def lazy_names(
    package: str, homes: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` for a package, as `reportgen_core.lazy.lazy_names` does."""

    def get(name: str) -> object:
        from reportgen_core.lazy import lazy_names as of_the_core

        return of_the_core(package, homes)[0](name)

    def names() -> list[str]:
        own = vars(sys.modules[package])
        return sorted({*own["__all__"], *(n for n in own if n.startswith("__"))})

    return get, names
