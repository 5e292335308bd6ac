"""Pictures of the documents are drawn from what they claim; `make docs-pictures` draws them anew."""

from __future__ import annotations

import hashlib
import importlib.util
import re
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location("docs_pictures", ROOT / "docs" / "assets" / "pictures.py")
assert SPEC and SPEC.loader
pictures = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(pictures)


@pytest.mark.parametrize("name", sorted(pictures.FIGURES))
def test_a_figure_is_drawn_from_the_table_of_today(name: str) -> None:
    table = pictures.table_below(pictures.FIGURES[name])
    with Image.open(pictures.PICTURES / name) as image:
        assert image.info["Source"] == hashlib.sha256(table.encode()).hexdigest(), "make docs-pictures"


def test_pictures_are_small() -> None:
    assert all(path.stat().st_size < 120_000 for path in pictures.PICTURES.iterdir())


@pytest.mark.docs
def test_the_picture_of_a_report_has_the_report_of_the_model_that_ships_inside() -> None:
    report, _, _ = pictures.report_of_the_demo()
    with Image.open(pictures.PICTURES / "report.jpg") as image:
        assert image.getexif()[0x010E] == report.text, "make docs-pictures"


def test_the_figures_of_the_readme_are_those_of_the_results_with_the_versions_of_today() -> None:
    from reportgen_core import metrics, protocols

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    results = (ROOT / "docs" / "explanation" / "results.md").read_text(encoding="utf-8")
    for row in ("constant, chosen on validation", r"\*R2Gen, as published\*"):
        ours = re.search(rf"^\| {row} \| (\S+) \| (\S+) \|", readme, re.MULTILINE)
        theirs = re.search(rf"^\| {row} \| (?:\S+ \| ){{3}}(\S+) \| (\S+) \|", results, re.MULTILINE)
        assert ours and theirs and ours.groups() == theirs.groups()
    versions = {name: metrics.get_class(name).version for name in ("bleu", "meteor")}
    versions["chexpert-rules"] = metrics.create("chexpert-rules").labeler.version
    for name, version in versions.items():
        assert version and f"`{name}` version {version}" in readme, f"{name} has version {version}"
    assert f"`r2gen` version {protocols.get_class('r2gen').version}" in readme
