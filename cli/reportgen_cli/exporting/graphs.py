"""The two graphs of an exported model: from pixels to the first state, and from a word to the next one."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from reportgen_core import CompositionError, Model
from reportgen_core.models.abilities import WritesStepwise
from reportgen_core.text.spec import BOS, EOS, PAD, TextSpec, recipe

Tensors = tuple[Tensor, ...]
STEPWISE = "soft-att, lstm, lrcn and densenet-lstm"


class EncoderGraph(nn.Module):
    """Pixels (B, H, W), 0..255, to the first state of the decoder and the tensors that stay the same."""

    shift: Tensor
    scale: Tensor

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.encoder, self.decoder = model.encoder, model.head
        spec = model.encoder.image
        mean, std = (torch.tensor(values).expand(spec.channels)[:, None, None] for values in (spec.mean, spec.std))
        self.register_buffer("shift", (-mean / std).contiguous())
        self.register_buffer("scale", (1 / (255 * std)).contiguous())

    def normalised(self, pixels: Tensor) -> Tensor:
        """Return pixels (B, H, W) as the encoder takes them, (B, C, H, W)."""
        images: Tensor = self.shift + pixels[:, None] * self.scale
        return images

    def forward(self, pixels: Tensor) -> Tensors:
        """Return state and memory, one after the other."""
        features = self.encoder.encode(self.normalised(pixels))
        decoder: Any = self.decoder
        state, memory = decoder.first_state(features)
        return tuple(tensor.clone() for tensor in (*state, *memory))  # no two outputs are one tensor


class StepGraph(nn.Module):
    """A word of each row (B,), state and memory, to the logits (B, V) of the next words and the new state."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.decoder = model.head

    def forward(self, words: Tensor, state: Tensors, memory: Tensors) -> Tensors:
        """Return the logits and the new state, one after the other."""
        decoder: Any = self.decoder
        logits, after = decoder.next_word(words, state, memory)
        return (logits, *after)


def check_exportable(model: Model) -> None:
    """Raise CompositionError for a model of which the script of an exported folder cannot write reports."""
    spec, name = model.encoder.image, model.called
    if not isinstance(model.head, WritesStepwise):
        raise CompositionError(f"rg export knows the steps of {STEPWISE}; {name} has none of these decoders")
    if spec.views != 1:
        raise CompositionError(f"rg export takes models of one image; {name} takes {spec.views}")
    if spec.fit != "stretch" or spec.bits != 8:
        raise CompositionError(
            f"rg export takes models with fit stretch and 8 bits; {name} has fit {spec.fit} and {spec.bits} bits"
        )
    if recipe(model.text).write is not recipe(TextSpec(recipe="plain")).write:
        raise CompositionError(f"rg export writes the texts of plain, jing and ditag; {name} has {model.text.recipe}")


@torch.inference_mode()
def written_by_torch(model: Model, pixels: Tensor, limit: int) -> tuple[Tensor, Tensor]:
    """Return the words (T,) that greedy search writes for pixels (1, H, W), and the logits (T, V) of each step.

    They are computed by the model's own encoder and step, without any graph.
    """
    decoder: Any = model.head
    state, memory = decoder.first_state(model.encoder.encode(EncoderGraph(model).normalised(pixels)))
    word, words, logits = torch.tensor([BOS]), [], []
    for _ in range(limit):
        scores, state = decoder.next_word(word, state, memory)
        logits.append(scores[0].clone())
        scores[:, [PAD, BOS]] = -torch.inf
        word = scores.argmax(-1)
        words.append(int(word))
        if words[-1] == EOS:
            break
    return torch.tensor(words), torch.stack(logits)
