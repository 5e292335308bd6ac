"""Find the abnormal sentences of reports, and group the sentences with the same meaning. The wing trains, saves and
scores sentence classifiers, labels the reports of large tables sentence by sentence, and saves groups of sentences as a
folder. The interfaces of the parts that it uses are in `reportgen_core.sentences.parts`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .classifiers import (
        ClassifierScore,
        LabelledSentences,
        f1,
        fit_classifiers,
        hold_out,
        labelled_of,
        load_classifier,
        measure,
        read_labelled,
        read_saved,
        saved_digest,
        saving,
        split_of,
        split_report,
    )
    from .groups import common_words, load_groups, save_groups
    from .label_table import CachedLabels, LabelSummary, SentenceCounts, abnormal_sentences
    from .parts import (
        Group,
        Groups,
        LabelledSentence,
        SentenceClassifier,
        SentenceEncoder,
        SentenceGrouper,
        sentence_key,
    )

__all__ = [
    "CachedLabels",
    "ClassifierScore",
    "Group",
    "Groups",
    "LabelSummary",
    "LabelledSentence",
    "LabelledSentences",
    "SentenceClassifier",
    "SentenceCounts",
    "SentenceEncoder",
    "SentenceGrouper",
    "abnormal_sentences",
    "common_words",
    "f1",
    "fit_classifiers",
    "hold_out",
    "labelled_of",
    "load_classifier",
    "load_groups",
    "measure",
    "read_labelled",
    "read_saved",
    "save_groups",
    "saved_digest",
    "saving",
    "sentence_key",
    "split_of",
    "split_report",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "parts": [
            "Group",
            "Groups",
            "LabelledSentence",
            "SentenceClassifier",
            "SentenceEncoder",
            "SentenceGrouper",
            "sentence_key",
        ],
        "classifiers": [
            "LabelledSentences",
            "ClassifierScore",
            "f1",
            "fit_classifiers",
            "hold_out",
            "labelled_of",
            "load_classifier",
            "measure",
            "read_labelled",
            "read_saved",
            "split_report",
            "saved_digest",
            "saving",
            "split_of",
        ],
        "groups": ["common_words", "load_groups", "save_groups"],
        "label_table": ["CachedLabels", "SentenceCounts", "LabelSummary", "abnormal_sentences"],
    },
)
