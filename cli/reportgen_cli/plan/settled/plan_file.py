"""A plan: one JSON file that a person may edit.

Settings are of three kinds, as in nnU-Net (Isensee et al., Nature Methods 2021): `fixed` ones are the same for all
data, `rules` follow from the data and the machine, and what is `tried` is settled by validation scores. `why` has a
sentence for each of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from reportgen_core.files.json_files import write_json
from reportgen_core.version import __version__

FORMAT = 1
GOALS = ("reports", "findings")


@dataclass(frozen=True, slots=True)
class PlanData:
    """The dataset, as it was given to `rg plan make`."""

    name: str
    root: str | None
    options: Mapping[str, Any]
    sections: tuple[str, ...]  # that are the report; () if findings are learned
    labels: str  # "data", "mesh", a metric that labels reports, or "" for none
    allow_leaks: bool = False

    @property
    def called(self) -> str:
        """Return the name of the dataset in words for people: of a table without its folder."""
        return Path(self.name).name


@dataclass(frozen=True, slots=True)
class Fixed:
    """Settings that are the same for every dataset."""

    optimizer: str = "adam"
    schedule: str = "cosine"
    lr: float = 1.5e-3
    clip: float = 5.0
    seed: int = 0
    metrics: tuple[str, ...] = ("bleu", "rouge-l", "cider", "chexpert-rules")


@dataclass(frozen=True, slots=True)
class Rules:
    """Settings that follow from the data and the machine."""

    goal: str  # of GOALS
    image_size: int
    views: int
    encoder: str
    encoder_options: Mapping[str, Any]
    weights: str  # that the encoder starts from: a file, "package:NAME", or "" for random ones
    schooling: Mapping[str, Any]  # settings of the encoder's own training on the labels; {}: none
    encoder_learns: bool  # while the systems are trained
    sizes: Mapping[str, Any]  # options of decoders and retrievers that have them
    precision: str
    threads: int  # of each training
    warmup: int
    epochs: int
    least_epochs: int
    most_presets: int
    decide: str  # the score on validation that chooses
    then: str  # the score that chooses among presets which are level in the first


@dataclass(frozen=True, slots=True)
class Tried:
    """What validation scores settle: the presets, in the order in which they are trained."""

    presets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cost:
    """The measured time of one training, in seconds, and its memory, as if it learned from all studies."""

    start: float  # from the start of the process to the first step
    first_step: float  # a step of the first epoch, which reads images and runs the encoder
    step: float  # a step of a later epoch
    first_end: float  # validation and saving after the first epoch
    end: float  # after a later epoch
    finish: float  # after the last epoch: the images' space, and the scores on validation
    memory: int  # MiB, the largest of the process
    gpu_memory: int = 0  # MiB

    def seconds(self, epochs: int, steps: int) -> float:
        """Return the time of a training of so many epochs of so many steps."""
        later = (epochs - 1) * (steps * self.step + self.end)
        return self.start + steps * self.first_step + self.first_end + later + self.finish


@dataclass(frozen=True, slots=True)
class Candidate:
    """A preset that can learn from the data: its text settings and batch, and what a training costs."""

    text: Mapping[str, Any]
    batch_size: int
    cost: Cost
    note: str = ""


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine that the plan was made on."""

    cpus: int
    memory: int  # MiB
    available: int  # MiB that were free for use
    load: float  # processes that ran or waited in the minute before
    gpu: str = ""
    gpu_memory: int = 0  # MiB


@dataclass(frozen=True, slots=True)
class Plan:
    """What is trained on a dataset, and how."""

    data: PlanData
    fixed: Fixed
    rules: Rules
    tried: Tried
    why: Mapping[str, str]  # a sentence for each setting
    presets: Mapping[str, Candidate]
    left_out: Mapping[str, str]  # a preset, and why
    counts: Mapping[str, int]  # studies of each split
    machine: Machine
    encoder_cost: Cost | None = None  # of the schooling
    unmeasured: tuple[str, ...] = ()  # presets that can learn, and come after those that are tried
    warnings: tuple[str, ...] = ()
    studies: Mapping[str, str] = field(default_factory=dict)  # a digest of each study, by its id
    format: int = FORMAT
    reportgen: str = __version__

    def steps(self, batch_size: int) -> int:
        """Return the steps of an epoch."""
        return -(-self.counts["train"] // batch_size)


def write_plan(plan: Plan, path: Path) -> None:
    """Write a plan, what a person may edit first."""
    values = asdict(plan)
    head = {"format": plan.format, "reportgen": plan.reportgen}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {**head, **{k: v for k, v in values.items() if k not in head}}, sort=False)


def setting_names() -> tuple[str, ...]:
    """Return the names of all settings, each of which has its reason in a plan."""
    return tuple(f.name for kind in (Fixed, Rules, Tried) for f in fields(kind))
