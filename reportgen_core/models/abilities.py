"""Abilities that an encoder, decoder or retriever may have besides its interface, each a small protocol."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from ..data.context import Context
from ..types import (
    Annotation,
    Batch,
    Collection,
    Decoded,
    Features,
    Generated,
    GenerationSettings,
    Targets,
    TargetSpec,
)


@runtime_checkable
class HasFrozenParts(Protocol):
    """An encoder whose first stages do not learn."""

    def frozen(self) -> Sequence[nn.Module]:
        """Return the modules that stay in eval mode while training and whose parameters get no gradient."""


@runtime_checkable
class HasMaps(Protocol):
    """An encoder with an option `maps`: how many feature maps it returns. DiTag compares four of them."""

    map_widths: tuple[int, ...]  # channels of each map, the map nearest to the pixels first

    def feature_maps(self, images: Tensor) -> list[Tensor]:
        """Return the maps (n, width, h, w) of single images (n, C, H, W), the map nearest to the pixels first."""


@runtime_checkable
class HasOwnLosses(Protocol):
    """An encoder with losses of its own, such as DiTag's tag classifiers at each depth."""

    def losses(self, features: Features, targets: Targets) -> Mapping[str, Tensor]:
        """Return the encoder's losses by name, () each and unweighted. They are added to the decoder's losses."""


@runtime_checkable
class TakesTargets(Protocol):
    """An encoder with classifiers of its own, which must know the names that are predicted."""

    def attach(self, targets: TargetSpec) -> None:
        """Build the classifiers; may set `features.tag_heads`. It is called once, right after building."""


@runtime_checkable
class SettlesOptions(Protocol):
    """A part with an option that names a folder or file which decides other options, as `pretrained` of `vit/*` does.

    The result is saved with the model, so that a model which is loaded is built without the folder.
    """

    @classmethod
    def settle_options(cls, options: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return all options of the part, those that its entry fixes among them. Raises OptionError."""


@runtime_checkable
class LearnsFromStudies(Protocol):
    """A part that learns from the training studies before training, as DiTag chooses its normal study."""

    def learn(self, studies: Collection) -> None:
        """Set buffers from the training studies, never parameters."""


@runtime_checkable
class HasOwnTexts(Protocol):
    """A decoder that writes sentences of its own, whose words the training reports may lack, as `templates` does."""

    def own_texts(self, findings: Sequence[str]) -> Sequence[str]:
        """Return the texts that the decoder can write about these findings; their words join the vocabulary."""


@runtime_checkable
class LearnsFromTexts(Protocol):
    """A retriever that learns from the sentences of the training reports before training, as CVSE groups them."""

    def learn_texts(self, reports: Mapping[str, Sequence[str]]) -> None:
        """Learn from the sentences of each training study, by the study's id. Raises DataError for too few."""


@runtime_checkable
class HasTrainingStep(Protocol):
    """A decoder or retriever with a training step of its own: several passes, a reward, two optimizer steps.

    The settings `steps` are for other parts; `weights`, `clip` and `accumulate` hold here, too.
    """

    def training_step(
        self, batch: Batch, forward: Callable[[], Decoded], step: Callable[[Mapping[str, Tensor]], None]
    ) -> Mapping[str, Tensor]:
        """Train on a batch and return the losses for the log, () each, by name.

        `forward()` is the model's teacher-forced pass on the batch, with the encoder's own losses. `step(losses)` takes
        one optimizer step on the sum of these losses, each with its weight; their graphs are used up.
        """


@runtime_checkable
class KeepsFiles(Protocol):
    """A part that keeps files of its own in a model's folder: an index, thresholds, a tokenizer.

    `model_digest` is the sha256 of the model's weights and config.
    """

    def write_files(self, folder: Path, model_digest: str) -> None:
        """Write the part's own files into the model's folder, which does not have them yet."""

    def read_files(self, folder: Path, model_digest: str) -> None:
        """Read the part's own files if the folder has them. Raises CheckpointError for files of another model."""

    def drop_files(self) -> None:
        """Forget all that is valid for the present weights only, because training will change them."""


@runtime_checkable
class Annotates(Protocol):
    """A decoder that predicts the findings of a study from its images and its report, as TieNet does."""

    def annotate(self, features: Features, targets: Targets) -> Annotation:
        """Predict findings from `targets.words`. A part that uses images alone takes `targets` without words.

        In eval mode the same study gets the same probabilities, alone or in any batch.
        """


@runtime_checkable
class SpeaksByThresholds(Protocol):
    """A decoder that words a finding by its probability, as `templates` does: nothing, possible, or stated."""

    def speaking_thresholds(self) -> Mapping[str, tuple[float, float]]:
        """Return for each finding the probabilities from which it is called possible and stated; above 1: never."""


@runtime_checkable
class TakesContext(Protocol):
    """A decoder that also reads what is known of a study besides its images, as `gpt2` does with `context=true`.

    `decode` and `generate` get a `Context` for each study, with the fields that `takes_context` names and the ids of
    their words. An empty context gives what no context, (), gives. The words of the texts join the vocabulary.
    """

    takes_context: Mapping[str, str]  # fields of `Context`: "optional" or "required"; {}: it takes none

    def decode(self, features: Features, targets: Targets, context: Sequence[Context] = ()) -> Decoded:
        """Return the losses and logits of one teacher-forced pass over the report alone."""

    def generate(
        self, features: Features, settings: GenerationSettings, context: Sequence[Context] = ()
    ) -> list[Generated]:
        """Generate B reports. A study's report depends on its own context, and on no other."""

    def context_note(self, context: Context) -> str:
        """Return a line on what of a context is not read, for example because it is too long; "" if all is read."""


@runtime_checkable
class WritesStepwise(Protocol):
    """A decoder whose step is a fixed computation on tensors, so that another runtime can execute it (`rg export`).

    Both methods compute what `generate` computes, within rounding. With gradients on, they do so without weights that
    are rearranged beforehand. No shape of the state grows.
    """

    def first_state(self, features: Features) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Return the state before the start mark is read, and the tensors that stay the same; B rows each."""

    def next_word(
        self, words: Tensor, state: tuple[Tensor, ...], memory: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Read a word of each row (B,), and return the logits (B, V) of the next words and the new state."""


@runtime_checkable
class WritesSentences(Protocol):
    """A decoder with a fixed step for sentences and one for words, as `WritesStepwise` has one (`rg export`)."""

    def first_plan(self, features: Features) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Return the plan before the first sentence, and the tensors that stay the same; B rows each."""

    def next_sentence(
        self, plan: tuple[Tensor, ...], kept: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...], tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Return whether this sentence is the last (B,), state and memory of its words, and the new plan."""

    def next_word(
        self, words: Tensor, state: tuple[Tensor, ...], memory: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Read a word of each row (B,), and return the logits (B, V) of the next words and the new state."""
