"""Judge which presets can learn from the data, and say of each other one why not."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from reportgen_zoo.reproduce.preset import Preset, load_preset
from reportgen_zoo.reproduce.run import writes_reports
from reportgen_zoo.reproduce.scales import KEPT_TRAINING, WRAPPED, Scale

from reportgen_core import ReportgenError
from reportgen_core.registries import presets
from reportgen_core.text.spec import TextSpec
from reportgen_core.types import Study

from ..settled.presets import settled_preset
from .limits import settle_text

ABNORMAL = "abnormal"
# Presets that are trained first: one of each kind of decoder, by the results on the phantom at scale small, then others
# of these kinds. Presets that are not named follow, in the order of the registry.
FIRST = (
    "soft-att", "hier-cnn-rnn-dual", "tienet-igr", "r2gen", "densenet-lstm", "cvse", "lrcn", "jing-coattention",
    "transformer", "att-rk", "r2gen-cmn", "hier-cnn-rnn-complete", "ditag-baseline", "cditag",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Learner:
    """A preset that can learn from the data."""

    preset: Preset  # with its text settings for these data, at the scale of the plan
    cut: float  # share of the training reports that its limits cut
    parameters: int
    features: int  # bytes of the features of a study, if they are kept


def judge_presets(
    scale: Scale, studies: Sequence[Study], sections: Sequence[str], names: Sequence[str] = ()
) -> tuple[dict[str, Learner], dict[str, str]]:
    """Return the presets that can learn from the training studies, in the order in which they are tried, and why not
    the others. `names` are the only ones that are judged, if there are some.
    """
    learners: dict[str, Learner] = {}
    left: dict[str, str] = {}
    known: dict[str, str] = {}
    for name in names or sorted(presets, key=_place):
        try:
            preset = load_preset(name)
            if why := _unfit(preset, sections, studies):
                left[name] = why
                continue
            learner = _learner(preset, scale, studies, sections)
        except ReportgenError as e:
            left[name] = str(e)
            continue
        key = _key(learner.preset)
        if key in known:
            left[name] = f"with the settings of this plan it is the same as {known[key]}"
            continue
        known[key] = name
        learners[name] = learner
    return learners, left


def _place(name: str) -> tuple[int, int]:
    order = {first: number for number, first in enumerate(FIRST)}
    return order.get(name, len(FIRST)), list(presets).index(name)


def _unfit(preset: Preset, sections: Sequence[str], studies: Sequence[Study]) -> str:
    """Return why a preset does not do what is wanted; "" if it does."""
    if preset.compose.encoder == "none":
        return "it reads reports, and no image"
    if not sections:
        return "" if not writes_reports(preset) and _needs_findings_alone(preset) else "it needs reports to learn from"
    if not writes_reports(preset):
        return "it predicts findings, and writes no report"
    own = preset.text_spec().sections
    if ABNORMAL in own and ABNORMAL not in sections:
        there = any(s.text([ABNORMAL]) for s in studies)
        how = "--section abnormal plans for it" if there else "rg data abnormal makes a table with that section"
        return f"it writes abnormal sentences alone, which cannot be compared with whole reports; {how}"
    return ""


def _needs_findings_alone(preset: Preset) -> bool:
    from reportgen_core.registries import decoders

    decoder = preset.compose.decoder
    return decoder is not None and set(decoders.get_class(decoder).needs) == {"findings"}


def _learner(preset: Preset, scale: Scale, studies: Sequence[Study], sections: Sequence[str]) -> Learner:
    """Return a preset with the settings of the plan. Raises ReportgenError if it does not fit the studies."""
    import torch

    from reportgen_core.models.model import build_model, target_spec
    from reportgen_core.models.owners import without_pretrained
    from reportgen_core.text.spec import Vocabulary, given_recipe
    from reportgen_core.training.prepare import check_needs

    texts = [s.text(sections) for s in studies] if sections else []
    limited = settle_text(preset, texts, sections) if sections else None
    spec = limited.spec if limited else TextSpec()
    preset = settled_preset(preset, scale)
    targets = target_spec(spec, Vocabulary(["word"] * 0), _tags(studies), _findings(studies))
    with torch.device("meta"):
        model = build_model(without_pretrained(preset.compose), given_recipe(spec), targets)
    check_needs(model, studies)
    features = model.encoder.features
    size = 4 * (features.tokens * (features.dim + 1) + features.pooled)
    parameters = sum(p.numel() for p in model.parameters())
    return Learner(replace(preset, text=_values(spec)), limited.cut if limited else 0.0, parameters, size)


def _values(spec: TextSpec) -> Mapping[str, object]:
    from .limits import text_values

    return text_values(spec)


def _tags(studies: Sequence[Study]) -> list[str]:
    return sorted({tag for s in studies for tag in s.tags})


def _findings(studies: Sequence[Study]) -> list[str]:
    return sorted({name for s in studies for name in s.labels})


def _key(preset: Preset) -> str:
    """Return what two presets share that are trained in the same way, whatever their recipes clean away."""
    training = {k: v for k, v in preset.train.items() if k in KEPT_TRAINING}
    return json.dumps([asdict(preset.compose), training, dict(preset.generation)], sort_keys=True, default=str)


def wraps_encoder(preset: Preset) -> bool:
    """Return whether a preset's encoder wraps another one."""
    return WRAPPED in preset.compose.encoder_options
