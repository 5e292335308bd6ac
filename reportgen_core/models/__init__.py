"""How parts are put together into a model, saved as a folder, and built from a folder again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .composition import Plan, Row, build, check, compose, plan, retarget, seeded, target_spec, untrained
    from .format import check_weights, digest, plain_tensors, read_config
    from .loading import default_card, describe, find, load, save
    from .model import Model, arithmetic, attach, best_precision, to_channels_last
    from .repeats import without_repeats

__all__ = [
    "Model",
    "Plan",
    "Row",
    "arithmetic",
    "attach",
    "best_precision",
    "build",
    "check",
    "check_weights",
    "compose",
    "default_card",
    "describe",
    "digest",
    "find",
    "load",
    "plain_tensors",
    "plan",
    "read_config",
    "retarget",
    "save",
    "seeded",
    "target_spec",
    "to_channels_last",
    "untrained",
    "without_repeats",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "composition": [
            "Plan",
            "Row",
            "build",
            "check",
            "compose",
            "plan",
            "retarget",
            "seeded",
            "target_spec",
            "untrained",
        ],
        "format": ["check_weights", "digest", "plain_tensors", "read_config"],
        "loading": ["default_card", "describe", "find", "load", "save"],
        "model": ["Model", "arithmetic", "attach", "best_precision", "to_channels_last"],
        "repeats": ["without_repeats"],
    },
)
