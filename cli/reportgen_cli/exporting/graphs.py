"""The graphs of an exported model: from pixels to the first state, from sentence to sentence, and from word to word."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from reportgen_core import CompositionError, Model
from reportgen_core.models.abilities import WritesSentences, WritesStepwise
from reportgen_core.text.spec import BOS, EOS, PAD, TextSpec, recipe

Tensors = tuple[Tensor, ...]
STEPWISE = "soft-att, lstm, lrcn, densenet-lstm, hier-lstm, hier-lstm-dual, transformer and gpt2"


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

    def first(self, pixels: Tensor) -> tuple[Tensors, Tensors]:
        """Return the first state of the words, or the first plan of the sentences, and the tensors that stay."""
        images: Tensor = self.shift + pixels[:, None] * self.scale  # (B, C, H, W)
        features, decoder = self.encoder.encode(images), self.decoder
        if isinstance(decoder, WritesSentences):
            return decoder.first_plan(features)
        assert isinstance(decoder, WritesStepwise)
        return decoder.first_state(features)

    def forward(self, pixels: Tensor) -> Tensors:
        """Return state and memory, one after the other."""
        state, memory = self.first(pixels)
        return tuple(tensor.clone() for tensor in (*state, *memory))  # no two outputs are one tensor


class SentenceGraph(nn.Module):
    """A plan and what stays, to whether the sentence is the last, state and memory of its words, and the new plan."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.decoder = model.head

    def forward(self, plan: Tensors, kept: Tensors) -> Tensors:
        """Return all of them, one after the other."""
        decoder: Any = self.decoder
        last, state, memory, after = decoder.next_sentence(plan, kept)
        return (last, *(tensor.clone() for tensor in (*state, *memory, *after)))


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
    if not isinstance(model.head, (WritesStepwise, WritesSentences)):
        raise CompositionError(f"rg export knows the steps of {STEPWISE}; {name} has none of these decoders")
    if spec.views != 1:
        raise CompositionError(f"rg export takes models of one image; {name} takes {spec.views}")
    if spec.fit != "stretch" or spec.bits != 8:
        raise CompositionError(
            f"rg export takes models with fit stretch and 8 bits; {name} has fit {spec.fit} and {spec.bits} bits"
        )
    if recipe(model.text).write is not recipe(TextSpec(recipe="plain")).write:
        raise CompositionError(f"rg export writes the texts of plain, jing and ditag; {name} has {model.text.recipe}")


def most_written(model: Model) -> tuple[int, int]:
    """Return the most sentences of a report and the most words of each; a report as one row is one sentence."""
    targets = model.targets
    if isinstance(model.head, WritesSentences):
        return targets.max_sentences, targets.max_words
    return 1, targets.max_length


@torch.inference_mode()
def written_by_torch(model: Model, pixels: Tensor) -> tuple[Tensor, Tensor, list[int]]:
    """Return what greedy search writes for pixels (1, H, W): words (T,), logits (T, V), the words of each sentence.

    A sentence has its end mark, unless it is as long as it may be. All is computed by the model's own parts, without
    any graph.
    """
    decoder: Any = model.head
    sentences, most = most_written(model)
    plan, kept = EncoderGraph(model).first(pixels)
    if not isinstance(decoder, WritesSentences):
        words, logits = _written(decoder, plan, kept, most)
        return torch.tensor(words), torch.stack(logits), [len(words)]
    words, logits, lengths = [], [], []
    for _ in range(sentences):
        last, state, memory, plan = decoder.next_sentence(plan, kept)
        sentence, of_sentence = _written(decoder, state, memory, most)
        words += sentence
        logits += of_sentence
        lengths.append(len(sentence))
        if bool(last):
            break
    return torch.tensor(words), torch.stack(logits), lengths


def _written(decoder: Any, state: Tensors, memory: Tensors, limit: int) -> tuple[list[int], list[Tensor]]:
    """Return the words of one sentence, and the logits (V,) of each."""
    word = torch.full((1,), BOS)
    words: list[int] = []
    logits: list[Tensor] = []
    while len(words) < limit and words[-1:] != [EOS]:
        scores, state = decoder.next_word(word, state, memory)
        logits.append(scores[0].clone())
        scores[:, [PAD, BOS]] = -torch.inf
        word = scores.argmax(-1)
        words.append(int(word))
    return words, logits
