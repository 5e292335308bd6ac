"""Send the records of a run to trackers that accelerate knows: TensorBoard, Weights & Biases, MLflow and others."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers
from accelerate.utils import ProjectConfiguration

from ...errors import OptionError

FOLDER, PROJECT = "trackers", "reportgen"  # RUN/trackers/reportgen has the files of TensorBoard


def tracker_names(log_with: str) -> list[str]:
    """Return the names of a comma-separated list of trackers. Raises OptionError for one that cannot be used."""
    names = list(dict.fromkeys(name.strip() for name in str(log_with).split(",") if name.strip()))
    known, installed = sorted(map(str, LOGGER_TYPE_TO_CLASS)), {str(name) for name in get_available_trackers()}
    for name in names:
        if name not in known:
            raise OptionError(f"training has no log_with={name!r}; there are: {', '.join(known)}")
        if name not in installed:
            package = "'reportgen[tracking]'" if name == "tensorboard" else name.replace("_", "-")
            raise OptionError(f"log_with={name} needs {name}: pip install {package}")
    return names


def tracking_arguments(log_with: str, out: Path) -> dict[str, Any]:
    """Return the arguments by which an Accelerator sends the records of the run in `out` to these trackers."""
    if not (names := tracker_names(log_with)):
        return {}
    place = ProjectConfiguration(project_dir=str(out), logging_dir=str(out / FOLDER))
    return {"log_with": names, "project_config": place}


@contextmanager
def tracked(accelerator: Accelerator, settings: Mapping[str, Any], total: int) -> Iterator[None]:
    """Open the trackers of an accelerator during the block. `total` batches of the run are done already.

    TensorBoard hides what a killed run wrote after them. Raises OptionError if a tracker does not start.
    """
    if not accelerator.log_with:
        yield
        return
    plain = {k: v if isinstance(v, bool | int | float | str) else json.dumps(v) for k, v in settings.items()}
    resumed = {"tensorboard": {"purge_step": total + 1}} if total else {}
    try:
        accelerator.init_trackers(PROJECT, config=plain, init_kwargs=resumed)
    except Exception as e:  # a tracker raises anything at all, for example without an account
        names = ", ".join(map(str, accelerator.log_with))
        raise OptionError(f"log_with={names}: it does not start: {' '.join(str(e).split())[:300]}") from e
    try:
        yield
    finally:
        for tracker in accelerator.trackers:
            tracker.finish()


def track(accelerator: Accelerator, record: Mapping[str, Any]) -> None:
    """Send the numbers of a record of the log to the trackers: "step/loss", "step/losses/words", "epoch/val_loss"."""
    if accelerator.trackers and (values := numbers_of(record)):
        accelerator.log(values, step=record["total"])


def numbers_of(record: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of a record by name; those of an inner object have its name in front."""
    values: dict[str, float] = {}
    for key, value in record.items():
        inner = {f"{key}/{k}": v for k, v in value.items()} if isinstance(value, Mapping) else {key: value}
        values |= {
            f"{record['kind']}/{name}": number
            for name, number in inner.items()
            if isinstance(number, int | float) and not isinstance(number, bool) and name not in ("total", "epoch", "at")
        }
    return values
