"""`rg plan run`: the choice on validation, the result as table and page, and what is refused; one small plan is run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reportgen_cli.pages.shared.origin import Origin
from reportgen_cli.plan.running.card import model_card
from reportgen_cli.plan.running.choose import choose
from reportgen_cli.plan.running.page import result_page
from reportgen_cli.plan.running.result import BASELINE, CHOSEN, FAILED, Row, RunResult, result_table
from reportgen_cli.plan.running.run import PlanRun, chosen_before, score_test, train_all
from reportgen_cli.plan.settled.digests import study_digests
from reportgen_cli.plan.settled.plan_file import write_plan
from reportgen_cli.plan.settled.schedule import Schedule
from reportgen_cli.plan.settled.studies import usable_studies
from reportgen_cli.plan.training.job import Job, Outcome
from reportgen_cli.plan.training.spawn import Ended
from running import Rg
from test_plan_make import a_plan, rows, written

from reportgen_core import DataError, evaluate
from reportgen_core.scoring.evaluation_folder import SavedEvaluation, load_evaluation, save_evaluation

DECIDE, THEN = "chexpert-rules micro-14 f1", "bleu-4"
TRUE = ["There is a pleural effusion.", "The heart is enlarged.", "There is a pneumothorax.", "The lungs are clear."]


def saved(folder: Path, name: str, right: int, n: int = 60) -> SavedEvaluation:
    """An evaluation in which the first `right` of n reports are those of their studies, the others of another one."""
    references = {f"s{i}": TRUE[i % 4] for i in range(n)}
    reports = {f"s{i}": TRUE[(i if i < right else i + 1) % 4] for i in range(n)}
    evaluation = evaluate(
        reports, references, metrics=["bleu", "chexpert-rules"], protocol="raw", name=name, resamples=50
    )
    save_evaluation(evaluation, folder / name)
    return load_evaluation(folder / name)


def test_the_best_is_chosen_if_a_test_tells_it_from_the_others(tmp_path: Path) -> None:
    runs = {name: saved(tmp_path, name, right) for name, right in (("good", 55), ("bad", 10))}
    choice = choose(DECIDE, THEN, runs, {"constant": saved(tmp_path, "constant", 15)})
    assert (choice.chosen, choice.best, choice.level) == ("good", "good", ("good",))
    assert choice.tests["bad"].p < 0.05
    assert choice.tests["bad"].value == pytest.approx(
        runs["good"].systems[0].line(DECIDE).value - runs["bad"].systems[0].line(DECIDE).value  # type: ignore[union-attr]
    )
    assert choice.cautions == ()
    assert "a paired test tells it from the others" in choice.why


def test_among_those_level_with_the_best_the_second_score_chooses(tmp_path: Path) -> None:
    runs = {name: saved(tmp_path, name, right) for name, right in (("first", 40), ("second", 41), ("bad", 5))}
    better = runs["first"].systems[0]
    lines = tuple(replace(x, value=0.99) if x.name == THEN else x for x in better.lines)
    runs["first"] = replace(runs["first"], systems=(replace(better, lines=lines),))
    choice = choose(DECIDE, THEN, runs, {})
    assert (choice.best, choice.chosen) == ("second", "first")
    assert set(choice.level) == {"first", "second"}


def test_a_baseline_that_is_as_good_is_said(tmp_path: Path) -> None:
    runs = {"one": saved(tmp_path, "one", 30)}
    choice = choose(DECIDE, THEN, runs, {"constant": saved(tmp_path, "constant", 50)})
    assert choice.chosen == "one"
    assert any("no preset is above the baseline constant" in line for line in choice.cautions)


def test_a_score_that_nobody_has_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no preset has the score 'ciderr' on validation; there are: bleu-1"):
        choose("ciderr", THEN, {"one": saved(tmp_path, "one", 30)}, {})


def a_result() -> RunResult:
    scores = {"cider": (0.5, 0.4, 0.6), "bleu-4": (0.1, None, None)}
    return RunResult(
        plan="p.json", data="<t>.jsonl", hours=1.0, decide="cider", then="bleu-4", chosen="soft-att",
        why="soft-att is chosen", counts={"train": 80, "val": 10, "test": 10}, encoder=None, notes=("only 10 pairs",),
        rows=(
            Row(name="soft-att", state=CHOSEN, validation=scores, test=scores, epochs=3, seconds=61.0,
                predicted_seconds=70.0, memory=800, predicted_memory=900),
            Row(name="r2gen", state=FAILED, predicted_seconds=70.0, predicted_memory=900, note="loss <is> nan"),
            Row(name="constant", state=BASELINE, validation=scores, p=0.0004),
        ),
    )  # fmt: skip


def test_the_table_has_a_row_for_each_preset_and_baseline_and_why_one_failed() -> None:
    table = result_table(a_result())
    assert [row[0] for row in table.rows] == ["soft-att", "r2gen", "constant"]
    assert table.rows[0] == (
        "soft-att", "0.500 (0.400-0.600)", "0.100", "–", "0.500 (0.400-0.600)", "0.100", "3", "1 min 1 s (1 min 10 s)",
        "800 (900)", "chosen",
    )  # fmt: skip
    assert table.rows[1][-3:] == ("– (1 min 10 s)", "– (900)", "failed")
    assert table.rows[2][3] == "<.001"
    assert "r2gen: loss <is> nan" in table.foot


def test_the_page_is_whole_and_texts_stay_texts(tmp_path: Path) -> None:
    log = tmp_path / "soft-att" / "run" / "log.jsonl"
    log.parent.mkdir(parents=True)
    records = [{"kind": "epoch", "epoch": i, "total": i, "val_loss": 3.0 - i, "best": i == 1} for i in range(3)]
    log.write_text("".join(json.dumps(r) + "\n" for r in records))
    page = result_page(a_plan(), a_result(), tmp_path, Origin(date="2026-01-02"))
    assert "<t>" not in page and "<is>" not in page and "&lt;is&gt;" in page
    assert page.count("<svg") == 3  # two scores, one learning curve
    for word in ("Only 10 pairs", "1 min 10 s", "Epoch 2 of 3", "it writes less"):
        assert word in page
    import re

    assert not re.search(r'(?:src|href)="(?!#)', page)


def test_the_card_says_data_choice_scores_and_settings() -> None:
    card = model_card(a_plan(), a_result())
    for word in ("# soft-att, trained on t.jsonl", "80 train, 10 val, 10 test", "soft-att is chosen.", "| constant |"):
        assert word in card
    assert "| r2gen |" not in card
    assert "no medical device" in card


def plan_of(path: Path, folder: Path) -> Path:
    """A plan for the table, as `rg plan make` would write it, without its measurement."""
    from reportgen_core.registries import datasets

    studies = usable_studies(datasets.create("table", path).read().studies, ("findings",))
    plan = a_plan(studies=study_digests(studies.studies), counts=studies.counts)
    plan = replace(plan, data=replace(plan.data, name=str(path)))
    write_plan(plan, folder / "plan.json")
    return folder / "plan.json"


def test_a_plan_whose_data_changed_is_refused_with_what_changed(rg: Rg, tmp_path: Path) -> None:
    table = written(tmp_path, rows())
    file = plan_of(table, tmp_path)
    changed = rows(61)
    changed[3]["report"] = "Another."
    written(tmp_path, changed)
    done = rg("plan", "run", file)
    assert done.code == 1
    assert "changed since the plan was made: 1 study added (s60), 1 study changed (s3); rg plan make" in done.err
    assert not (tmp_path / "plan-run").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 7}, "is a plan of format 7; this reportgen reads 1"),
        ({"tried": {"presets": ["nobody"]}}, "no preset 'nobody'"),
    ],
)
def test_a_plan_that_cannot_be_run_is_one_line(rg: Rg, tmp_path: Path, change: dict[str, Any], message: str) -> None:
    file = plan_of(written(tmp_path, rows()), tmp_path)
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    done = rg("plan", "run", file)
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert message in done.err


def test_too_short_a_time_is_one_line_and_leaves_nothing(rg: Rg, tmp_path: Path) -> None:
    file = plan_of(written(tmp_path, rows()), tmp_path)
    done = rg("plan", "run", file, "--hours", "0.001")
    assert done.code == 1
    assert done.err.startswith("rg: --hours 0.001 is too short")
    assert not (tmp_path / "plan-run" / "asked.json").exists()


def made_run(folder: Path, hours: float) -> PlanRun:
    """A run of three presets, each of which is predicted to take 100 seconds."""
    names = ("soft-att", "r2gen", "lrcn")
    schedule = Schedule(hours, 0, dict.fromkeys(names, 4), dict.fromkeys(names, 100.0), 50.0)
    return PlanRun(a_plan(), folder / "plan.json", folder, schedule, lambda line: None)


def test_a_failure_stands_alone_and_what_is_finished_is_not_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = []

    def process(job: Job, say: Any, threads: int) -> Ended:
        started.append((job.preset, job.epochs, job.seconds))
        return Ended(None, "loss is nan") if job.preset == "r2gen" else Ended(Outcome(seconds=90.0, epochs=4))

    monkeypatch.setattr("reportgen_cli.plan.running.run.run_process", process)
    (tmp_path / "soft-att").mkdir()
    Outcome(seconds=80.0, epochs=4).save(tmp_path / "soft-att" / "outcome.json")
    trained = train_all(made_run(tmp_path, 1.0))
    assert started == [("r2gen", 4, 150.0), ("lrcn", 4, 150.0)]
    assert {name: o.seconds for name, o in trained.outcomes.items()} == {"soft-att": 80.0, "lrcn": 90.0}
    assert trained.problems == {"r2gen": "loss is nan"}


def test_test_is_scored_again_only_for_another_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, scored = made_run(tmp_path, 1.0), []

    def process(job: Job, say: Any, threads: int) -> Ended:
        scored.append(job.preset)
        job.save(tmp_path / "test" / "job.json")
        Outcome().save(tmp_path / "test" / "outcome.json")
        return Ended(Outcome())

    monkeypatch.setattr("reportgen_cli.plan.running.run.run_process", process)
    assert chosen_before(run) == ""
    for name in ("lrcn", "lrcn", "r2gen"):
        assert score_test(run, name, tmp_path / "model") == ""
    assert scored == ["lrcn", "r2gen"]
    assert chosen_before(run) == "r2gen"


def test_no_preset_begins_when_the_time_is_nearly_over_and_earlier_sessions_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reportgen_cli.plan.running.run.run_process", lambda *_: pytest.fail("there is no time"))
    (tmp_path / "soft-att").mkdir()
    Outcome(seconds=80.0, epochs=4).save(tmp_path / "soft-att" / "outcome.json")
    trained = train_all(made_run(tmp_path, (80 + 50 + 49) / 3600))
    assert list(trained.outcomes) == ["soft-att"]
    assert all(why.startswith("the time was over before it began") for why in trained.problems.values())


def pictures(folder: Path, n: int = 60) -> Path:
    """A table whose images show what the reports say."""
    from PIL import Image

    values = rows(n)
    path = written(folder, values)
    for i, row in enumerate(values):
        picture = np.random.default_rng(i).integers(0, 60, (64, 64)).astype(np.uint8)
        picture[(i % 5) * 12 : (i % 5) * 12 + 10] += 150
        Image.fromarray(picture).save(folder / row["image"])
    return path


@pytest.mark.services
def test_a_plan_is_made_and_run_one_failure_stands_alone_and_a_second_run_trains_nothing(
    rg: Rg, tmp_path: Path
) -> None:
    table, file = pictures(tmp_path), tmp_path / "plan.json"
    made = rg(
        "plan", "make", table, "--out", file, "--encoder", "timm/test_resnet", "--labels", "none", "--size", "64",
        "--preset", "lrcn", "--preset", "soft-att",
    )  # fmt: skip
    assert made.code == 0, made.err
    plan = json.loads(file.read_text())
    assert plan["tried"]["presets"] == ["lrcn", "soft-att"]
    assert all(c["cost"]["memory"] > 100 and c["cost"]["step"] > 0 for c in plan["presets"].values())
    plan["rules"] |= {"epochs": 2, "least_epochs": 1}
    plan["presets"]["soft-att"]["text"]["sections"] = ["other"]  # fails, and the other one stands
    file.write_text(json.dumps(plan))
    done = rg("plan", "run", file, "--hours", "1", "--json")
    assert done.code == 1
    result = json.loads(done.out)
    states = {row["name"]: row["state"] for row in result["rows"]}
    assert states == {"lrcn": "chosen", "soft-att": "failed", "constant": "baseline", "nearest": "baseline"}
    out = tmp_path / "plan-run"
    assert {p.name for p in (out / "model").iterdir()} >= {"config.json", "model.safetensors", "card.md"}
    assert result["rows"][0]["test"] and (out / "test" / "report.html").exists()
    log = (out / "lrcn" / "run" / "log.jsonl").read_text()
    again = rg("plan", "run", file, "--hours", "1", "--json")
    assert (out / "lrcn" / "run" / "log.jsonl").read_text() == log
    assert json.loads(again.out)["chosen"] == "lrcn"
    other = rg("plan", "run", file, "--hours", "2")
    assert "was begun with --hours 1" in other.err
