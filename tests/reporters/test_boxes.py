"""Boxes of sentences: drawn by `--explain`, scored by `pointing`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from chat_server import chat_server
from PIL import Image
from reportgen_cli.pages.explain_page import explain_study
from reportgen_cli.pages.shared.origin import Origin
from running import Rg

import reportgen_core
from reportgen_core import Report, Study
from reportgen_core.scoring.abilities.metrics import ModelOutputs
from reportgen_core.types import Box

TEXTS = ("The heart is normal.", "There is a small left pleural effusion.")


def boxed(*boxes: Box, study: str = "a") -> Report:
    return Report(
        study,
        " ".join(TEXTS),
        TEXTS,
        boxes=((), tuple(boxes)),
        views=("chest.png",),
        images=(np.full((80, 100), 0.4, np.float32),),
    )


def cyan(path: Path) -> int:
    """Return how many pixels of a picture have the colour of a box."""
    values = np.asarray(Image.open(path).convert("RGB")).astype(int)
    return int((np.abs(values - (53, 224, 255)).sum(-1) < 30).sum())


def test_a_page_and_a_picture_show_the_boxes_of_a_sentence(tmp_path: Path) -> None:
    box = Box("effusion", 0.6, 0.5, 0.3, 0.4)
    explain_study(boxed(box), None, tmp_path, "with", Origin())
    explain_study(boxed(), None, tmp_path, "without", Origin())
    assert cyan(tmp_path / "with.png") > 300
    data = re.search(r'id="data"[^>]*>(.*?)</script>', (tmp_path / "with.html").read_text(), re.DOTALL)
    assert data is not None
    sentences = json.loads(data[1])["sentences"]
    assert [len(s["boxes"]) for s in sentences] == [0, 1]
    assert sentences[1]["boxes"][0] == {
        "label": "effusion",
        "left": 0.6,
        "top": 0.5,
        "width": 0.3,
        "height": 0.4,
        "view": 0,
    }


def test_the_boxes_of_an_endpoint_reach_json_page_and_picture(rg: Rg, tmp_path: Path) -> None:
    Image.fromarray(np.full((60, 60), 90, np.uint8)).save(tmp_path / "chest.png")
    answer = "<obj>The heart is normal.</obj><obj>Small left effusion.<box><x60><y50><x89><y89></box></obj>"
    with chat_server(lambda body: answer) as server:
        made = ["--reporter", "openai", "--reporter-option", f"url={server.url}", "--reporter-option", "model=m"]
        assert rg("compose", *made, "--reporter-option", "boxes=maira-2", "--out", tmp_path / "r").code == 0
        done = rg("report", tmp_path / "chest.png", "--model", tmp_path / "r", "--json", "--explain", tmp_path / "out")
    values = json.loads(done.out)
    assert values["text"] == "The heart is normal. Small left effusion."
    assert values["boxes"][0] == [] and values["boxes"][1][0]["left"] == pytest.approx(0.605)
    assert cyan(tmp_path / "out" / "chest.png") > 100


@pytest.mark.parametrize(
    ("box", "hit"),
    [
        (Box("", 0.6, 0.6, 0.3, 0.3), 1.0),
        (Box("", 0.0, 0.0, 0.2, 0.2), 0.0),
        (Box("", 0.6, 0.6, 0.3, 0.3, view=1), 0.0),
    ],
)
def test_pointing_asks_whether_the_middle_of_a_box_is_in_a_box_of_the_finding(box: Box, hit: float) -> None:
    study = Study("a", boxes=(Box("Effusion", 0.5, 0.5, 0.4, 0.4),))
    lines = score([boxed(box)], [study])
    assert (lines["pointing hit"], lines["pointing mentioned"]) == (hit, 1.0)
    assert lines["pointing by chance"] == pytest.approx(0.16)


def test_a_report_without_a_box_for_what_it_states_misses() -> None:
    studies = [Study(id, boxes=(Box("Effusion", 0.5, 0.5, 0.4, 0.4),)) for id in "ab"]
    lines = score([boxed(Box("", 0.6, 0.6, 0.2, 0.2)), boxed(study="b")], studies)
    assert (lines["pointing hit"], lines["pointing mentioned"]) == (0.5, 1.0)
    assert score([boxed()], studies[:1]) == {}  # a model without boxes does not play


def score(reports: list[Report], studies: list[Study]) -> dict[str, float]:
    metric = reportgen_core.metrics.create("pointing")
    return {line.name: line.value for line in metric.score_outputs(ModelOutputs(reports, studies, resamples=0))}
