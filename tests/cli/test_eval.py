"""`rg eval` and `rg compare`, as a user types them."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from running import Done, Rg

REFERENCES = {"a": "The lungs are clear.", "b": "The heart is enlarged.", "c": "There is a small left effusion."}
GOOD = {"a": "The lungs are clear.", "b": "The heart is big.", "c": "Small left effusion."}


def lines(tmp_path: Path, name: str, texts: dict[str, str]) -> Path:
    path = tmp_path / name
    path.write_text("".join(json.dumps({"id": k, "text": v}) + "\n" for k, v in texts.items()))
    return path


@pytest.fixture
def files(tmp_path: Path) -> list[object]:
    predictions, references = lines(tmp_path, "good.jsonl", GOOD), lines(tmp_path, "refs.jsonl", REFERENCES)
    return [
        "--predictions",
        predictions,
        "--references",
        references,
        "--protocol",
        "raw",
        "--metrics",
        "bleu,rouge-l,cider",
    ]


def test_two_files_are_scored_with_a_table_that_says_how(rg: Rg, files: list[object]) -> None:
    done = rg("eval", *files)
    assert done.code == 0
    assert "bleu-4 ↑" in done.out
    assert "protocol raw 1, section not stated, n = 3, split" in done.out


@pytest.mark.parametrize("shape", ["json", "csv", "markdown", "latex"])
def test_results_are_printed_as(rg: Rg, files: list[object], shape: str) -> None:
    done = rg("eval", *files, "--format", shape)
    assert done.code == 0
    if shape == "json":
        assert json.loads(done.out)["card"]["protocol"] == "raw 1"
    assert {"json": '"score"', "csv": "system,subset", "markdown": "|---|", "latex": "\\toprule"}[shape] in done.out


def test_a_folder_has_scores_tables_statistics_and_a_page(rg: Rg, files: list[object], tmp_path: Path) -> None:
    done = rg("eval", *files, "--out", tmp_path / "run")
    assert done.code == 0
    names = {p.name for p in (tmp_path / "run").iterdir()}
    assert names == {
        "scores.json",
        "scores.csv",
        "scores.md",
        "scores.tex",
        "studies.jsonl",
        "statistics.safetensors",
        "report.html",
    }


def test_training_files_bring_baselines(rg: Rg, files: list[object], tmp_path: Path) -> None:
    training = lines(tmp_path, "train.jsonl", {"t1": REFERENCES["a"], "t2": REFERENCES["a"], "t3": "Nodule."})
    done = rg(
        "eval", *files, "--training", training, "--validation", lines(tmp_path, "val.jsonl", {"v": "Lungs clear."})
    )
    assert "constant (validation)" in done.out
    assert "33.3% of the references stand word for word in training" in done.out


def test_scoring_files_imports_no_torch(files: list[object]) -> None:
    heavy = ["torch", "transformers", "timm", "sklearn", "matplotlib", "rich"]
    code = f"import sys\nsys.argv = {['rg', 'eval', *map(str, files)]!r}\nfrom reportgen_cli.main import main\ntry: main()\nexcept SystemExit as e: assert not e.code\nprint([m for m in {heavy!r} if m in sys.modules], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_a_score_that_cannot_be_had_is_one_line_and_the_others_are_printed(
    rg: Rg, files: list[object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REPORTGEN_JAVA", str(tmp_path / "none"))
    import reportgen_plugins.metrics.nlg.meteor as meteor

    monkeypatch.setattr(meteor, "PROCESS", meteor.MeteorProcess())
    done = rg("eval", *files[:4], "--metrics", "bleu,meteor")
    assert done.code == 1
    assert "bleu-4 ↑" in done.out
    assert "protocol raw 1" in done.out
    (line,) = [x for x in done.out.splitlines() if x.startswith("meteor ")]
    assert "cannot be started" in line
    assert done.err.splitlines()[-1].startswith("rg: no meteor: ")


def test_missing_predictions_are_refused_and_partial_when_asked(rg: Rg, files: list[object], tmp_path: Path) -> None:
    files[1] = lines(tmp_path, "few.jsonl", {"a": "x"})
    refused = rg("eval", *files)
    assert (refused.code, refused.out) == (1, "")
    assert refused.err.strip() == "rg: 2 studies (b, c) without a prediction; --partial scores the rest, marked"
    partial = rg("eval", *files, "--partial")
    assert "n = 1 of 3 (PARTIAL)" in partial.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "eval needs --model or --predictions, and not both"),
        (["--model", "x"], "--model needs --data and --data-root"),
        (["--model", "x", "--data", "table"], "--data table needs --data-root"),
        (["--metric-option", "x"], "is not METRIC.K=V"),
        (["--metrics", "blue"], "no metric named 'blue'; did you mean 'bleu'?"),
        (["--protocol", "rw"], "no protocol named 'rw'; did you mean 'raw'?"),
    ],
)
def test_what_does_not_fit_together_is_one_line(rg: Rg, files: list[object], arguments: list[str], said: str) -> None:
    wanted = files[:4] if any(a in arguments for a in ("--metrics", "--protocol", "--metric-option")) else []
    done = rg("eval", *wanted, *arguments)
    assert done.code == 1
    assert said in done.err
    assert done.err.count("\n") == 1


def test_a_file_is_not_scored_against_itself(rg: Rg, files: list[object]) -> None:
    done = rg("eval", *files[:2], "--protocol", "raw")
    assert done.code == 1
    assert "holds one text a study, the predictions; --references names the file" in done.err


def test_one_file_with_both_sides_is_enough(rg: Rg, tmp_path: Path) -> None:
    both = {k: {"section_findings": v, "model_prediction": GOOD[k]} for k, v in REFERENCES.items()}
    (tmp_path / "rexrank.json").write_text(json.dumps(both))
    done = rg(
        "eval",
        "--predictions",
        tmp_path / "rexrank.json",
        "--section",
        "findings",
        "--protocol",
        "raw",
        "--metrics",
        "bleu",
    )
    assert "protocol raw 1, findings, n = 3" in done.out


def test_options_reach_a_metric(rg: Rg, files: list[object]) -> None:
    done = rg("eval", *files[:6], "--metrics", "chexpert-rules", "--metric-option", "chexpert-rules.convention=r2gen")
    assert "chexpert-rules macro-14 f1 ↑" in done.out
    assert "chexpert14 r2gen" in done.out


def test_features_bring_the_nearest_image(rg: Rg, files: list[object], tmp_path: Path) -> None:
    training = lines(tmp_path, "train.jsonl", {"t1": REFERENCES["a"], "t2": REFERENCES["c"]})
    np.savez(tmp_path / "f.npz", t1=[1.0, 0.0], t2=[0.0, 1.0], a=[1.0, 0.1], b=[0.9, 0.0], c=[0.0, 2.0])
    done = rg("eval", *files, "--training", training, "--features", tmp_path / "f.npz")
    assert "nearest image" in done.out
    (tmp_path / "g.npz").write_bytes(b"no archive")
    assert "no .npz of plain arrays" in rg("eval", *files, "--features", tmp_path / "g.npz").err


def saved_run(rg: Rg, tmp_path: Path, name: str, texts: dict[str, str], *more: object) -> Path:
    references = lines(tmp_path, "refs.jsonl", REFERENCES)
    arguments = ["--predictions", lines(tmp_path, f"{name}.jsonl", texts), "--references", references]
    done: Done = rg(
        "eval", *arguments, "--metrics", "rouge-l", "--out", tmp_path / name, *(more or ("--protocol", "raw"))
    )
    assert done.code == 0, done.err
    return tmp_path / name


def test_compare_tests_like_runs(rg: Rg, tmp_path: Path) -> None:
    good = saved_run(rg, tmp_path, "good", GOOD)
    bad = saved_run(rg, tmp_path, "bad", dict.fromkeys(GOOD, "The lungs are clear."))
    done = rg("compare", good, bad, "--rounds", 200)
    assert done.code == 0
    assert "good - bad" in done.out
    assert json.loads(rg("compare", good, bad, "--format", "json").out)["differences"]["bad"]["rouge-l"]["p"] <= 1


def test_compare_refuses_unlike_runs_and_marks_them_when_told(rg: Rg, tmp_path: Path) -> None:
    good = saved_run(rg, tmp_path, "good", GOOD)
    other = saved_run(rg, tmp_path, "other", GOOD, "--protocol", "tokens")
    refused = rg("compare", good, other)
    assert refused.code == 1
    assert "protocol: raw 1 against tokens 1" in refused.err
    assert "other†" in rg("compare", good, other, "--anyway").out


def dataset(tmp_path: Path) -> Path:
    """Twelve studies with an image each; four to test on."""
    rows = ["id,image,findings,split"]
    for i in range(12):
        Image.fromarray(np.full((40, 40), 20 * i, np.uint8)).save(tmp_path / f"{i}.png")
        split = "train" if i < 6 else "val" if i < 8 else "test"
        rows.append(f"s{i},{i}.png,{'The lungs are clear.' if i % 2 else 'The heart is big.'},{split}")
    (tmp_path / "studies.csv").write_text("\n".join(rows) + "\n")
    return tmp_path / "studies.csv"


def test_a_model_is_scored_on_a_dataset_beside_the_nearest_image(rg: Rg, model: Path, tmp_path: Path) -> None:
    table = dataset(tmp_path)
    done = rg(
        "eval",
        "--model",
        model,
        "--data",
        "table",
        "--data-root",
        table,
        "--protocol",
        "raw",
        "--metrics",
        "bleu,rouge-l",
        "--nearest-image",
        "--device",
        "cpu",
        "--out",
        tmp_path / "out",
    )
    assert done.code == 0, done.err
    for row in ("constant (validation)", "most frequent", "random", "nearest image"):
        assert row in done.out
    assert "table test, n = 4" in done.out
    assert "data:image/jpeg;base64," in (tmp_path / "out" / "report.html").read_text()


def test_predictions_are_scored_against_a_dataset(rg: Rg, tmp_path: Path) -> None:
    table = dataset(tmp_path)
    predictions = lines(tmp_path, "p.jsonl", {f"s{i}": "The lungs are clear." for i in range(8, 12)})
    done = rg(
        "eval",
        "--predictions",
        predictions,
        "--data",
        "table",
        "--data-root",
        table,
        "--protocol",
        "raw",
        "--metrics",
        "bleu",
    )
    assert done.code == 0, done.err
    assert "the model says the same thing for every image" in done.out


@pytest.fixture
def cohort(tmp_path: Path) -> list[object]:
    """Predictions and references of 40 studies of 20 patients, as two CSV files."""
    words = ["clear", "big", "small", "hazy"]
    rows = [f"s{i},p{i // 2},{'MF'[i % 2]},{20 + i},the heart is {words[i % 4]}" for i in range(40)]
    (tmp_path / "refs.csv").write_text("id,Patient ID,PatientSex,age,report\n" + "\n".join(rows) + "\n")
    lines = (f"s{i},the heart is {words[i % 3]},{i % 3}" for i in range(40))
    (tmp_path / "predictions.csv").write_text("id,prediction,site\n" + "\n".join(lines) + "\n")
    files = ["--predictions", tmp_path / "predictions.csv", "--references", tmp_path / "refs.csv"]
    return [*files, "--protocol", "raw", "--metrics", "rouge-l", "--resamples", 50]


def test_a_column_of_patients_is_drawn_and_columns_make_subgroups(rg: Rg, cohort: list[object]) -> None:
    done = rg("eval", *cohort, "--by", "sex", "--by", "age", "--by", "site")
    assert (done.code, done.err) == (0, "")
    assert "of 50 resamples of 20 patients, seed 0" in done.out
    for title in ("By sex", "By age", "By site"):
        assert title in done.out.splitlines()
    assert "male: fewer than 30 patients, read its scores with caution" in done.out
    found = json.loads(rg("eval", *cohort, "--by", "sex", "--format", "json").out)
    assert [(g["group"], g["studies"], g["patients"]) for g in found["subgroups"]] == [
        ("female", 20, 20),
        ("male", 20, 20),
    ]


def test_a_column_that_no_file_has_is_one_line(rg: Rg, cohort: list[object]) -> None:
    done = rg("eval", *cohort, "--by", "scanner")
    assert (done.code, done.out) == (1, "")
    assert done.err.strip() == (
        "rg: --by scanner: no row has a value of it; there are: id, Patient ID, PatientSex, age, report, prediction, site"
    )


def test_files_that_name_different_patients_of_a_study_are_refused(rg: Rg, tmp_path: Path) -> None:
    for name, column in (("a", "prediction"), ("b", "report")):
        (tmp_path / f"{name}.csv").write_text(f"id,patient,{column}\ns1,{name},x y\n")
    done = rg("eval", "--predictions", tmp_path / "a.csv", "--references", tmp_path / "b.csv", "--protocol", "raw")
    assert done.code == 1
    assert "study 's1' is of patient 'b' in the references and of 'a' in the predictions" in done.err


def test_a_table_as_dataset_brings_its_columns(rg: Rg, tmp_path: Path) -> None:
    rows = "".join(f"s{i},p{i},{'MF'[i % 2]},test,the heart is big\n" for i in range(8))
    (tmp_path / "refs.csv").write_text("id,patient,Gender,split,report\n" + rows)
    predictions = lines(tmp_path, "p.jsonl", {f"s{i}": "the heart is big" for i in range(8)})
    done = rg(
        "eval", "--predictions", predictions, "--data", "table", "--data-root", tmp_path / "refs.csv",
        "--data-option", "require_images=false", "--protocol", "raw", "--metrics", "rouge-l",
        "--by", "sex",
    )  # fmt: skip
    assert done.code == 0
    assert "of 1000 resamples of 8 patients" in done.out
    assert [line.split()[0] for line in done.out.splitlines() if "(caution)" in line] == ["female", "male"]


def test_compare_prints_json_with_runs_scores_and_tests(rg: Rg, cohort: list[object], tmp_path: Path) -> None:
    for name, seed in (("one", 0), ("two", 1)):
        rg("eval", *cohort, "--seed", seed, "--out", tmp_path / name)
    done = rg("compare", tmp_path / "one", tmp_path / "two", "--rounds", 50, "--json")
    values = json.loads(done.out)
    assert [run["name"] for run in values["runs"]] == ["predictions #1", "predictions #2"]
    assert values["runs"][0]["card"]["patients"] == 20
    assert {line["name"] for line in values["runs"][1]["scores"]} == {"rouge-l"}
    assert values["differences"]["predictions #2"]["rouge-l"]["p"] == 1
    assert any("both draw 20 patients" in line for line in values["foot"])
    assert done.out == rg("compare", tmp_path / "one", tmp_path / "two", "--rounds", 50, "--format", "json").out


def test_the_name_of_a_model_is_checked_before_the_dataset_is_read(rg: Rg, tmp_path: Path, model: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    data = ["--data", "iu-xray", "--data-root", empty]
    for name, says in (("nonsense", "no model or model folder 'nonsense'"), (tmp_path, "is no model")):
        done = rg("eval", "--model", model, "--model", name, *data)
        assert done.code == 1 and says in done.err and str(empty) not in done.err
    assert str(empty) in rg("eval", "--model", model, *data).err
