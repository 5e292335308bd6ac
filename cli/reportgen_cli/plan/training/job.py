"""What a process of a plan is to do, and what it gives back. Both are JSON files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from reportgen_core import DataError
from reportgen_core.files.json_files import read_json, write_json

ENCODER, SYSTEM, BASELINES, TEST = "encoder", "system", "baselines", "test"  # kinds of jobs


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One process: it trains the encoder or a system, or it scores."""

    kind: str
    plan: str  # the file of the plan
    studies: str  # the file of the studies
    out: str  # the folder to write into
    preset: str = ""
    start: str = ""  # the folder of the model whose encoder a system starts from, or of the model to score
    epochs: int = 1
    seconds: float = 0.0  # after which a training stops at the end of an epoch; 0: never
    train_limit: int = 0  # studies to learn from; 0: all
    val_limit: int = 0  # studies to validate on; 0: all
    parent: int = 0  # the process that started this one: when it has gone, a training stops
    began: float = 0.0  # when the process was started, in seconds since the epoch

    def save(self, path: Path) -> None:
        """Write the job."""
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, asdict(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a process measured."""

    start: float = 0.0  # seconds from the start of the process to the first step
    first_step: float = 0.0
    step: float = 0.0
    first_validation: float = 0.0  # from the last step of the first epoch to the record of its end
    validation: float = 0.0  # the same of the second epoch
    state: float = 0.0  # from the record of an epoch to the next step: the state to resume from, and the curves
    images: float = 0.0  # after the last epoch: the space of the images, and the best model read again
    scores: float = 0.0  # the reports of the validation studies, and their scores
    seconds: float = 0.0  # of the whole process
    memory: int = 0  # MiB
    gpu_memory: int = 0  # MiB
    steps: int = 0  # that were timed
    epochs: int = 0  # that were trained
    stopped: bool = False  # by its time
    resumed: bool = False  # it began in an earlier process, whose time is not counted here
    notes: tuple[str, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write the outcome."""
        write_json(path, asdict(self))


def read_job(path: Path) -> Job:
    """Read a job."""
    return Job(**read_json(path, DataError))


def read_outcome(path: Path) -> Outcome | None:
    """Read an outcome; None if the process has not written one. Raises DataError."""
    if not path.exists():
        return None
    values = read_json(path, DataError)
    try:
        return Outcome(**{**values, "notes": tuple(values["notes"])})
    except (TypeError, KeyError) as e:
        raise DataError(f"{path}: no outcome of rg plan run: {e}") from e
