"""CITATION.cff can be read, and names this version and the papers of the presets."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_the_citation_has_the_version_and_the_licence_of_the_package() -> None:
    from reportgen_core import __version__

    assert re.search(r"^version: (.*)$", TEXT, re.MULTILINE)[1] == __version__  # type: ignore[index]
    assert "license: Apache-2.0" in TEXT and TEXT.startswith("cff-version: 1.2.0\n")


def test_the_papers_with_a_preset_are_cited() -> None:
    import json

    presets = (ROOT / "zoo" / "reportgen_zoo" / "presets").glob("*.json")
    numbers = {n for p in presets for n in re.findall(r"arXiv:(\d+\.\d+)", json.loads(p.read_text())["paper"])}
    assert numbers - set(re.findall(r"arXiv:(\d+\.\d+)", TEXT)) == set()
