"""hier-lstm-dual: hier-lstm with a word LSTM for normal sentences, one for abnormal ones, and a switch between them.

Harzig, Chen, Chen, Lienhart: Addressing Data Bias Problems for Chest X-ray Image Report Generation, 2019,
arXiv:1908.02123, as Ni et al. 2020 (arXiv:2010.02467, section 4.1) compare with it: the model predicts whether the next
sentence is a normal or an abnormal finding, and the word LSTM of that kind writes it. The rest is `hier_lstm.py`.

- The switch is a linear layer on the topic, which is what both word LSTMs get: two logits, index 1 is abnormal.
- In training a sentence is written by the word LSTM of its label; one without a label by the LSTM that the switch
  picks, and it has no switch loss. In use the switch picks.
- Loss switch: cross entropy, summed over the labelled sentences of a study, mean over the studies, as the stop loss is.
- The sentences' labels are `Targets.switches`: a data column, a labeler's or a classifier's.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reportgen_core import Decoded, Features, FeatureSpec, Generated, GenerationSettings, Targets, TargetSpec
from reportgen_core.text.spec import PAD

from .blocks.order import shuffled
from .blocks.search import Found
from .blocks.word_lstm import WordLSTM
from .hier_lstm import HierLSTM


class DualHierLSTM(HierLSTM):
    """The sentence part of hier-lstm with two word LSTMs: `words` writes the normal sentences."""

    def __init__(
        self,
        features: FeatureSpec,
        targets: TargetSpec,
        *,
        hidden: int = 512,
        embedding: int = 512,
        tags_used: int = 10,
        attention: str = "visual",
        word_layers: int = 2,
        topic: str = "first",
        stop_threshold: float = 0.5,
        bias: bool = False,
        shuffle: bool = False,
    ) -> None:
        sizes: dict[str, Any] = {"hidden": hidden, "embedding": embedding, "tags_used": tags_used}
        super().__init__(
            features, targets, **sizes, attention=attention, word_layers=word_layers, topic=topic,
            stop_threshold=stop_threshold, bias=bias, shuffle=shuffle,
        )  # fmt: skip
        self.needs = self.needs | {"switches"}
        self.abnormal = WordLSTM(len(targets.words), embedding, hidden, word_layers, embedding * (topic == "every"))
        self.switch = nn.Linear(embedding, 2)

    def decode(self, features: Features, targets: Targets) -> Decoded:
        """The losses of hier-lstm, and loss switch."""
        if self.shuffle and self.training:
            targets = shuffled(targets)
        sentences, labels = targets.sentences, targets.switches
        assert sentences is not None
        assert labels is not None
        memory, real = self.remember(features), sentences[..., 0] != PAD  # (B, S)
        said = self.unroll(memory, sentences.shape[1])
        topics, rows = said.topics[real], sentences[real]
        chosen = self.switch(topics)  # (R, 2)
        label = labels[real]
        known = ~label.isnan()
        abnormal = torch.where(known, label > 0.5, chosen.argmax(-1) == 1)
        logits, words = self._spell_both(topics, rows, abnormal)
        out = self.weigh(memory, said, real, logits, words, targets)
        nats = F.cross_entropy(chosen[known].float(), (label[known] > 0.5).long(), reduction="sum")
        return replace(out, losses={**out.losses, "switch": nats / len(real)})

    def _spell_both(self, topics: Tensor, rows: Tensor, abnormal: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (Σ W, V) and words (Σ W,) of sentences (R, W), each by its own word LSTM, in the order of the rows."""
        lengths = (rows != PAD).sum(1)
        whose = abnormal.repeat_interleave(lengths)  # (Σ W,)
        normal, _ = self.spell(self.words, topics[~abnormal], rows[~abnormal])
        other, _ = self.spell(self.abnormal, topics[abnormal], rows[abnormal])
        logits = normal.new_empty(len(whose), normal.shape[-1])
        logits[~whose], logits[whose] = normal, other.to(normal.dtype)
        return logits, rows[rows != PAD]

    @torch.inference_mode()
    def generate(self, features: Features, settings: GenerationSettings) -> list[Generated]:
        """All normal sentences of all studies are written together, and all abnormal ones."""
        memory, said, real = self.plan(features, settings)
        topics = said.topics[real]
        abnormal = self.switch(topics).argmax(-1) == 1
        parts = [(~abnormal, self.words), (abnormal, self.abnormal)]
        found = [(rows, self.write(speaker, topics[rows], settings)) for rows, speaker in parts if bool(rows.any())]
        return self.gather(memory, said, real, _joined(found, len(topics)), settings)


def _joined(parts: list[tuple[Tensor, Found]], rows: int) -> Found:
    """What was found for some rows each, as found for all."""
    longest = max(found.words.shape[-1] for _, found in parts)
    beams = parts[0][1].words.shape[1]
    words = parts[0][1].words.new_full((rows, beams, longest), PAD)
    scores = parts[0][1].scores.new_zeros(rows, beams)
    for at, found in parts:
        words[at, :, : found.words.shape[-1]] = found.words
        scores[at] = found.scores
    return Found(words, scores, None)
