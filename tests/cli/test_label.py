"""`rg label`, with a metric that has a labeler."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from reportgen_cli.main import rg
from reportgen_plugins.metrics.labeler.labeler import Labeler, Scheme

from reportgen_core import DataError, Entry, Metric, MetricError, Score
from reportgen_core.registries import metrics

TEXT = "Heart size is normal. Small left effusion, no pneumothorax. Possible pneumonia."


class Labels(Metric):
    """A metric that is there for its labeler."""

    def __init__(self, *, scheme: Scheme = "chexpert14", phrases: str = "") -> None:
        self.labeler = Labeler(scheme=scheme, phrases=phrases)

    def compute(self, reports: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
        raise MetricError("labels only")


class Blind(Labels):
    """One that has none."""

    def __init__(self, *, scheme: Scheme = "chexpert14") -> None:
        """Set no labeler."""


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_by_name", None)  # the plugins are called anew, and forgotten afterwards
    for name in ("Labels", "Blind"):
        metrics.add(Entry(f"test-{name.lower()}", f"{__name__}:{name}", "of a test"))


def label(*arguments: str, text: str | None = None, metric: str = "test-labels") -> Result:
    return CliRunner().invoke(rg, ["label", *arguments, "--metric", metric], input=text)


def test_a_text_is_labelled_in_a_table() -> None:
    lines = label(TEXT).output.splitlines()
    assert lines[0].split() == ["label", "says", "words", "rule", "sentence"]
    assert ["Pleural", "Effusion", "positive", "effusion"] in [line.split()[:4] for line in lines]


def test_json_has_labels_and_when_asked_every_mention() -> None:
    row = json.loads(label(TEXT, "--json").output)
    assert row["labels"] == {"Cardiomegaly": 0, "Pneumonia": -1, "Pneumothorax": 0, "Pleural Effusion": 1}
    mention = json.loads(label(TEXT, "--json", "--explain").output)["mentions"]["Pneumothorax"][0]
    assert mention == {
        "value": 0, "words": "pneumothorax", "rule": "pneumothorax: negated by 'no'",
        "sentence": "Small left effusion, no pneumothorax", "span": [46, 58], "cue": "no", "scope": "no pneumothorax",
    }  # fmt: skip
    assert TEXT[slice(*mention["span"])] == mention["words"]


def test_csv_has_a_column_a_label(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_text(
        "\n".join(json.dumps({"id": i, "text": t}) for i, t in (("a", TEXT), ("b", "Clear.")))
    )
    rows = list(csv.DictReader(io.StringIO(label(str(tmp_path / "r.jsonl"), "--csv").output)))
    assert [r["id"] for r in rows] == ["a", "b"]
    assert (rows[0]["Pneumonia"], rows[0]["Edema"], rows[1]["No Finding"]) == ("-1", "", "1")


def test_several_reports_are_a_row_each(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text(f'id,text\na,"{TEXT}"\nb,Clear.\n')
    lines = label(str(tmp_path / "r.csv")).output.splitlines()
    assert lines[0].split() == ["id", "positive", "negative", "uncertain"]
    assert lines[1].startswith("a")
    assert "Pleural Effusion" in lines[1]


def test_standard_input_is_one_report_or_one_a_line() -> None:
    assert json.loads(label("-", "--json", text="Edema.").output) == {"id": "stdin", "labels": {"Edema": 1}}
    assert len(label("-", "--json", "--lines", text="Edema.\nClear.\n").output.splitlines()) == 2


def test_the_other_scheme_has_other_names() -> None:
    assert "Effusion" in json.loads(label(TEXT, "--json", "--scheme", "chestxray14").output)["labels"]


def test_a_file_that_is_not_there_is_no_text() -> None:
    assert isinstance(label("reports.jsonl").exception, DataError)


def test_a_metric_without_a_labeler_says_so() -> None:
    failed = label(TEXT, metric="test-blind").exception
    assert isinstance(failed, MetricError)
    assert "labels no texts" in str(failed)


def test_an_explanation_shows_span_cue_and_scope() -> None:
    lines = label("No effusion.", "--explain").output.splitlines()
    assert lines[0].split() == ["label", "says", "words", "span", "cue", "scope", "rule", "sentence"]
    denied = next(line for line in lines if line.startswith("Pleural Effusion"))
    assert denied.split()[2:6] == ["negative", "effusion", "3-11", "no"]
    assert "No effusion" in denied


def test_texts_in_another_language_are_told(tmp_path: Path) -> None:
    texts = {"a": "No effusion.", "b": "Kein Erguss.", "c": "Pas d'épanchement."}
    (tmp_path / "r.json").write_text(json.dumps(texts), encoding="utf-8")
    done = label(str(tmp_path / "r.json"), "--csv")
    assert "rg: 2 of 3 texts have no labels: b is in German, and the rules read English, c is in French" in done.stderr
    assert done.stdout.splitlines()[2] == "b" + "," * 14


def test_phrases_of_the_user_are_added(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text("[effusion]\npresent = ['water in the chest']\n")
    done = label("Water in the chest.", "--json", "--phrases", str(tmp_path / "own.toml"))
    assert json.loads(done.output)["labels"] == {"Pleural Effusion": 1}


def test_bad_phrases_are_one_line_with_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text("[effusion]\npresent = ['(water']\n")
    failed = label("Water.", "--phrases", str(path)).exception
    assert isinstance(failed, DataError)
    assert str(failed).startswith(f"{path}: line 2: '(water' is no phrase")


CHECKS = "text\tlabel\tanswer\nNo effusion.\tPleural Effusion\t0\nNo edema\\nEffusion\tPleural Effusion\t1|-1\n"


def check(folder: Path, table: str, *arguments: str, name: str = "checks.tsv") -> Result:
    path = folder / name
    path.write_text(table, encoding="utf-8")
    return label("--check", str(path), *arguments)


def test_a_text_that_names_nothing_is_told_so() -> None:
    done = label("Chest, two views.")
    assert done.stderr == "rg: no labels: the text names no finding and calls nothing normal\n"


@pytest.mark.parametrize(("extra", "named"), [("No edema.", "FILE|TEXT"), ("--json", "--json")])
def test_a_check_refuses_what_it_would_not_read(tmp_path: Path, extra: str, named: str) -> None:
    done = check(tmp_path, CHECKS, extra)
    assert done.exit_code == 2
    assert f"--check reads its table only, and takes no {named}." in done.stderr


def test_a_table_of_sentences_that_are_all_right_is_exit_code_0(tmp_path: Path) -> None:
    done = check(tmp_path, CHECKS)
    assert (done.exit_code, done.output) == (0, "2 of 2 right\n")


def test_wrong_answers_are_printed_and_exit_code_1(tmp_path: Path) -> None:
    done = check(tmp_path, CHECKS + "No edema.\tEdema\tN\nClear.\tFracture\t0|-1\n")
    first, second, count = done.stdout.splitlines()
    assert done.exit_code == 1
    assert first.endswith("line 4: 'No edema.' Edema: expected N, got 0 (edema: negated by 'no')")
    assert second.endswith("line 5: 'Clear.' Fracture: expected 0 or -1, got N")
    assert count == "2 of 4 right"


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ("text\tlabel\tanswer\n", "no sentence to check"),
        ("text\tlabel\tanswer\nx\tEdem\t1\n", "line 2: no label 'Edem'; did you mean 'Edema'"),
        ("text\tlabel\tanswer\nNo edema.\tEdema\tno\n", "line 2: 'no' is no answer; write 1, 0, -1 or N"),
        ("text\tlabel\tanswer\nNo edema.\tEdema\t\n", "line 2: '' is no answer"),
        ("text\tlabel\tanswer\n\tEdema\t0\n", "line 2: no text"),
        ("text\tlabel\nx\tEdema\n", "line 2: no column answer; it has text, label"),
        ("a\tb\n1\t2\n", "line 2: no column text and label and answer"),
        ("text\tlabel\tanswer\nx\tEdema\n", "line 2"),
    ],
)
def test_a_table_that_cannot_be_used_is_exit_code_2(tmp_path: Path, table: str, why: str) -> None:
    done = check(tmp_path, table)
    assert done.exit_code == 2
    assert why in done.stderr
    assert done.stdout == ""


def test_a_table_or_phrases_that_are_not_there_are_exit_code_2(tmp_path: Path) -> None:
    assert label("--check", str(tmp_path / "no.tsv")).exit_code == 2
    assert check(tmp_path, CHECKS, "--phrases", str(tmp_path / "no.toml")).exit_code == 2
    assert check(tmp_path, CHECKS, name="checks.dat").exit_code == 2


def test_answers_may_be_words_and_labels_those_of_the_other_scheme(tmp_path: Path) -> None:
    table = "text,label,expected\nA mass.,Mass,positive\nNo mass.,Mass,absent\nPossible mass.,Mass,uncertain\n"
    assert check(tmp_path, table, "--scheme", "chestxray14", name="checks.csv").exit_code == 0


def test_without_a_text_the_usage_is_shown() -> None:
    done = label()
    assert done.exit_code == 2
    assert "Missing argument 'FILE|TEXT'" in done.stderr


def test_a_labeler_that_checks_nothing_says_so(tmp_path: Path) -> None:
    (tmp_path / "checks.tsv").write_text(CHECKS)
    done = label("--check", str(tmp_path / "checks.tsv"), metric="test-blind")
    assert done.exit_code == 2
