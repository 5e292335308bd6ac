"""The model that ships inside: whole, small, and writing a report for a real radiograph."""

from __future__ import annotations

import json

from PIL import Image
from reportgen_cli.commands.report import default_model
from reportgen_zoo.demo import image
from reportgen_zoo.pull import catalogue as manifests
from reportgen_zoo.pull.fetch import packaged
from reportgen_zoo.pull.verify import verify


def test_the_demo_writes_a_report_and_a_picture_of_the_attention(rg, tmp_path):
    done = rg("demo", "--out", tmp_path / "out")
    assert done.code == 0, done.err
    assert "not for clinical use" in done.err
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["text"].endswith(".")
    scores = manifests.record(default_model()).scores[0].values
    assert f"of the findings that it stated, {scores['precision']:.0%} were in the labels" in done.err
    assert f"of the findings in the labels, it stated {scores['recall']:.0%}." in done.err
    assert "A finding that the report does not name may be there" in done.err.splitlines()[-1]
    assert report["text"] in done.out
    assert min(Image.open(tmp_path / "out" / "attention.png").size) > 500
    assert (tmp_path / "out" / "chest.jpg").read_bytes() == image().read_bytes()


def test_the_shipped_model_is_whole_small_and_gives_the_recorded_report():
    record = manifests.record(default_model())
    assert record.demonstration
    assert record.bytes < 40 * 2**20
    assert record.licence
    assert record.scores[0].values["f1"] > record.scores[0].constant["f1"]
    assert record.scores[0].intervals["f1"][0] > 0
    assert list(verify(record, packaged(record))) == []


def test_all_that_ships_is_marked_a_demonstration_has_a_licence_and_fits_in_a_package():
    shipped = [r for r in manifests.builtin().models if packaged(r)]
    assert all(r.demonstration and r.licence and r.training and r.scores and r.scores[0].constant for r in shipped)
    assert sum(r.bytes for r in shipped) < 40 * 2**20
