"""Links of the documents lead to files and headings that exist, and each page of docs/ has a place in the site."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")] + sorted(
    DOCS.rglob("*.md")
)
CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]+))?\)")
HEADING = re.compile(r"^#+ (.*?)\s*$", re.MULTILINE)
OUTSIDE = re.compile(r"https?://([^/\s)\"'>]+)")


def slug(heading: str) -> str:
    """Return the anchor of a heading, as Python-Markdown and GitHub make it for the headings that are here."""
    words = re.sub(r"\[([^\]]*)\]\([^)]*\)|[`*]", r"\1", heading)
    return re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", words.lower()).strip())


def anchors(path: Path) -> set[str]:
    return {
        slug(heading)
        for heading in HEADING.findall(CODE.sub(lambda m: m[0] if "\n" not in m[0] else "", path.read_text()))
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    for target, anchor in LINK.findall(CODE.sub("", page.read_text(encoding="utf-8"))):
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), target
        if anchor:
            assert anchor in anchors(path), f"{target}#{anchor}"


def test_every_page_has_a_place_in_the_site() -> None:
    placed = set(re.findall(r"([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE))
    assert placed == {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}


def test_the_documents_name_no_address_but_papers_and_examples() -> None:
    named = {host.rstrip(".") for page in PAGES for host in OUTSIDE.findall(page.read_text(encoding="utf-8"))}
    ours = {host for host in named if host.endswith(".example") or host.startswith("127.0.0.1:")}
    assert {host for host in named - ours if "." in host} <= {"arxiv.org", "doi.org"}
