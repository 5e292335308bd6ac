"""`make docs` builds without a warning a site that loads nothing from elsewhere and can be searched from a folder."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOADED = re.compile(r"<(?:script|img|link|iframe|source)[^>]+(?:src|href)=\"?(https?://[^\"> ]+)")
CHROME = os.environ.get("CHROME") or shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    env = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=env)
    assert (done.returncode, done.stdout.strip(), done.stderr.strip()) == (0, "", "")
    return folder


@pytest.mark.docs
def test_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 30
    for page in pages:
        outside = [url for url in LOADED.findall(page.read_text(encoding="utf-8")) if "rel=canonical" not in url]
        assert outside == [], page


@pytest.mark.docs
def test_formulas_are_drawn_by_the_browser_itself(site: Path) -> None:
    page = (site / "explanation" / "systems" / "coattention.html").read_text(encoding="utf-8")
    assert page.count("<math") > 10 and "$" not in re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)


@pytest.mark.docs
def test_the_functions_are_described(site: Path) -> None:
    page = (site / "reference" / "api" / "functions.html").read_text(encoding="utf-8")
    assert all(f'id="{name}"' in page for name in ("reportgen.compose", "reportgen.train", "reportgen.evaluate"))


@pytest.mark.docs
@pytest.mark.skipif(CHROME is None, reason="no Chromium")
def test_a_search_from_a_folder_finds_a_page(site: Path) -> None:
    address = f"file://{site}/index.html?q=co-attention"
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--allow-file-access-from-files",
        "--virtual-time-budget=15000",
    ]
    done = subprocess.run([str(CHROME), *options, "--dump-dom", address], capture_output=True, text=True, timeout=120)
    assert "md-search-result__link" in done.stdout and "coattention.html" in done.stdout
