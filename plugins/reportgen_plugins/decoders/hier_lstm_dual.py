"""hier-lstm-dual: hier-lstm with a word LSTM for normal sentences, one for abnormal ones, and a switch between them.

Harzig, Chen, Chen, Lienhart: Addressing Data Bias Problems for Chest X-ray Image Report Generation, 2019,
arXiv:1908.02123, as Ni et al. 2020 (arXiv:2010.02467, section 4.1) compare with it: the model predicts whether the next
sentence is a normal or an abnormal finding, and the word LSTM of that kind writes it. The rest is `hier_lstm.py`.

- The switch is a linear layer on the topic, which both word LSTMs read: two logits, index 1 is abnormal.
- In training the label of a sentence picks its word LSTM. Without a label the switch picks, and the sentence has no
  switch loss. In generation the switch picks.
- Loss switch: cross entropy, summed over the labelled sentences of a study, mean over the studies, as the stop loss is.
- The sentences' labels are `Targets.switches`. They come from a data column, a labeler or a classifier.
"""

from __future__ import annotations

from dataclasses import asdict, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reportgen_core import Decoded, Features, FeatureSpec, Generated, GenerationSettings, Targets, TargetSpec
from reportgen_core.text.spec import PAD
from reportgen_core.writing.word_search import BeamResult, State

from .blocks.order import shuffled
from .hier_lstm import HierLSTM, HierOptions, places


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
        options = HierOptions(
            hidden, embedding, tags_used, attention, word_layers, topic, stop_threshold, bias, shuffle
        )
        super().__init__(features, targets, **asdict(options))
        self.needs = self.needs | {"switches"}
        self.abnormal = options.word_lstm(len(targets.words))
        self.switch = nn.Linear(embedding, 2)

    def decode(self, features: Features, targets: Targets) -> Decoded:
        """Return the losses of hier-lstm, and loss switch."""
        if self.options.shuffle and self.training:
            targets = shuffled(targets)
        sentences, labels = targets.sentences, targets.switches
        assert sentences is not None
        assert labels is not None
        memory, real = self.remember(features), sentences[..., 0] != PAD  # (B, S)
        topics = self.unroll(memory, sentences.shape[1])
        topic, rows = topics.topics[real], sentences[real]
        switch = self.switch(topic)  # (R, 2)
        label = labels[real]
        labelled = ~label.isnan()
        abnormal = torch.where(labelled, label > 0.5, switch.argmax(-1) == 1)
        logits, words = self._word_logits_of_both(topic, rows, abnormal)
        out = self.losses_of(memory, topics, real, logits, words, targets)
        nats = F.cross_entropy(switch[labelled].float(), (label[labelled] > 0.5).long(), reduction="sum")
        return replace(out, losses={**out.losses, "switch": nats / len(real)})

    def _word_logits_of_both(self, topics: Tensor, rows: Tensor, abnormal: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (Σ W, V) and words (Σ W,) of sentences (R, W), in the order of the rows.

        `abnormal` (R,) says which word LSTM writes a sentence.
        """
        lengths = (rows != PAD).sum(1)
        is_abnormal = abnormal.repeat_interleave(lengths)  # (Σ W,)
        normal, _ = self.word_logits(self.words, topics[~abnormal], rows[~abnormal])
        other, _ = self.word_logits(self.abnormal, topics[abnormal], rows[abnormal])
        logits = normal.new_empty(len(is_abnormal), normal.shape[-1])
        logits[~is_abnormal], logits[is_abnormal] = normal, other.to(normal.dtype)
        return logits, rows[rows != PAD]

    def first_words(self, topic: Tensor) -> tuple[State, State]:
        """Return the states and memories of both word LSTMs, and whether the switch says abnormal (B, 1)."""
        (normal, read), (abnormal, read_abnormal) = self.words.begun(topic), self.abnormal.begun(topic)
        switch = self.switch(topic).argmax(-1, keepdim=True) == 1
        return (*normal, *abnormal), (*read, *read_abnormal, switch)

    def next_word(self, words: Tensor, state: State, memory: State) -> tuple[Tensor, State]:
        """Return the logits (B, V) of the word LSTM that the switch picked after words (B,), and the new state."""
        *read, switch = memory
        half = len(read) // 2
        normal, after = self.words.read(words, state[:2], tuple(read[:half]))
        abnormal, after_abnormal = self.abnormal.read(words, state[2:], tuple(read[half:]))
        return torch.where(switch, abnormal, normal), (*after, *after_abnormal)

    @torch.inference_mode()
    def generate(self, features: Features, settings: GenerationSettings) -> list[Generated]:
        """Write all normal sentences of all studies together, and all abnormal ones together."""
        memory, topics, real = self.plan(features, settings)
        topic, sentence = topics.topics[real], places(real)
        abnormal = self.switch(topic).argmax(-1) == 1
        kinds = [(~abnormal, self.words), (abnormal, self.abnormal)]
        parts = [
            (rows, self.write(words, topic[rows], settings, sentence[rows]))
            for rows, words in kinds
            if bool(rows.any())
        ]
        return self.reports(memory, topics, real, _join_results(parts, len(topic)), settings)


def _join_results(parts: list[tuple[Tensor, BeamResult]], rows: int) -> BeamResult:
    """Join the search results of two sets of rows, each with its mask (rows,), into one result for all rows."""
    longest = max(result.words.shape[-1] for _, result in parts)
    beams = parts[0][1].words.shape[1]
    words = parts[0][1].words.new_full((rows, beams, longest), PAD)
    scores = parts[0][1].scores.new_zeros(rows, beams)
    for mask, result in parts:
        words[mask, :, : result.words.shape[-1]] = result.words
        scores[mask] = result.scores
    return BeamResult(words, scores, None)
