"""Finish a run: the choice, the model's folder with its card, test, and the result as JSON and as a page."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from reportgen_core import CheckpointError
from reportgen_core.files.atomic import atomic_write, replacing
from reportgen_core.files.json_files import write_json
from reportgen_core.scoring.baselines import CONSTANT, NEAREST
from reportgen_core.scoring.evaluation_folder import SavedEvaluation, load_evaluation

from ...pages.shared.origin import Origin, today
from ..training.job import Outcome
from .card import model_card
from .choose import Choice, choose, intervals_of, score_of
from .page import result_page
from .result import BASELINE, BEHIND, CHOSEN, FAILED, LEFT, LEVEL, UNSCORED, Interval, Row, RunResult
from .run import PlanRun, Trained, chosen_before, predicted, score_baselines, score_test, train_all

BASELINE_ROWS = {"constant": CONSTANT, "nearest": NEAREST}  # folder: its row on test


def finish_run(run: PlanRun) -> RunResult:
    """Train, choose, score, and write the result. Raises CheckpointError if no preset could be trained."""
    trained = train_all(run)
    if not trained.outcomes:
        raise CheckpointError(
            "no preset could be trained: " + "; ".join(f"{n}: {why}" for n, why in trained.problems.items())
        )
    result = _findings(run, trained) if run.plan.rules.goal == "findings" else _reports(run, trained)
    model = _keep_model(run, result)
    notes = list(result.notes)
    if (before := chosen_before(run)) not in ("", result.chosen):
        notes.append(f"test was scored before, when {before} was the choice")
    if problem := score_test(run, result.chosen, model):
        notes.append(f"test has no scores: {problem}")
    result = replace(result.with_test(_test_scores(run, result)), notes=tuple(notes))
    card = model_card(run.plan, result)
    atomic_write(model / "card.md", card)
    write_json(run.out / "results.json", result.to_json(), sort=False)
    page = result_page(run.plan, result, run.out, Origin(date=today()))
    atomic_write(run.out / "results.html", page)
    return result


def _reports(run: PlanRun, trained: Trained) -> RunResult:
    """Return the result of presets that write reports, chosen by paired tests."""
    first = next(iter(trained.outcomes))
    problem = score_baselines(run, first)
    presets = {name: load_evaluation(run.out / name / "validation") for name in trained.outcomes}
    baselines = {
        name: load_evaluation(run.out / "baselines" / name)
        for name in BASELINE_ROWS
        if (run.out / "baselines" / name / "scores.json").exists()
    }
    choice = choose(run.plan.rules.decide, run.plan.rules.then, presets, baselines)
    rows = [_preset_row(run, trained, name, choice, presets) for name in run.schedule.epochs]
    rows.sort(key=lambda row: -row.validation.get(run.plan.rules.decide, (-1.0, None, None))[0])
    rows += [_baseline_row(name, evaluation, choice) for name, evaluation in baselines.items()]
    notes = [*choice.cautions, *([f"no baselines on validation: {problem}"] if problem else [])]
    return _result(run, trained, choice.chosen, choice.why, rows, notes)


def _preset_row(
    run: PlanRun, trained: Trained, name: str, choice: Choice, presets: Mapping[str, SavedEvaluation]
) -> Row:
    row = _trained_row(run, trained, name)
    if name not in presets:
        return row
    state = CHOSEN if name == choice.chosen else LEVEL if name in choice.level else BEHIND
    if score_of(presets[name], run.plan.rules.decide) is None:
        again = f"without {name}/outcome.json the next run scores it again"
        row, state = replace(row, note=f"it has no {run.plan.rules.decide} on validation; {again}"), UNSCORED
    test = choice.tests.get(name)
    return replace(
        row, state=state, validation=intervals_of(presets[name].systems[0]), p=test.p if test else None,
        difference=(test.value, test.low, test.high) if test else None,
    )  # fmt: skip


def _trained_row(run: PlanRun, trained: Trained, name: str) -> Row:
    """Return a row with time and memory, without scores."""
    seconds, memory = predicted(run, name)
    outcome = trained.outcomes.get(name)
    if outcome is None:
        problem = trained.problems.get(name, "")
        state = LEFT if problem.startswith("the time was over") else FAILED
        return Row(name=name, state=state, predicted_seconds=seconds, predicted_memory=memory, note=problem)
    return Row(
        name=name, state=CHOSEN, epochs=outcome.epochs, seconds=outcome.seconds, predicted_seconds=seconds,
        memory=outcome.memory, predicted_memory=memory, note=_trained_note(outcome),
    )  # fmt: skip


def _trained_note(outcome: Outcome) -> str:
    """Return what must be known of the epochs and the time of a training; "" if nothing."""
    notes = [f"it was stopped after {outcome.epochs} epochs, as its time was over"] if outcome.stopped else []
    notes += ["it was interrupted, and its time is that of its last part"] if outcome.resumed else []
    return "; ".join(notes)


def _baseline_row(name: str, evaluation: SavedEvaluation, choice: Choice) -> Row:
    test = choice.tests.get(name)
    return Row(
        name=name, state=BASELINE, validation=intervals_of(evaluation.systems[0]), p=test.p if test else None,
        difference=(test.value, test.low, test.high) if test else None,
    )  # fmt: skip


def _findings(run: PlanRun, trained: Trained) -> RunResult:
    """Return the result of presets that predict findings: the best mean AUC on validation is chosen."""
    decide = run.plan.rules.decide
    scores = {name: _lines(outcome.values.get("model", {})) for name, outcome in trained.outcomes.items()}
    chosen = max(scores, key=lambda name: scores[name].get(decide, (0.0, None, None))[0])
    rows = []
    for name in run.schedule.epochs:
        row = _trained_row(run, trained, name)
        state = row.state if name not in scores else CHOSEN if name == chosen else BEHIND
        rows.append(replace(row, state=state, validation=scores.get(name, {})))
    first = next(iter(trained.outcomes.values())).values
    for name in ("constant", "nearest image"):
        rows.append(Row(name=name, state=BASELINE, validation=_lines(first.get(name, {}))))
    notes = [
        f"no preset is above the baseline {row.name} on validation ({row.validation[decide][0]:.3f})"
        for row in rows
        if row.state == BASELINE and row.validation.get(decide, (0.0,))[0] >= scores[chosen].get(decide, (0.0,))[0]
    ]
    why = f"{chosen} is chosen: it has the best mean AUC on validation"
    return _result(
        run, trained, chosen, why if len(scores) > 1 else f"{chosen} is the one that was trained", rows, notes
    )


def _lines(values: Mapping[str, list[float | None]]) -> dict[str, Interval]:
    return {name: (float(v or 0.0), low, high) for name, (v, low, high) in values.items()}


def _result(run: PlanRun, trained: Trained, chosen: str, why: str, rows: list[Row], notes: list[str]) -> RunResult:
    for name, reason in run.schedule.left.items():
        rows.append(Row(name=name, state=LEFT, note=reason))
    encoder = None
    if trained.encoder is not None:
        seconds, memory = predicted(run, "encoder")
        encoder = Row(
            name="encoder, once for all", state="shared", epochs=trained.encoder.epochs,
            seconds=trained.encoder.seconds, predicted_seconds=seconds, memory=trained.encoder.memory,
            predicted_memory=memory,
            note=_trained_note(trained.encoder),
        )  # fmt: skip
    plan = run.plan
    return RunResult(
        plan=run.file.name, data=plan.data.called, hours=run.schedule.hours, decide=plan.rules.decide,
        then=plan.rules.then, chosen=chosen, why=why, rows=tuple(rows), counts=plan.counts, encoder=encoder,
        notes=tuple(notes),
    )  # fmt: skip


def _keep_model(run: PlanRun, result: RunResult) -> Path:
    """Copy the best epoch of the choice to RUN/model, and return that folder."""
    folder = run.out / "model"
    with replacing(folder, holds="config.json") as whole:
        shutil.copytree(run.out / result.chosen / "run" / "best", whole, dirs_exist_ok=True)
    return folder


def _test_scores(run: PlanRun, result: RunResult) -> dict[str, dict[str, Interval]]:
    """Return the scores on test by the name of the row."""
    outcome = run.outcome("test")
    if outcome is None:
        return {}
    if run.plan.rules.goal == "findings":
        return {result.chosen if k == "model" else k: _lines(v) for k, v in outcome.values.items()}
    systems = load_evaluation(run.out / "test").systems
    rows = {BASELINE_ROWS[name]: name for name in BASELINE_ROWS}
    scores = {result.chosen: intervals_of(systems[0])}
    return scores | {rows[s.name]: intervals_of(s) for s in systems[1:] if s.name in rows}
