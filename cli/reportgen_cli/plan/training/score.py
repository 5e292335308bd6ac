"""Score the systems and the baselines of a plan, on the validation studies and once on test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from reportgen_core import GenerationSettings, Model
from reportgen_core.data.images import default_cache
from reportgen_core.models.loading import load_model
from reportgen_core.registries import metrics, presets
from reportgen_core.scoring.baselines import CONSTANT, NEAREST, Baseline, BaselineData, by_image, constant
from reportgen_core.scoring.evaluation import Evaluation, evaluate
from reportgen_core.scoring.evaluation_folder import save_evaluation
from reportgen_core.scoring.evaluation_set import EvaluationRequest, background_of
from reportgen_core.text.spec import TextSpec, report_words

from ...pages.evaluation_page import write_page
from ...pages.shared.origin import model_origin
from ..settled.plan_file import Plan
from ..settled.presets import plan_preset
from ..settled.studies import UsableStudies, collected
from .findings import score_labels
from .job import Job, Outcome
from .stopwatch import Stopwatch

CHOOSE_ON = 1000  # training reports on which the constant of the validation studies is chosen
BASELINE_FOLDERS = {CONSTANT: "constant", NEAREST: "nearest"}


def score_validation(
    plan: Plan, job: Job, model: Model, studies: UsableStudies
) -> tuple[tuple[str, ...], Mapping[str, Any]]:
    """Score a trained system on the validation studies, and return notes and values. The scores are in OUT/validation.

    Of findings the values have the scores.
    """
    if plan.rules.goal == "findings":
        return (), score_labels(model, studies.split("train"), studies.split("val"))
    request = _request(plan, studies, "val", job.preset, model)
    evaluation = evaluate(model, collected(studies.studies, plan.data.called), replace(request, baselines=False))
    save_evaluation(evaluation, Path(job.out) / "validation")
    return _notes(evaluation), {}


def score_baselines(plan: Plan, job: Job, studies: UsableStudies, watch: Stopwatch) -> Outcome:
    """Score a constant report and that of the nearest image on the validation studies, by the encoder of a model.

    The constant is chosen on training reports, as no baseline may be tuned on the studies that are scored.
    """
    model = load_model(job.start)
    train, val = studies.split("train"), studies.split("val")
    sections = plan.data.sections
    texts = {s.id: s.text(sections) for s in train}
    features = model.pooled_features((*train, *val), cache=default_cache())
    chosen_on = dict(list(texts.items())[:CHOOSE_ON])
    background = BaselineData(texts, chosen_on, features=features)
    ids = [s.id for s in val]
    rows = [constant(background, len(ids), _bleu_on(list(chosen_on.values()))), by_image(background, ids)]
    for row in rows:
        _save_baseline(plan, job, studies, row)
    return Outcome(notes=(f"nearest image: features of {model.called}",))


def _save_baseline(plan: Plan, job: Job, studies: UsableStudies, row: Baseline) -> None:
    ids = [s.id for s in studies.split("val")]
    request = replace(_request(plan, studies, "val", row.name), baselines=False)
    written = dict(zip(ids, row.reports[0], strict=True))
    evaluation = evaluate(written, collected(studies.studies, plan.data.called), request)
    save_evaluation(evaluation, Path(job.out) / BASELINE_FOLDERS[row.name])


def _bleu_on(texts: Sequence[str]) -> Any:
    """Return a function that scores one text by BLEU-4 (0..1) as the report of each of these texts' studies."""
    bleu, spec = metrics.create("bleu"), TextSpec(max_sentences=10_000, max_words=10_000)

    def words(text: str) -> str:
        return " ".join(report_words(text, spec))

    references = [[words(t)] for t in texts]
    return lambda text: bleu.compute([words(text)] * len(references), references).value


def score_test(plan: Plan, job: Job, studies: UsableStudies, watch: Stopwatch) -> Outcome:
    """Score the chosen model and the baselines on the test studies. OUT has the scores, and report.html."""
    model, out = load_model(job.start), Path(job.out)
    train, test = studies.split("train"), studies.split("test")
    if plan.rules.goal == "findings":
        return Outcome(values=score_labels(model, train, test))
    sections, collection = plan.data.sections, collected(studies.studies, plan.data.called)
    features = model.pooled_features((*train, *test), cache=default_cache())
    background = replace(background_of(collection, test, sections), features=features)
    request = replace(_request(plan, studies, "test", job.preset, model), background=background)
    evaluation = evaluate(model, collection, request)
    origin = model_origin(job.start)
    save_evaluation(evaluation, out, model={"name": job.preset, "sha256": origin.digest})
    write_page(evaluation, out, origin=origin)
    return Outcome(notes=_notes(evaluation))


def _request(
    plan: Plan, studies: UsableStudies, split: str, name: str, model: Model | None = None
) -> EvaluationRequest:
    """Return how a split is scored. The reports of the training studies are the background."""
    generation = plan_preset(plan, name).generation if name in presets and name in plan.presets else {}
    texts = {s.id: s.text(plan.data.sections) for s in studies.split("train")}
    return EvaluationRequest(
        metrics=[name for name in plan.fixed.metrics if name in metrics], sections=plan.data.sections,
        dataset=plan.data.called, split=split, background=BaselineData(texts), seed=plan.fixed.seed, name=name,
        settings=GenerationSettings(**generation), cache=default_cache(),
    )  # fmt: skip


def _notes(evaluation: Evaluation) -> tuple[str, ...]:
    return (*evaluation.notes, *(f"no {metric}: {why}" for metric, why in evaluation.problems.items()))
