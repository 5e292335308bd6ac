"""The options of the hierarchical LSTMs."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from reportgen_core import OptionError
from reportgen_core.writing.word_lstm import WordLSTM

ATTENTION = ("co", "visual", "semantic", "none")
TOPIC = ("first", "every")


@dataclass(frozen=True, slots=True)
class HierOptions:
    """The options of a hierarchical LSTM. Raises OptionError for a value that does not exist."""

    hidden: int
    embedding: int
    tags_used: int
    attention: str
    word_layers: int
    topic: str
    stop_threshold: float
    bias: bool
    shuffle: bool

    def __post_init__(self) -> None:
        if self.attention not in ATTENTION:
            raise OptionError(f"hier-lstm has no attention={self.attention!r}; there are: {', '.join(ATTENTION)}")
        if self.topic not in TOPIC:
            raise OptionError(f"hier-lstm has no topic={self.topic!r}; there are: {', '.join(TOPIC)}")
        if self.word_layers not in (1, 2):
            raise OptionError(f"hier-lstm takes word_layers 1 or 2, got {self.word_layers!r}")

    @property
    def visual(self) -> bool:
        """Whether the sentence LSTM attends to regions."""
        return self.attention in ("co", "visual")

    @property
    def semantic(self) -> bool:
        """Whether the sentence LSTM attends to tags."""
        return self.attention in ("co", "semantic")

    def linear(self, inputs: int, outputs: int) -> nn.Linear:
        """Build a linear layer, with a bias if the option `bias` is on."""
        return nn.Linear(inputs, outputs, bias=self.bias)

    def word_lstm(self, words: int) -> WordLSTM:
        """Build a word LSTM for a vocabulary of `words` words."""
        topic = self.embedding if self.topic == "every" else 0
        return WordLSTM(words, self.embedding, self.hidden, self.word_layers, topic)
