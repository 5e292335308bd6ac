"""Score reports against their references, with intervals and baselines. An evaluation pairs predictions and references
by study, computes the metrics for each study, draws studies again for intervals and paired tests, and scores the
reports that need no look at the image. A score card records how scores were computed, so that unlike scores are not
compared. The wing needs no torch to be imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .baselines import (
        Baseline,
        BaselineData,
        build_baselines,
        by_gold_tags,
        by_image,
        constant,
        drawn,
        most_frequent,
        repeated,
        verbatim,
    )
    from .comparison import Comparison, compare_evaluations, paired_tests
    from .diversity import Diversity, measure_diversity
    from .evaluation import Evaluation, StudyRow, evaluate
    from .evaluation_folder import SavedEvaluation, load_evaluation, save_evaluation
    from .evaluation_set import (
        EvaluationOptions,
        EvaluationRequest,
        EvaluationSet,
        WritesReports,
        background_of,
        make_evaluation_set,
        pair_by_id,
    )
    from .ranking_metrics import median_rank_line, ranking_lines
    from .score_tables import (
        PrintedTable,
        as_csv,
        as_json,
        as_latex,
        as_markdown,
        details,
        foot,
        headlines,
        interval,
        number,
        overview,
        subsets,
        tables,
        variety,
    )
    from .scorecard import (
        ScoreCard,
        System,
        card_differences,
        card_from_json,
        card_to_json,
        describe_card,
        fingerprint,
        flat_lines,
        system_from_json,
        system_to_json,
        version_differences,
    )
    from .scorer import MetricResult, Scorer
    from .uncertainty import Difference, bootstrap, draws, paired_test

__all__ = [
    "Baseline",
    "BaselineData",
    "Comparison",
    "Difference",
    "Diversity",
    "Evaluation",
    "EvaluationOptions",
    "EvaluationRequest",
    "EvaluationSet",
    "MetricResult",
    "PrintedTable",
    "SavedEvaluation",
    "ScoreCard",
    "Scorer",
    "StudyRow",
    "System",
    "WritesReports",
    "as_csv",
    "as_json",
    "as_latex",
    "as_markdown",
    "background_of",
    "bootstrap",
    "build_baselines",
    "by_gold_tags",
    "by_image",
    "card_differences",
    "card_from_json",
    "card_to_json",
    "compare_evaluations",
    "constant",
    "describe_card",
    "details",
    "drawn",
    "draws",
    "evaluate",
    "fingerprint",
    "flat_lines",
    "foot",
    "headlines",
    "interval",
    "load_evaluation",
    "make_evaluation_set",
    "measure_diversity",
    "median_rank_line",
    "most_frequent",
    "number",
    "overview",
    "pair_by_id",
    "paired_test",
    "paired_tests",
    "ranking_lines",
    "repeated",
    "save_evaluation",
    "subsets",
    "system_from_json",
    "system_to_json",
    "tables",
    "variety",
    "verbatim",
    "version_differences",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "baselines": [
            "Baseline",
            "BaselineData",
            "build_baselines",
            "by_gold_tags",
            "by_image",
            "constant",
            "drawn",
            "most_frequent",
            "repeated",
            "verbatim",
        ],
        "comparison": ["Comparison", "compare_evaluations", "paired_tests"],
        "diversity": ["Diversity", "measure_diversity"],
        "evaluation": ["Evaluation", "StudyRow", "evaluate"],
        "evaluation_folder": ["SavedEvaluation", "load_evaluation", "save_evaluation"],
        "evaluation_set": [
            "EvaluationOptions",
            "EvaluationRequest",
            "EvaluationSet",
            "WritesReports",
            "background_of",
            "make_evaluation_set",
            "pair_by_id",
        ],
        "ranking_metrics": ["median_rank_line", "ranking_lines"],
        "score_tables": [
            "PrintedTable",
            "as_csv",
            "as_json",
            "as_latex",
            "as_markdown",
            "details",
            "foot",
            "headlines",
            "interval",
            "number",
            "overview",
            "subsets",
            "tables",
            "variety",
        ],
        "scorecard": [
            "ScoreCard",
            "System",
            "card_differences",
            "card_from_json",
            "card_to_json",
            "describe_card",
            "fingerprint",
            "flat_lines",
            "system_from_json",
            "system_to_json",
            "version_differences",
        ],
        "scorer": ["MetricResult", "Scorer"],
        "uncertainty": ["Difference", "bootstrap", "draws", "paired_test"],
    },
)
