"""Choose the precision of the encoder and of the head of a model: each computes in the format in which it is faster.

A fixed precision is that of both, and `bf16/fp32` names the encoder's and the head's. `auto` is fp32 on a machine that
does not multiply bf16 in hardware. On any other, a few noise images and short reports of them are computed in both
formats at the first use of a model, and the choice is kept.
"""

from __future__ import annotations

import platform
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from ...errors import CompositionError
from ...interfaces import Decoder, Encoder, Retriever
from ...text.spec import SPECIAL
from ...types import Batch, Features, GenerationSettings, Study, Targets, TargetSpec
from ..format import unwrap
from ..precision import PRECISIONS, autocast_for, best_precision, to_channels_last
from .gain import Run, faster_precision, measured_gains
from .memory import choice_file, keep_choice, kept_choice

STUDIES = {"cpu": 2, "cuda": 16}  # that are computed to measure
SHORT = GenerationSettings(max_sentences=2, max_words=6, attention=False)

Measure = Callable[[Run, Run], list[float]]

_lock = threading.Lock()  # of two threads with a new model, one measures and the other waits


class ChoosesPrecision(Protocol):
    """A model of two parts, as far as this module knows it."""

    encoder: Encoder
    targets: TargetSpec

    @property
    def head(self) -> Decoder | Retriever: ...

    @property
    def device(self) -> torch.device: ...

    def encode(self, batch: Batch) -> Features: ...

    def write_batch(self, features: Features, batch: Batch, settings: GenerationSettings) -> object: ...


@dataclass(frozen=True, slots=True)
class PartPrecisions:
    """The precisions of the two parts of a model on a device."""

    device: torch.device
    encoder: str
    head: str

    def of_encoder(self) -> AbstractContextManager[Any]:
        """Return the context in which the encoder computes."""
        return autocast_for(self.device, self.encoder)

    def of_head(self) -> AbstractContextManager[Any]:
        """Return the context in which the decoder or retriever computes."""
        return autocast_for(self.device, self.head)

    def for_head(self, features: Features) -> Features:
        """Return the encoder's features as the head takes them: in float32 if it alone computes in fp32."""
        if self.encoder == self.head or self.head != "fp32":
            return features
        tags = features.tags
        return replace(
            features,
            tokens=features.tokens.float(),
            pooled=features.pooled.float(),
            tags=None if tags is None else tags.float(),
        )

    def __str__(self) -> str:
        return self.encoder if self.encoder == self.head else f"encoder {self.encoder}, decoder {self.head}"


@dataclass(frozen=True, slots=True)
class HeadWork:
    """What the head of a model does with features, by name, and the targets that it needs for it."""

    name: str
    run: Callable[[Features, Batch], object]
    targets: Targets = field(default_factory=Targets)


def part_precisions(
    model: ChoosesPrecision, precision: str = "auto", work: HeadWork | None = None, measure: Measure = measured_gains
) -> PartPrecisions:
    """Return the precisions in which the parts of a model compute. `work` is the head's; None: it writes reports.

    Raises CompositionError for an unknown precision.
    """
    device = model.device
    if precision != "auto":
        names = precision.split("/")
        if len(names) > 2 or not set(names) <= set(PRECISIONS[1:]):
            raise CompositionError(
                f"no precision {precision!r}; there are: {', '.join(PRECISIONS)}, bf16/fp32, fp32/bf16"
            )
        return PartPrecisions(device, names[0], names[-1])
    if best_precision(device) == "fp32":
        return PartPrecisions(device, "fp32", "fp32")
    work = work or HeadWork("write", lambda features, batch: model.write_batch(features, batch, SHORT))
    return choose_precisions(model, work, measure)


def choose_precisions(model: ChoosesPrecision, work: HeadWork, measure: Measure = measured_gains) -> PartPrecisions:
    """Return the precision in which each part is faster: the one that is kept, else the one that is measured now.

    Measuring puts the model into eval mode. A head without words, and a part without parameters, stays in fp32.
    """
    device, count = model.device, STUDIES.get(model.device.type, 2)
    machine = {"processor": processor(device), "torch": torch.__version__}
    spec, head = model.encoder.image, unwrap(model.head)
    image = {"image": [spec.views, spec.channels, spec.height, spec.width]}
    width = model.encoder.features
    sizes = {"features": [width.dim, width.pooled, width.tokens], "words": len(model.targets.words)}
    files = [
        (about := {**machine, **part_name(unwrap(part)), **more}, choice_file(about))
        for part, more in ((model.encoder, image), (head, {**sizes, "work": work.name}))
    ]
    idle = [next(part.parameters(), None) is None for part in (model.encoder, head)]  # they compute nothing
    idle[1] = idle[1] or (isinstance(head, Decoder) and len(model.targets.words) <= len(SPECIAL))
    with _lock, torch.inference_mode():
        chosen = ["fp32" if none else kept_choice(file) for none, (_, file) in zip(idle, files, strict=True)]
        if None in chosen:
            for part in (model.encoder, head):
                part.eval()
            to_channels_last(model.encoder)
            batch = noise_batch(model, count, work.targets)
            features = model.encode(batch)
            runs: tuple[Run, Run] = (lambda: model.encode(batch), lambda: work.run(features, batch))
            for n, (run, (about, file)) in enumerate(zip(runs, files, strict=True)):
                chosen[n] = chosen[n] or _choose(run, about, file, device, measure)
    return PartPrecisions(device, str(chosen[0]), str(chosen[1]))


def _choose(run: Run, about: Mapping[str, Any], file: Path, device: torch.device, measure: Measure) -> str:
    """Measure what a part runs in both formats, keep the choice and return it."""

    def within(precision: str) -> Run:
        def timed() -> None:
            with autocast_for(device, precision):
                run()
            if device.type == "cuda":
                torch.cuda.synchronize(device)

        return timed

    gains = measure(within("fp32"), within("bf16"))
    return keep_choice(file, about, faster_precision(gains), gains)


def noise_batch(model: ChoosesPrecision, count: int, targets: Targets) -> Batch:
    """Return a batch of `count` studies of noise, with all the images that the encoder takes."""
    spec, draw = model.encoder.image, torch.Generator().manual_seed(0)
    dtype, levels = (torch.uint8, 256) if spec.bits == 8 else (torch.int32, 65536)
    shape = (count, spec.views, spec.height, spec.width)
    pixels = torch.randint(0, levels, shape, generator=draw).to(dtype)
    ids = tuple(map(str, range(count)))
    mask = torch.ones(count, spec.views, dtype=torch.bool)
    return Batch(ids, pixels, mask, targets, studies=tuple(Study(id, ()) for id in ids))


def part_name(part: nn.Module) -> dict[str, Any]:
    """Return the name and the options of a part, or the name of its class if no registry built it."""
    config: Mapping[str, Any] = getattr(part, "part_config", None) or {"name": type(part).__name__, "options": {}}
    return {"part": config["name"], "options": dict(config["options"])}


def processor(device: torch.device) -> str:
    """Return what computes: the name of the graphics card, or of the processor and what it can do."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
        name = next((x.partition(":")[2].strip() for x in lines if x.startswith("model name")), name)
    amx: bool = torch.cpu._is_amx_tile_supported()  # virtual machines give many processors one name
    return f"{name}, {torch.backends.cpu.get_cpu_capability()}{', AMX' if amx else ''}"
