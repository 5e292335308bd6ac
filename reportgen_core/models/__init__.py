"""Build a model from an encoder and a decoder or retriever, save it as a folder, and load it again. `compose` checks
that the parts fit before it allocates memory. A `Snapshot` holds what a model's folder keeps: config, words, tags,
tensors and files. The `Model` itself generates the reports of studies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .abilities import (
        Annotates,
        HasFrozenParts,
        HasMaps,
        HasOwnLosses,
        HasTrainingStep,
        KeepsFiles,
        LearnsFromStudies,
        LearnsFromTexts,
        SettlesOptions,
        SpeaksByThresholds,
        TakesContext,
        TakesTargets,
    )
    from .composition import CompositionPlan, PartSummary, check_composition, compose, plan, retarget, seeded
    from .computing.parts import PartPrecisions, part_precisions
    from .format import (
        Snapshot,
        check_finite,
        check_weights,
        digest,
        plain_tensors,
        read_config,
        read_snapshot,
        unwrap,
        write_snapshot,
    )
    from .loading import find_model_folder, load, load_model, save
    from .model import (
        Model,
        attach,
        build_model,
        default_card,
        from_snapshot,
        model_config,
        target_spec,
    )
    from .owners import untrained, without_pretrained
    from .precision import autocast_for, best_precision, to_channels_last
    from .repeats import without_repeats
    from .reporters.context import Takes
    from .reporters.reporter import Reporter
    from .reports import ReportBuilder, from_hits

__all__ = [
    "Annotates",
    "CompositionPlan",
    "HasFrozenParts",
    "HasMaps",
    "HasOwnLosses",
    "HasTrainingStep",
    "KeepsFiles",
    "LearnsFromStudies",
    "LearnsFromTexts",
    "Model",
    "PartPrecisions",
    "PartSummary",
    "ReportBuilder",
    "Reporter",
    "SettlesOptions",
    "Snapshot",
    "SpeaksByThresholds",
    "Takes",
    "TakesContext",
    "TakesTargets",
    "attach",
    "autocast_for",
    "best_precision",
    "build_model",
    "check_composition",
    "check_finite",
    "check_weights",
    "compose",
    "default_card",
    "digest",
    "find_model_folder",
    "from_hits",
    "from_snapshot",
    "load",
    "load_model",
    "model_config",
    "part_precisions",
    "plain_tensors",
    "plan",
    "read_config",
    "read_snapshot",
    "retarget",
    "save",
    "seeded",
    "target_spec",
    "to_channels_last",
    "untrained",
    "unwrap",
    "without_pretrained",
    "without_repeats",
    "write_snapshot",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "abilities": [
            "Annotates",
            "HasFrozenParts",
            "HasMaps",
            "HasOwnLosses",
            "HasTrainingStep",
            "KeepsFiles",
            "LearnsFromStudies",
            "LearnsFromTexts",
            "SettlesOptions",
            "SpeaksByThresholds",
            "TakesContext",
            "TakesTargets",
        ],
        "computing.parts": ["PartPrecisions", "part_precisions"],
        "composition": ["CompositionPlan", "PartSummary", "check_composition", "compose", "plan", "retarget", "seeded"],
        "format": [
            "Snapshot",
            "check_finite",
            "check_weights",
            "digest",
            "plain_tensors",
            "read_config",
            "read_snapshot",
            "unwrap",
            "write_snapshot",
        ],
        "loading": ["find_model_folder", "load", "load_model", "save"],
        "model": [
            "Model",
            "attach",
            "build_model",
            "default_card",
            "from_snapshot",
            "model_config",
            "target_spec",
        ],
        "owners": ["untrained", "without_pretrained"],
        "precision": ["autocast_for", "best_precision", "to_channels_last"],
        "repeats": ["without_repeats"],
        "reporters.context": ["Takes"],
        "reporters.reporter": ["Reporter"],
        "reports": ["ReportBuilder", "from_hits"],
    },
)
