"""`rg study score`: figures that can be checked by hand, or with scikit-learn."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from reading import reading
from reportgen_cli.main import rg
from reportgen_cli.study.answers import Answer, add
from reportgen_cli.study.folder import Key, ReadingStudy
from reportgen_cli.study.score import kappas, picture, score
from sklearn.metrics import cohen_kappa_score

from reportgen_core import DataError


def answer(study: ReadingStudy, key: Key, reader: str, human: list[int], model: list[int]) -> None:
    """Give each source's cases these scores, by patient."""
    scores = {"human": human, "model": model}
    for case, (patient, source) in key.cases.items():
        values = scores[source]
        if (i := int(patient.removeprefix("patient"))) < len(values):
            add(study.answers_of(reader), Answer(case, values[i]))


def test_means_shares_and_differences_are_those_of_the_answers(tmp_path: Path) -> None:
    study, key = reading(tmp_path, count=4)
    answer(study, key, "anna", [5, 5, 4, 3], [5, 4, 2, 1])
    human, model = score(study, key).sources
    assert (human.source, human.n, human.mean, human.acceptable) == ("human", 4, 4.25, 0.75)
    assert (model.source, model.mean, model.acceptable, model.less_human) == ("model", 3.0, 0.5, -1.25)
    assert human.counts == {1: 0, 2: 0, 3: 1, 4: 1, 5: 2}
    assert human.less_human is None


def test_intervals_resample_examinations_and_keep_their_answers_together(tmp_path: Path) -> None:
    study, key = reading(tmp_path, count=6)
    human, model = [5, 5, 4, 3, 5, 2], [4, 4, 3, 2, 4, 1]  # always one less: the difference is sure, the means are not
    answer(study, key, "anna", human, model)
    first, second = score(study, key, resamples=4000).sources
    assert second.less_human_interval == pytest.approx((-1, -1))
    rng = np.random.default_rng(1)
    means = [np.mean(rng.choice(human, 6)) for _ in range(4000)]
    assert first.mean_interval == pytest.approx(tuple(np.percentile(means, [2.5, 97.5])), abs=0.2)


def test_the_same_seed_gives_the_same_intervals(tmp_path: Path) -> None:
    study, key = reading(tmp_path, count=4)
    answer(study, key, "anna", [5, 5, 4, 3], [5, 4, 2, 1])
    assert score(study, key, seed=7) == score(study, key, seed=7)
    assert score(study, key, seed=7) != score(study, key, seed=8)


def test_readers_agree_as_far_as_scikit_learn_says(tmp_path: Path) -> None:
    study, key = reading(tmp_path, count=5)
    answer(study, key, "anna", [5, 4, 3, 2, 1], [5, 5, 4, 2, 1])
    answer(study, key, "ben", [5, 5, 3, 1, 1], [4, 5, 4, 2])
    (found,) = score(study, key).agreement
    a, b = [5, 4, 3, 2, 1, 5, 5, 4, 2], [5, 5, 3, 1, 1, 4, 5, 4, 2]
    assert found.readers == ("anna", "ben")
    assert (found.n, found.same) == (9, pytest.approx(6 / 9))
    assert found.kappa == pytest.approx(cohen_kappa_score(a, b, weights="quadratic"))
    assert found.interval[0] < found.kappa <= found.interval[1]


def test_kappas_of_many_tables_are_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    pairs = rng.integers(1, 6, (20, 2, 30))
    tables = np.zeros((20, 5, 5))
    for table, (a, b) in zip(tables, pairs, strict=True):
        np.add.at(table, (a - 1, b - 1), 1)
    theirs = [cohen_kappa_score(a, b, labels=[1, 2, 3, 4, 5], weights="quadratic") for a, b in pairs]
    assert kappas(tables) == pytest.approx(theirs)


def test_readers_who_give_one_score_throughout_have_no_kappa(tmp_path: Path) -> None:
    study, key = reading(tmp_path, count=3)
    for reader in ("anna", "ben"):
        answer(study, key, reader, [5, 5, 5], [5, 5, 5])
    (found,) = score(study, key).agreement
    assert math.isnan(found.kappa)
    assert found.same == 1


def test_readers_without_a_shared_case_have_no_kappa(tmp_path: Path) -> None:
    study, key = reading(tmp_path, count=2)
    answer(study, key, "anna", [5, 4], [])
    answer(study, key, "ben", [], [3, 2])
    outcome = score(study, key)
    assert outcome.agreement[0].n == 0
    assert outcome.answered == {"anna": 2, "ben": 2}


def test_a_source_nobody_has_scored_has_no_mean(tmp_path: Path) -> None:
    study, key = reading(tmp_path, count=2)
    answer(study, key, "anna", [5, 4], [])
    model = score(study, key).sources[1]
    assert model.n == 0
    assert math.isnan(model.mean)


def test_a_study_without_answers_says_how_to_get_them(tmp_path: Path) -> None:
    study, key = reading(tmp_path, count=1)
    with pytest.raises(DataError, match="rg study serve"):
        score(study, key)


def test_an_answer_of_another_study_is_named(tmp_path: Path) -> None:
    study, key = reading(tmp_path, count=1)
    add(study.answers_of("anna"), Answer("c9999", 5))
    with pytest.raises(DataError, match=r"anna\.jsonl: case 'c9999'"):
        score(study, key)


def test_the_picture_shows_every_source(tmp_path: Path) -> None:
    study, key = reading(tmp_path, count=4)
    answer(study, key, "anna", [5, 5, 4, 3], [5, 4, 2, 1])
    picture(score(study, key), tmp_path / "p.png")
    with Image.open(tmp_path / "p.png") as image:
        colours = {c for _, c in image.convert("RGB").getcolors(1 << 20)}
    assert {(0x3B, 0x6E, 0xA8), (0xE0, 0x8A, 0x2E)} <= colours


def test_the_command_prints_a_table_and_json(tmp_path: Path) -> None:
    study, key = reading(tmp_path, count=4)
    answer(study, key, "anna", [5, 5, 4, 3], [5, 4, 2, 1])
    answer(study, key, "ben", [5, 5, 4, 4], [5, 4, 2, 2])
    shown = CliRunner().invoke(rg, ["study", "score", str(study.root), "--picture", str(tmp_path / "p.svg")])
    assert shown.exit_code == 0, shown.output
    assert "weighted kappa 0.9" in shown.output
    assert (tmp_path / "p.svg").exists()
    row = json.loads(CliRunner().invoke(rg, ["study", "score", str(study.root), "--json"]).output)
    assert [s["mean"] for s in row["sources"]] == [4.375, 3.125]
    assert row["answered"] == {"anna": 8, "ben": 8}


def test_the_picture_names_purpose_key_and_date(tmp_path: Path) -> None:
    study, key = reading(tmp_path, count=2)
    answer(study, key, "anna", [5, 4], [3, 2])
    picture(score(study, key), tmp_path / "scores.svg")
    text = (tmp_path / "scores.svg").read_text()
    for fact in ("For research. Not a medical device.", f"sha256 {study.key_sha256[:12]}"):
        assert fact in text
