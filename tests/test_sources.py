"""The reader of sources on little packages: a rule that sees nothing would hold for ever."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from sources import (
    circles,
    full_rooms,
    import_graph,
    imports,
    long_files,
    long_functions,
    read_modules,
    root_imports,
    wide_functions,
    wrong_floors,
    wrong_rooms,
)


def make(folder: Path, files: Mapping[str, str]) -> Path:
    """Write a package `house` of the given files, with an `__init__.py` in every folder, and return its folder."""
    package = folder / "house"
    for name, text in {"__init__.py": "", **files}.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        for above in [p for p in path.parents if p == package or package in p.parents]:
            (above / "__init__.py").touch()
        path.write_text(text, encoding="utf-8")
    return package


FLOORS = (("",), ("low", "side"), ("high",))


@pytest.mark.parametrize(
    "line",
    [
        "import house.high.roof",
        "import house.high.roof as top",
        "from house.high import roof",
        "from house.high.roof import tile",
        "from ..high import roof",
        "from ..high.roof import tile",
        "from .. import high",
        "def f():\n    from ..high.roof import tile",
        "class A:\n    def f(self):\n        import house.high.roof",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ..high.roof import tile",
        "try:\n    from ..high import roof\nexcept ImportError:\n    pass",
    ],
)
def test_the_reader_sees_an_arrow_up(tmp_path: Path, line: str) -> None:
    package = make(tmp_path, {"low/floor.py": line, "high/roof.py": "tile = 1"})
    (arrow,) = wrong_floors(package, FLOORS)
    assert arrow.startswith("house.low.floor -> house.high")


def test_the_reader_resolves_a_name_from_a_package_to_its_module_or_to_the_package(tmp_path: Path) -> None:
    text = "from . import wall\nfrom . import PAINT\nfrom ..side.door import KNOB\nimport os.path"
    package = make(tmp_path, {"low/floor.py": text, "low/wall.py": "", "side/door.py": "KNOB = 1"})
    graph = import_graph(read_modules(package))
    assert graph["house.low.floor"] == {"house.low.wall", "house.low", "house.side.door"}


def test_the_reader_counts_dots_from_a_package_and_from_a_module_alike(tmp_path: Path) -> None:
    package = make(tmp_path, {"low/__init__.py": "from .floor import A\nfrom ..side import B", "low/floor.py": ""})
    assert [name for _, name in imports("house.low", package / "low/__init__.py")] == [
        "house.low.floor.A",
        "house.side.B",
    ]


def test_the_reader_sees_an_arrow_across_a_floor_and_from_the_root(tmp_path: Path) -> None:
    files = {"low/floor.py": "from ..side import door", "side/door.py": "", "ground.py": "from .low import floor"}
    arrows = {"house.low.floor -> house.side.door", "house.ground -> house.low.floor"}
    assert wrong_floors(make(tmp_path, files), FLOORS) == arrows


def test_the_reader_sees_a_wing_that_has_no_floor(tmp_path: Path) -> None:
    package = make(tmp_path, {"shed/tool.py": "from ..low import floor", "low/floor.py": ""})
    assert wrong_floors(package, FLOORS) == {"house.shed.tool -> house.low.floor"}


def test_an_arrow_down_and_an_arrow_within_a_wing_are_no_violation(tmp_path: Path) -> None:
    files = {
        "__init__.py": "from .high import roof",
        "ground.py": "",
        "low/floor.py": "from .. import ground\nfrom . import wall",
        "low/wall.py": "",
        "high/roof.py": "from ..low.floor import A\nfrom house.ground import B",
    }
    package = make(tmp_path, files)
    assert not wrong_floors(package, FLOORS)
    assert not root_imports(package)
    assert not circles(package)


@pytest.mark.parametrize("line", ["from .. import version", "import house", "from house import version"])
def test_the_reader_sees_an_import_of_the_root(tmp_path: Path, line: str) -> None:
    package = make(tmp_path, {"__init__.py": "version = 1", "low/floor.py": f"def f():\n    {line}"})
    assert root_imports(package) == {"house.low.floor"}


def test_the_reader_sees_an_arrow_to_a_room_that_is_not_allowed(tmp_path: Path) -> None:
    files = {
        "low/floor.py": "from ..high import roof",
        "high/roof.py": "",
        "side/in/door.py": "from ...high import roof",
    }
    may = {"low": {"high"}, "high": set(), "side/in": {"low"}}
    assert wrong_rooms(make(tmp_path, files), may) == {"house.side.in.door -> house.high.roof"}


@pytest.mark.parametrize(
    "files",
    [
        {"low/a.py": "from .b import x", "low/b.py": "def f():\n    from . import a"},
        {"low/a.py": "from .b import x", "low/b.py": "from .c import x", "low/c.py": "import house.low.a"},
        {"low/__init__.py": "from .a import x", "low/a.py": "from . import x"},
    ],
    ids=["two", "three", "a wing's own face"],
)
def test_the_reader_sees_a_circle(tmp_path: Path, files: dict[str, str]) -> None:
    (circle,) = circles(make(tmp_path, files))
    assert "house.low.a" in circle


def test_the_reader_sees_two_circles(tmp_path: Path) -> None:
    files = {
        "a.py": "from . import b",
        "b.py": "from . import a",
        "c.py": "from . import a, d",
        "d.py": "from . import c",
    }
    assert circles(make(tmp_path, files)) == {"house.a, house.b", "house.c, house.d"}


def test_the_reader_counts_files_and_lines(tmp_path: Path) -> None:
    files = (
        {f"low/m{i}.py": "" for i in range(3)} | {f"m{i}.py": "" for i in range(4)} | {"high/long.py": "x = 1\n" * 6}
    )
    package = make(tmp_path, files)
    assert full_rooms(package, 3, 5) == {"house/low"}
    assert full_rooms(package, 4, 4) == {"house"}
    assert long_files(package, 5) == {"house/high/long.py"}
    assert not long_files(package, 6)


def test_the_reader_counts_the_lines_of_functions_and_of_what_is_inside_them(tmp_path: Path) -> None:
    text = "class A:\n    def f(self):\n        def g():\n            1\n            2\n        return g\n"
    package = make(tmp_path, {"m.py": text})
    assert long_functions(package, 4) == {"house/m.py: f"}
    assert long_functions(package, 2) == {"house/m.py: f", "house/m.py: g"}
    assert not long_functions(package, 5)


def test_the_reader_counts_arguments_of_every_kind_but_not_of_commands_and_constructors_of_parts(
    tmp_path: Path,
) -> None:
    many = "(a, /, b, *c, d, **e): ...\n"
    text = f"def f{many}async def g{many}class A:\n    def __init__{many}    def h{many}"
    commands = "".join(f"@{d}\ndef c{many}" for d in ("click.command()", "group.command", "command('x')"))
    package = make(tmp_path, {"m.py": f"{text}def compose{many}", "commands.py": commands})
    wide = {"house/m.py: f", "house/m.py: g", "house/m.py: h"}
    assert wide_functions(package, 4) == wide | {"house/m.py: __init__"}
    assert wide_functions(package, 4, constructors=True) == wide
    assert not wide_functions(package, 5)
