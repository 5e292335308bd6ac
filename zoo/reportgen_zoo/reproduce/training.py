"""Train one system of a preset, or the encoder that several systems start from."""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reportgen_core import Study

from .preset import Preset
from .scales import WRAPPED, Scale

if TYPE_CHECKING:
    from reportgen_core import Model, TrainSettings

    Watch = Callable[[Mapping[str, Any]], None]

CLASSIFIER = "chestxray8"  # the decoder that an encoder is trained with before the systems


def train_system(
    preset: Preset, train_studies: Sequence[Study], val: Sequence[Study], run: Path, *, start: Path | None = None,
    seed: int = 0, epochs: int | None = None, cache: Path | None = None, watch: Watch | None = None, domain: str = "",
) -> tuple[Model, TrainSettings]:  # fmt: skip
    """Compose the system of a preset and train it in the folder `run`; a run that was stopped there continues.

    Return the best model, and the settings. `start` is the folder of a model whose encoder the system starts from.
    """
    from reportgen_core import TrainSettings, compose, train

    parts = preset.compose
    model = compose(
        encoder=parts.encoder, encoder_options=parts.encoder_options, decoder=parts.decoder, retriever=parts.retriever,
        decoder_options=parts.decoder_options, text=preset.text_spec(), seed=seed,
    )  # fmt: skip
    if start is not None:
        copy_encoder_weights(model, start)
    settings = TrainSettings.of({**preset.train, "seed": seed, **({} if epochs is None else {"epochs": epochs})})
    trained = train(
        model, train_studies, val, out=run, settings=settings, resume=True, cache=cache, watch=watch, domain=domain
    )
    return trained, settings


def train_encoder(
    scale: Scale, train_studies: Sequence[Study], val: Sequence[Study], run: Path, *, settings: Mapping[str, Any],
    cache: Path | None = None, watch: Watch | None = None,
) -> Path:  # fmt: skip
    """Train the encoder of a scale to name findings, in the folder `run`; a run that was stopped there continues.

    Return the folder of the best model. `settings` are those of `train`.
    """
    from reportgen_core import TrainSettings, compose, train

    chosen = TrainSettings.of(settings)
    model = compose(
        encoder=scale.encoder, encoder_options={**scale.encoder_options, "frozen": 0}, decoder=CLASSIFIER,
        decoder_options=scale.head, seed=chosen.seed,
    )  # fmt: skip
    train(model, train_studies, val, out=run, settings=chosen, resume=True, cache=cache, watch=watch)
    return run / "best"


def copy_encoder_weights(model: Model, start: Path) -> None:
    """Copy the weights of the encoder of the model in `start` to the model's encoder, or to the one that it wraps."""
    from reportgen_core.models.loading import load_model

    trained = load_model(start).encoder.state_dict()
    own = model.encoder.state_dict()
    copied = {k: trained[short] for k in own if (short := k.removeprefix(f"{WRAPPED}.")) in trained}
    model.encoder.load_state_dict({**own, **copied})


def peak_memory() -> int:
    """Return the largest resident memory of this process so far, in MiB."""
    unit = 2**20 if sys.platform == "darwin" else 2**10  # bytes there, KiB elsewhere
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit)
