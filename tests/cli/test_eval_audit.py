"""`rg eval --audit`: the metric in the table, the page and the lines of all differences; `rg compare` tests kinds."""

from __future__ import annotations

import json
import re

import pytest

REFERENCES = {"a": "Small left effusion. No pneumothorax.", "b": "Heart size is normal.", "c": "Lungs are clear."}
REPORTS = {"a": "Small right effusion. No pneumothorax.", "b": "Cardiomegaly.", "c": "Lungs are clear. </script>"}


@pytest.fixture
def files(tmp_path):
    paths = []
    for name, texts in (("predictions", REPORTS), ("references", REFERENCES), ("others", REFERENCES)):
        path = tmp_path / f"{name}.jsonl"
        field = "reference" if name == "references" else "prediction"
        path.write_text("".join(json.dumps({"id": k, field: v}) + "\n" for k, v in texts.items()), encoding="utf-8")
        paths.append(path)
    return paths


def evaluate(rg, predictions, references, out):
    options = ("--protocol", "raw", "--metrics", "rouge-l", "--audit", "--no-baselines", "--resamples", 20)
    return rg("eval", "--predictions", predictions, "--references", references, "--out", out, *options)


def test_an_audit_writes_every_difference_as_a_line_and_a_page(rg, files, tmp_path) -> None:
    done = evaluate(rg, files[0], files[1], tmp_path / "out")
    assert "errors weighted (significant 1, minor 0.25) ↓" in done.out
    lines = [json.loads(line) for line in (tmp_path / "out" / "audit.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(d["study"], d["kind"], d["finding"]) for d in lines] == [
        ("a", "wrong side", "effusion"), ("b", "contradicted", "enlarged heart"),
    ]  # fmt: skip
    assert lines[0]["reference"]["words"] == lines[0]["prediction"]["words"] == "effusion"
    page = (tmp_path / "out" / "audit.html").read_text(encoding="utf-8")
    data = json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', page, re.S)[1])
    assert [s["id"] for s in data["studies"]] == ["a", "b", "c"]
    assert data["studies"][2]["prediction"] == REPORTS["c"]  # and the page did not end there
    assert "Errors of predictions, 3 studies" in page and "src=" not in page.replace("img-src", "")


def test_an_audit_without_a_folder_says_what_one_is_for(rg, files) -> None:
    done = rg("eval", "--predictions", files[0], "--references", files[1], "--protocol", "raw", "--metrics", "errors",
              "--audit", "--no-baselines", "--resamples", 0)  # fmt: skip
    assert "audit.html" in done.err and "errors wrong side" in done.out


def test_a_comparison_tests_each_kind_in_pairs(rg, files, tmp_path) -> None:
    for name, predictions in (("one", files[0]), ("two", files[2])):
        evaluate(rg, predictions, files[1], tmp_path / name)
    done = rg("compare", tmp_path / "one", tmp_path / "two", "--rounds", 100)
    row = next(line for line in done.out.splitlines() if line.strip().startswith("wrong side"))
    assert "+0.333" in row
