"""Train a model on studies, and resume a run that was killed. A run is a folder with the best model, the state to
resume from, the settings and a log. The wing also collects words, tags and findings from the training studies, puts
reports of similar length into one batch, and computes the features of a fixed encoder only once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .features import FeatureMemory
    from .lock import is_main_process, lock_run
    from .log import RunLog, draw_curves, read_log
    from .loop import train, validate
    from .order import by_length, epoch_order, share
    from .prepare import check_needs, prepare_model, targets_of_studies
    from .retriever import fill, learns_nothing, mean_scores, own_scores, teach_texts
    from .run import TrainingRun
    from .settings import TrainSettings
    from .state import Progress, load_state, origin_of, save_state
    from .steps.gradients import weighted

__all__ = [
    "FeatureMemory",
    "Progress",
    "RunLog",
    "TrainSettings",
    "TrainingRun",
    "by_length",
    "check_needs",
    "draw_curves",
    "epoch_order",
    "fill",
    "is_main_process",
    "learns_nothing",
    "load_state",
    "lock_run",
    "mean_scores",
    "origin_of",
    "own_scores",
    "prepare_model",
    "read_log",
    "save_state",
    "share",
    "targets_of_studies",
    "teach_texts",
    "train",
    "validate",
    "weighted",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "features": ["FeatureMemory"],
        "lock": ["is_main_process", "lock_run"],
        "log": ["RunLog", "draw_curves", "read_log"],
        "loop": ["train", "validate"],
        "order": ["by_length", "epoch_order", "share"],
        "prepare": ["check_needs", "prepare_model", "targets_of_studies"],
        "retriever": ["fill", "learns_nothing", "mean_scores", "own_scores", "teach_texts"],
        "run": ["TrainingRun"],
        "settings": ["TrainSettings"],
        "steps.gradients": ["weighted"],
        "state": ["Progress", "load_state", "origin_of", "save_state"],
    },
)
