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
        Background,
        Baseline,
        build,
        by_gold_tags,
        by_image,
        constant,
        drawn,
        most_frequent,
        repeated,
        verbatim,
    )
    from .comparison import Comparison, compare_runs, paired
    from .diversity import Degeneracy, degeneracy
    from .evaluation import Evaluation, StudyRow, evaluate
    from .evaluation_folder import Run, load_run, save_evaluation
    from .evaluation_set import Material, WritesReports, align, background_of, gather
    from .ranking_metrics import median_rank_line, ranking_lines
    from .score_tables import (
        Table,
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
        Card,
        System,
        card_from_json,
        card_to_json,
        fingerprint,
        flat_lines,
        sentence,
        system_from_json,
        system_to_json,
        unlike,
        unlike_lines,
    )
    from .scorer import Judge, Measured
    from .uncertainty import Difference, bootstrap, compare, draws

__all__ = [
    "Background",
    "Baseline",
    "Card",
    "Comparison",
    "Degeneracy",
    "Difference",
    "Evaluation",
    "Judge",
    "Material",
    "Measured",
    "Run",
    "StudyRow",
    "System",
    "Table",
    "WritesReports",
    "align",
    "as_csv",
    "as_json",
    "as_latex",
    "as_markdown",
    "background_of",
    "bootstrap",
    "build",
    "by_gold_tags",
    "by_image",
    "card_from_json",
    "card_to_json",
    "compare",
    "compare_runs",
    "constant",
    "degeneracy",
    "details",
    "drawn",
    "draws",
    "evaluate",
    "fingerprint",
    "flat_lines",
    "foot",
    "gather",
    "headlines",
    "interval",
    "load_run",
    "median_rank_line",
    "most_frequent",
    "number",
    "overview",
    "paired",
    "ranking_lines",
    "repeated",
    "save_evaluation",
    "sentence",
    "subsets",
    "system_from_json",
    "system_to_json",
    "tables",
    "unlike",
    "unlike_lines",
    "variety",
    "verbatim",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "baselines": [
            "Background",
            "Baseline",
            "build",
            "by_gold_tags",
            "by_image",
            "constant",
            "drawn",
            "most_frequent",
            "repeated",
            "verbatim",
        ],
        "comparison": ["Comparison", "compare_runs", "paired"],
        "diversity": ["Degeneracy", "degeneracy"],
        "evaluation": ["Evaluation", "StudyRow", "evaluate"],
        "evaluation_folder": ["Run", "load_run", "save_evaluation"],
        "evaluation_set": ["Material", "WritesReports", "align", "background_of", "gather"],
        "ranking_metrics": ["median_rank_line", "ranking_lines"],
        "score_tables": [
            "Table",
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
            "Card",
            "System",
            "card_from_json",
            "card_to_json",
            "fingerprint",
            "flat_lines",
            "sentence",
            "system_from_json",
            "system_to_json",
            "unlike",
            "unlike_lines",
        ],
        "scorer": ["Judge", "Measured"],
        "uncertainty": ["Difference", "bootstrap", "compare", "draws"],
    },
)
