"""`rg label`, with a metric that has a labeler."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
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

    def __init__(self, *, scheme: Scheme = "chexpert14") -> None:
        self.labeler = Labeler(scheme=scheme)

    def compute(self, reports: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
        raise MetricError("labels only")


class Blind(Labels):
    """One that has none."""

    def __init__(self, *, scheme: Scheme = "chexpert14") -> None:
        """Set no labeler."""


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    for name in ("Labels", "Blind"):
        metrics.add(Entry(f"test-{name.lower()}", f"{__name__}:{name}", "of a test"))
    yield
    metrics._found = None  # asked of the plugins anew


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
        "sentence": "Small left effusion, no pneumothorax",
    }  # fmt: skip


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
