"""What a package promises in `__all__` is what it serves, what a type checker sees, and what tab completion shows."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from sources import read_modules
from test_layers import MAY, ORDER, ROOT

CORE = "reportgen_core"
WINGS = [f"{CORE}.{wing}" for floor in ORDER for wing in floor if wing]
FACES = {
    module: file
    for package in MAY
    for module, file in read_modules(ROOT / package).items()
    if file.name == "__init__.py" and "__all__" in file.read_text(encoding="utf-8")
}


def served(file: Path) -> dict[str, str]:
    """Return the names that an `__init__.py` imports at their first use, and the module of each."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "lazy_names":
            homes: dict[str, list[str]] = ast.literal_eval(node.args[1])
            return {name: module for module, names in homes.items() for name in names}
    return {}


def imported(nodes: list[ast.stmt]) -> dict[str, str]:
    """Return the names that the `from .module import name` among some statements bind, and the module of each."""
    froms = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.module != "lazy"]
    return {alias.asname or alias.name: home(node) for node in froms if node.level for alias in node.names}


def home(node: ast.ImportFrom) -> str:
    """Return the module of a relative import as `lazy_names` writes it: ".types" is in the package above."""
    return "." * (node.level - 1) + (node.module or "")


def for_type_checkers(file: Path) -> dict[str, str]:
    """Return the names that an `__init__.py` imports under `if TYPE_CHECKING`, and the module of each."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    blocks = [n for n in tree.body if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"]
    return {name: module for block in blocks for name, module in imported(block.body).items()}


def at_once(file: Path) -> dict[str, str]:
    """Return the names that an `__init__.py` imports from its own package when it is imported."""
    return imported(ast.parse(file.read_text(encoding="utf-8")).body)


def test_every_wing_of_the_core_promises_names() -> None:
    assert set(WINGS) | {CORE} <= set(FACES)


@pytest.mark.parametrize("name", FACES)
def test_names_served_late_are_what_type_checkers_see_from_the_same_modules(name: str) -> None:
    assert served(FACES[name]) == for_type_checkers(FACES[name])


@pytest.mark.parametrize("name", FACES)
def test_all_lists_every_name_once_and_no_other(name: str) -> None:
    promised: list[str] = importlib.import_module(name).__all__
    assert len(promised) == len(set(promised))
    names = set(served(FACES[name]))
    if name == CORE:
        names |= {n for n in at_once(FACES[name]) if n != "lazy_names" and (n[0] != "_" or n[1] == "_")}
    assert set(promised) == names


@pytest.mark.parametrize("name", FACES)
def test_every_public_name_can_be_read_and_none_is_a_module(name: str) -> None:
    package = importlib.import_module(name)
    for public in package.__all__:
        assert not isinstance(getattr(package, public), ModuleType), f"{name}.{public} is a module"


@pytest.mark.parametrize("name", FACES)
def test_no_public_name_is_hidden_by_a_module_of_the_same_name(name: str) -> None:
    inside = {p.stem for p in FACES[name].parent.iterdir() if p.suffix == ".py" or p.is_dir()}
    assert not inside & set(importlib.import_module(name).__all__)


@pytest.mark.parametrize("name", FACES)
def test_dir_shows_what_all_promises_and_nothing_private(name: str) -> None:
    package = importlib.import_module(name)
    shown = {n for n in dir(package) if not (n.startswith("__") and n.endswith("__"))}
    assert shown == set(package.__all__) - {"__version__"}
    assert {"__all__", "__doc__", "__name__"} <= set(dir(package))


# Each package is read first in a process of its own, which has torch already: importing it is most of a process's time.
FIRST = """
import importlib, os, sys
import torch

for name in sys.argv[1:]:
    assert not any(module.startswith("reportgen") for module in sys.modules)
    child = os.fork()
    if not child:
        package = importlib.import_module(name)
        before = dir(package)
        for public in package.__all__:
            getattr(package, public)
        changed = set(dir(package)) ^ set(before)
        answer = ""
        try:
            package.no_such_name
        except AttributeError as error:
            answer = str(error)
        print(name, sorted(changed), answer, sep="|", flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""


def test_dir_is_the_same_before_and_after_the_names_are_read() -> None:
    names = [CORE, *WINGS]
    done = subprocess.run([sys.executable, "-c", FIRST, *names], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [f"{n}|[]|module '{n}' has no attribute 'no_such_name'" for n in names]


def test_a_star_import_brings_every_public_name() -> None:
    names: dict[str, object] = {}
    exec(f"from {CORE} import *", names)
    assert set(importlib.import_module(CORE).__all__) <= set(names)
