"""The state of a training run on disk, from which a run that was killed resumes to the same weights, bit for bit.

    RUN/state/model.safetensors      weights and statistics
    RUN/state/optimizer.safetensors  moments, named by the number of the parameter and the key: "3.exp_avg"
    RUN/state/state.json             the progress and the settings of the run

Randomness needs no state: the order of an epoch and the dropout of a step are functions of the seed and the number of
the epoch or step.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..errors import CheckpointError
from ..files.atomic import recover, replacing
from ..files.json_files import read_json, write_json
from ..models.format import check_weights, plain_tensors


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a run: `step` batches of `epoch` are done."""

    epoch: int = 0
    step: int = 0  # batches done in this epoch
    total: int = 0  # batches done in all
    best: float | None = None  # validation score of the best model
    best_epoch: int = -1


def save_state(
    run: Path, model: nn.Module, optimizer: torch.optim.Optimizer, progress: Progress, settings: Any
) -> None:
    """Write RUN/state. It replaces the old state when it is whole."""
    with replacing(run / "state", holds="state.json") as folder:
        save_file(plain_tensors(model), folder / "model.safetensors")
        save_file(_moments(optimizer), folder / "optimizer.safetensors")
        write_json(folder / "state.json", {"progress": asdict(progress), "settings": settings})


def load_state(run: Path, model: nn.Module, optimizer: torch.optim.Optimizer, settings: Any) -> Progress | None:
    """Load RUN/state into model and optimizer and return its progress; None if there is no state.

    Raises CheckpointError if the run was started with other settings, or if the weights do not fit the model.
    """
    recover(run / "state")
    folder = run / "state"
    if not folder.exists():
        return None
    state = read_json(folder / "state.json")
    differ = [k for k in settings if state["settings"].get(k) != settings[k]]
    if differ:
        raise CheckpointError(
            f"{run} was started with {differ[0]}={state['settings'].get(differ[0])!r}, not {settings[differ[0]]!r}; "
            "resume with the same settings, or choose another --out"
        )
    check_weights(folder / "model.safetensors", model.state_dict())
    model.load_state_dict(load_file(folder / "model.safetensors"))
    _restore(optimizer, load_file(folder / "optimizer.safetensors"))
    return Progress(**state["progress"])


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
