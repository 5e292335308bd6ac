"""The names of a model's parts, and parts of other packages: the right one of two with the same name, and one that says
too little or a wrong thing. Importing it imports no torch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ..data.context import FIELDS
from ..errors import PluginError, UnknownName, quoted
from ..registries import encoders
from ..registry import Registry
from ..types import FeatureSpec, ImageSpec

if TYPE_CHECKING:
    from ..interfaces import Decoder, Encoder, Retriever
    from .reporters.context import Takes


@dataclass(frozen=True, slots=True)
class Composition:
    """The parts of a model by registered name, with their options: an encoder, and a decoder or a retriever."""

    encoder: str
    decoder: str | None = None
    retriever: str | None = None
    encoder_options: Mapping[str, Any] = field(default_factory=dict)
    decoder_options: Mapping[str, Any] = field(default_factory=dict)  # options of the decoder or the retriever


def without_pretrained(parts: Composition) -> Composition:
    """Return the same parts without pretrained weights: nothing is read from a hub or a file."""
    options = (untrained(parts.encoder_options), untrained(parts.decoder_options))
    return replace(parts, encoder_options=options[0], decoder_options=options[1])


def untrained(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a part without `pretrained`, the source of its first weights."""
    return {k: v for k, v in options.items() if k != "pretrained"}


def owned_name(registry: Registry[Any], part: Mapping[str, Any]) -> str:
    """Return the registered name of a part of config.json: that of the package in `plugin`, if there is one.

    A package whose name was taken has its part as "PACKAGE:name". Raises UnknownName if the package has no such part,
    though another package has one of that name: it would run with the weights of the first.
    """
    name, package = str(part["name"]), str(part.get("plugin") or "")
    owner = registry.owner(name)
    if not package or _is_of(owner, package):
        return name
    for key in registry:
        other = registry.owner(key)
        longer = f"{other.partition(':')[0]}:{name}"
        if _is_of(other, package) and longer in registry and _is_of(registry.owner(longer), package):
            return longer
    raise UnknownName(
        f"{registry.kind} {name!r} of {package} is not installed; {owner} has another {registry.kind} of that name"
    )


def settled_options(registry: Registry[Any], name: str, options: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the options of a part, with those that its other options decide (`SettlesOptions`)."""
    settle = getattr(registry.get_class(name), "settle_options", None)
    if settle is None or not options:
        return dict(options or {})
    fixed = registry.fixed(name)
    return {k: v for k, v in settle({**fixed, **options}).items() if k not in fixed}


def check_specs(name: str, encoder: Encoder) -> None:
    """Raise PluginError unless an encoder has set `image` and `features`, from which everything else is built."""
    for attribute, kind in (("image", ImageSpec), ("features", FeatureSpec)):
        value = getattr(encoder, attribute, None)
        if not isinstance(value, kind):
            raise PluginError(
                f"encoder {name!r} of {encoders.owner(name)}: its __init__ must set `{attribute}` to {kind.__name__}, "
                f"and it is {quoted(value)}"
            )


def plain_name(name: str, package: str) -> str:
    """Return the name by which a package registered a part, without the package before it."""
    return name.removeprefix(f"{package}:")


def _is_of(owner: str, package: str) -> bool:
    """Return whether a plugin, such as "reportgen:builtin", is of a package, whose name may be spelt A_b or a-b."""
    a, b = (re.sub(r"[-_.]+", "-", name).lower() for name in (owner.partition(":")[0], package))
    return a == b


def takes_of(head: Decoder | Retriever, views: int) -> Takes:
    """Return what a model takes of a study. Raises PluginError for a head that names a context that does not exist."""
    from .abilities import TakesContext
    from .reporters.context import Takes

    context: dict[str, Any] = dict(head.takes_context) if isinstance(head, TakesContext) else {}
    for name, need in context.items():
        if name not in FIELDS or need not in ("optional", "required"):
            raise PluginError(
                f"{type(head).__name__}.takes_context has {name}: {need!r}; it names fields of Context "
                f"({', '.join(FIELDS)}) with optional or required"
            )
    return Takes(views="required" if views else "no", most_views=views, **context)
