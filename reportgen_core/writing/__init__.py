"""Write words from features: search, its state, attention over tokens, teacher forcing, the loss of words.
A decoder that uses them defines its own layers and one step. Each function says the shapes of its tensors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .attention import AdditiveAttention, attend
    from .lstm_step import JoinedLinears, StepCell, WeightCache, WordCell
    from .report_words import StudyMemory, most_words, shift_targets, to_generated, word_loss
    from .word_lstm import WordLSTM
    from .word_search import SEARCH_SETTINGS, BeamResult, State, Step, search

__all__ = [
    "SEARCH_SETTINGS",
    "AdditiveAttention",
    "BeamResult",
    "JoinedLinears",
    "State",
    "Step",
    "StepCell",
    "StudyMemory",
    "WeightCache",
    "WordCell",
    "WordLSTM",
    "attend",
    "most_words",
    "search",
    "shift_targets",
    "to_generated",
    "word_loss",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "attention": ["AdditiveAttention", "attend"],
        "lstm_step": ["JoinedLinears", "StepCell", "WeightCache", "WordCell"],
        "report_words": ["StudyMemory", "most_words", "shift_targets", "to_generated", "word_loss"],
        "word_search": ["SEARCH_SETTINGS", "BeamResult", "State", "Step", "search"],
        "word_lstm": ["WordLSTM"],
    },
)
