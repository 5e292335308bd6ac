"""The state of a training run on disk, from which a run that was killed resumes to the same weights, bit for bit.

    RUN/state/model.safetensors      weights and statistics
    RUN/state/optimizer.safetensors  moments, named by the number of the parameter and the key: "3.exp_avg"
    RUN/state/state.json             the progress, the settings, the vocabulary and the origin of the run
    RUN/state/tokenizer.json …       the files of a text recipe that has some

Randomness needs no state: the order of an epoch and the dropout of a step are functions of the seed and the number of
the epoch or step.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..errors import CheckpointError
from ..files.atomic import recover, replacing
from ..files.json_files import read_json, write_json
from ..models.format import check_weights, plain_tensors, read_recipe_files
from ..models.model import target_spec
from ..text.spec import SPECIAL, TextSpec, Vocabulary
from ..types import Study, TargetSpec
from .order import Pace

PACE = ("batch_size", "accumulate")  # settings that may differ with the number of processes, see `Pace`
PROCESSES = "processes"
VOCABULARY = ("words", "tags", "findings", "positives")  # of TargetSpec; the rest of it follows from the text spec


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a run: `step` batches of `epoch` are done."""

    epoch: int = 0
    step: int = 0  # batches done in this epoch
    total: int = 0  # batches done in all
    best: float | None = None  # validation score of the best model
    best_epoch: int = -1


class Resumed(NamedTuple):
    """Where a resumed run goes on, and what differs from the run as it was started."""

    progress: Progress
    note: str  # "" if nothing differs
    scale: float  # batches now for each batch that was counted


def origin_of(
    targets: TargetSpec, train: Sequence[Study], val: Sequence[Study], processes: int
) -> dict[str, dict[str, Any]]:
    """Return counts and digests of what a run is made from: vocabulary, studies and number of processes.

    Of an image only the name of its file counts, so that a dataset may move to another folder.
    """
    vocabulary = {name: getattr(targets, name) for name in ("words", "tags", "findings")}
    return {
        **{name: {"count": len(values), "sha256": _digest(values)} for name, values in vocabulary.items()},
        "training studies": {"count": len(train), "sha256": _digest(map(_study_values, train))},
        "validation studies": {"count": len(val), "sha256": _digest(map(_study_values, val))},
        PROCESSES: {"count": processes},
    }


def _digest(values: Iterable[Any]) -> str:
    sha256 = hashlib.sha256()
    for value in values:
        sha256.update(json.dumps(value, sort_keys=True, default=str).encode())
    return sha256.hexdigest()


def _study_values(study: Study) -> list[Any]:
    views = [(view.path.name, view.projection) for view in study.views]
    return [study.id, views, dict(study.sections), list(study.tags), dict(study.labels), dict(study.extra)]


def save_state(
    run: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
    settings: Mapping[str, Any],
    origin: Mapping[str, Any],
    targets: TargetSpec,
    text: TextSpec,
) -> None:
    """Write RUN/state. It replaces the old state when it is whole."""
    with replacing(run / "state", holds="state.json") as folder:
        save_file(plain_tensors(model), folder / "model.safetensors")
        save_file(_moments(optimizer), folder / "optimizer.safetensors")
        vocabulary = {name: list(getattr(targets, name)) for name in VOCABULARY}
        values = {"progress": asdict(progress), "settings": settings, "origin": origin, "vocabulary": vocabulary}
        for name, content in text.files.items():
            (folder / name).write_bytes(content)
        write_json(folder / "state.json", values | ({"text_files": text.hashes} if text.files else {}))


def load_targets(run: Path, text: TextSpec) -> tuple[TextSpec, TargetSpec] | None:
    """Return the text spec of the run in RUN/state, with the files of its recipe, and its words, tags and findings.

    Return None if there is no state that has them.
    """
    recover(run / "state")
    if not (run / "state").exists():
        return None
    state = read_json(run / "state" / "state.json")
    values = state.get("vocabulary")
    if values is None:
        return None
    files = read_recipe_files(run / "state", {"recipe": text.recipe, "files": state.get("text_files", {})})
    text = replace(text, files=files)
    words, *others = (values[name] for name in VOCABULARY)
    return text, target_spec(text, Vocabulary(words[len(SPECIAL) :]), *others)


def load_state(
    run: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    settings: Mapping[str, Any],
    origin: Mapping[str, Any],
) -> Resumed | None:
    """Load RUN/state into model and optimizer. Return where the run goes on; None if there is no state.

    With another number of processes, batch size or accumulation the order of the studies is kept, as long as their
    product is the same. With other training studies the interrupted epoch begins again, and scores on other validation
    studies are not compared. Raises CheckpointError for another product, other settings or another vocabulary, and for
    weights that do not fit.
    """
    recover(run / "state")
    folder = run / "state"
    if not folder.exists():
        return None
    state = read_json(folder / "state.json")
    differ = [k for k in settings if k not in PACE and state["settings"].get(k) != settings[k]]
    if differ:
        raise CheckpointError(
            f"{run} was started with {differ[0]}={state['settings'].get(differ[0])!r}, not {settings[differ[0]]!r}; "
            "resume with the same settings, or choose another --out"
        )
    started = state.get("origin")
    then, now = _pace(state["settings"], started or origin), _pace(settings, origin)
    if then.total != now.total:
        raise CheckpointError(
            f"{run} was started with {then}, not {now}; choose batch_size and accumulate that make "
            f"{then.total} studies a step, or another --out"
        )
    differences = _differences(started, origin) if started else {}
    if then != now:
        differences[PROCESSES] = f"{then}, now {now}"
    if differences.keys() & {"words", "tags", "findings"}:
        raise CheckpointError(
            f"cannot resume {run} with another vocabulary: it was started with {_listed(differences)}; resume with the "
            "same data and model, or choose another --out"
        )
    check_weights(folder / "model.safetensors", model.state_dict())
    model.load_state_dict(load_file(folder / "model.safetensors"))
    _restore(optimizer, load_file(folder / "optimizer.safetensors"))
    saved = Progress(**state["progress"])
    progress = _at_pace(saved, then, now, origin["training studies"]["count"])
    if "training studies" in differences:
        progress = replace(progress, step=0)
    if "validation studies" in differences:
        progress = replace(progress, best=None)
    return Resumed(progress, _note(run, bool(started), differences), progress.total / max(saved.total, 1))


def _pace(settings: Mapping[str, Any], origin: Mapping[str, Any]) -> Pace:
    return Pace(settings["batch_size"], origin.get(PROCESSES, {}).get("count", 1), settings["accumulate"])


def _at_pace(progress: Progress, then: Pace, now: Pace, studies: int) -> Progress:
    """Return the progress in batches of the new pace, at the last whole step, whose weights were saved."""
    step = progress.step // then.accumulate * now.accumulate
    if then.batch_size * then.processes == now.batch_size * now.processes:
        return replace(progress, step=step, total=progress.total - (progress.step - step))
    return replace(progress, step=step, total=progress.epoch * now.batches(studies) + step)


def _differences(started: Mapping[str, Any], origin: Mapping[str, Any]) -> dict[str, str]:
    """Return by name what differs between the origin that a state has and that of the run that resumes it."""
    differ = [name for name, value in origin.items() if name != PROCESSES and started.get(name) != value]
    counts = {name: (started.get(name, {}).get("count"), origin[name]["count"]) for name in differ}
    return {
        name: f"{then} {name}, now {now}" if then != now else f"other {name} ({now} then and now)"
        for name, (then, now) in counts.items()
    }


def _listed(differences: Mapping[str, str]) -> str:
    return " and with ".join(differences.values())


def _note(run: Path, comparable: bool, differences: Mapping[str, str]) -> str:
    if not comparable:
        return f"{run} was saved by an older version: whether its data are the same was not checked"
    if not differences:
        return ""
    effects = []
    if "training studies" in differences:
        effects.append("the interrupted epoch begins again")
    elif PROCESSES in differences:
        effects.append("the order of the studies is kept")
    if "validation studies" in differences:
        effects.append("earlier scores are not compared with new ones")
    return f"{run} was started with {_listed(differences)}: {', and '.join(effects)}"


def _moments(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the optimizer's state as named tensors: "3.exp_avg"."""
    state = optimizer.state_dict()["state"]
    return {f"{n}.{key}": v.detach().cpu().contiguous() for n, values in state.items() for key, v in values.items()}


def _restore(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        number, _, key = name.partition(".")
        like = parameters[int(number)]
        if tensor.shape == like.shape:  # in the parameter's own layout: another one rounds otherwise
            tensor = torch.empty_like(like, dtype=tensor.dtype, device="cpu", requires_grad=False).copy_(tensor)
        state.setdefault(int(number), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
