"""Find the abnormal sentences of reports, and group the sentences that say the same. The wing trains, saves and scores
sentence classifiers, labels the reports of large tables sentence by sentence, and saves groups of sentences as a
folder. The interfaces of the parts that it uses are in `reportgen_core.sentence_parts`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .classifiers import (
        Labelled,
        Measured,
        f1,
        fit_beside,
        hold_out,
        labelled_of,
        load_classifier,
        measure,
        read_labelled,
        read_saved,
        report_sentences,
        saved_digest,
        saving,
        split_of,
    )
    from .groups import common_words, load_groups, save_groups
    from .label_table import Labels, Ratio, Told, abnormal_sentences

__all__ = [
    "Labelled",
    "Labels",
    "Measured",
    "Ratio",
    "Told",
    "abnormal_sentences",
    "common_words",
    "f1",
    "fit_beside",
    "hold_out",
    "labelled_of",
    "load_classifier",
    "load_groups",
    "measure",
    "read_labelled",
    "read_saved",
    "report_sentences",
    "save_groups",
    "saved_digest",
    "saving",
    "split_of",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "classifiers": [
            "Labelled",
            "Measured",
            "f1",
            "fit_beside",
            "hold_out",
            "labelled_of",
            "load_classifier",
            "measure",
            "read_labelled",
            "read_saved",
            "report_sentences",
            "saved_digest",
            "saving",
            "split_of",
        ],
        "groups": ["common_words", "load_groups", "save_groups"],
        "label_table": ["Labels", "Ratio", "Told", "abnormal_sentences"],
    },
)
