"""Predict the findings of each row of a table, and measure how well a model predicts them. A row is a report, an image
or an image with its report. The wing reads rows one after another, chooses a threshold for each finding on validation
rows, and computes ROC curves with their intervals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .findings import (
        Annotated,
        AnnotationOptions,
        AnnotationSettings,
        annotate,
        annotator,
        evaluate_findings,
        labelled,
        tune,
    )
    from .report_rows import BadRow, Columns, ReportRow, read_report_rows
    from .roc import Curve, FindingCurves, curve, score_findings
    from .thresholds import THRESHOLDS, Thresholds, choose_thresholds, load_thresholds, save_thresholds

__all__ = [
    "THRESHOLDS",
    "Annotated",
    "AnnotationOptions",
    "AnnotationSettings",
    "BadRow",
    "Columns",
    "Curve",
    "FindingCurves",
    "ReportRow",
    "Thresholds",
    "annotate",
    "annotator",
    "choose_thresholds",
    "curve",
    "evaluate_findings",
    "labelled",
    "load_thresholds",
    "read_report_rows",
    "save_thresholds",
    "score_findings",
    "tune",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "findings": [
            "Annotated",
            "AnnotationOptions",
            "AnnotationSettings",
            "annotate",
            "annotator",
            "evaluate_findings",
            "labelled",
            "tune",
        ],
        "report_rows": ["BadRow", "Columns", "ReportRow", "read_report_rows"],
        "roc": ["Curve", "FindingCurves", "curve", "score_findings"],
        "thresholds": ["THRESHOLDS", "Thresholds", "choose_thresholds", "load_thresholds", "save_thresholds"],
    },
)
