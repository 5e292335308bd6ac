"""The server and the clinical formats are extras: pyproject.toml names what they import, and one line says what is missing."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from reportgen_cli.commands.serve import PACKAGES
from reportgen_cli.formats.report import FORMATS

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
ROOMS = {"serve": ("serve", "clinical"), "web": (), "dicomweb": ("clinical",), "formats": ("clinical",)}


def plain(name: str) -> str:
    """Return the name of a distribution as all spellings of it are compared."""
    return re.sub(r"[-_.]+", "-", re.split(r"[<>=;\[ ]", name)[0]).lower()


def named(*extras: str) -> set[str]:
    """Return the distributions that are installed with these extras, but not those that come with others."""
    return {plain(line) for line in (*PROJECT["dependencies"], *(line for extra in extras for line in EXTRAS[extra]))}


def imported(room: str) -> set[str]:
    """Return the packages of others that a room imports, also inside functions."""
    names: set[str] = set()
    for file in (ROOT / "cli" / "reportgen_cli" / room).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                names.add(node.module.partition(".")[0])
    return {name for name in names - sys.stdlib_module_names if not name.startswith("reportgen")}


@pytest.mark.parametrize("room", ROOMS)
def test_the_extras_name_all_that_is_imported(room: str) -> None:
    by_import = packages_distributions()
    missing = {name for name in imported(room) if not {plain(d) for d in by_import[name]} & named(*ROOMS[room])}
    assert missing == set()


def test_the_extras_name_all_that_is_looked_for() -> None:
    by_import = packages_distributions()
    needed = {"serve": PACKAGES, "clinical": [p.partition(".")[0] for form in FORMATS.values() for p in form.packages]}
    for extra, packages in needed.items():
        for package in packages:
            assert {plain(d) for d in by_import[package]} & named(extra), f"{package} is not in {extra}"


@pytest.mark.parametrize(
    ("package", "extra", "arguments"),
    [
        *((package, "serve", ["serve"]) for package in PACKAGES),
        ("dicomweb_client", "clinical", ["serve", "--dicomweb", "http://127.0.0.1:1/rs"]),
        ("highdicom", "clinical", ["serve", "--dicomweb", "http://127.0.0.1:1/rs"]),
        ("dicomweb_client", "clinical", ["report", "dicomweb:http://127.0.0.1:1/rs", "--store"]),
        ("highdicom", "clinical", ["report", "a.dcm", "--format", "sr", "--out", "o"]),
        ("fhir.resources", "clinical", ["report", "a.dcm", "--format", "fhir"]),
    ],
)
def test_a_missing_package_is_one_line_with_its_extra(
    rg, monkeypatch: pytest.MonkeyPatch, package: str, extra: str, arguments: list[str]
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == package else find(name, *more))
    done = rg(*arguments)
    assert done.code == 1 and f"needs {package}: pip install 'reportgen[{extra}]'" in done.err
    assert len(done.err.splitlines()) == 1 and done.out == ""
