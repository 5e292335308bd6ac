"""Read the imports, the lines and the functions of a package off its source: lazy, relative and type-only imports too."""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterator, Mapping
from pathlib import Path


def read_modules(package: Path) -> dict[str, Path]:
    """Return the file of every module of a package, by its dotted name; the package itself is its `__init__.py`."""
    modules = {}
    for file in sorted(package.rglob("*.py")):
        parts = [package.name, *file.relative_to(package).with_suffix("").parts]
        modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return modules


def imports(module: str, file: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the absolute dotted name of every import of a module, wherever in the file it is.

    `from a import b` gives `a.b`, since `b` may be a module; a relative import is made absolute first.
    """
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            base = parts[: len(parts) - node.level + 1] if node.level else []
            base += [node.module] if node.module else []
            yield from ((node.lineno, ".".join([*base, alias.name])) for alias in node.names)


def import_graph(modules: Mapping[str, Path]) -> dict[str, set[str]]:
    """Return for every module the modules of the same package that it imports."""
    graph = {}
    for module, file in modules.items():
        targets = set()
        for _, name in imports(module, file):
            while name and name not in modules:
                name = name.rpartition(".")[0]
            targets.add(name)
        graph[module] = targets - {module, ""}
    return graph


def room(modules: Mapping[str, Path], module: str) -> str:
    """Return the folder of a module relative to its package, "" for the package's own folder."""
    top = modules[module.partition(".")[0]].parent
    return modules[module].parent.relative_to(top).as_posix().removeprefix(".")


def wrong_floors(package: Path, order: tuple[tuple[str, ...], ...]) -> set[str]:
    """Return the arrows that run up, run across to another wing of the same floor, or touch a wing without a floor."""
    floors = {wing: number for number, wings in enumerate(order) for wing in wings}
    modules = read_modules(package)
    wrong = set()
    for source, targets in import_graph(modules).items():
        if source == package.name:  # it re-exports from every wing
            continue
        here = room(modules, source).partition("/")[0]
        for target in targets:
            there = room(modules, target).partition("/")[0]
            known = here in floors and there in floors
            if here != there and not (known and floors[there] < floors[here]):
                wrong.add(f"{source} -> {target}")
    return wrong


def wrong_rooms(package: Path, may: Mapping[str, set[str]]) -> set[str]:
    """Return the arrows from one room to a room that it may not import."""
    modules = read_modules(package)
    return {
        f"{source} -> {target}"
        for source, targets in import_graph(modules).items()
        for target in targets
        if (here := room(modules, source)) != (there := room(modules, target)) and there not in may.get(here, set())
    }


def root_imports(package: Path) -> set[str]:
    """Return the modules of a package that import the package's own `__init__.py`."""
    return {source for source, targets in import_graph(read_modules(package)).items() if package.name in targets}


def circles(package: Path) -> set[str]:
    """Return circles of imports between modules: one for each group of modules that import each other."""
    graph = import_graph(read_modules(package))
    found = set()
    while True:
        try:
            graphlib.TopologicalSorter(graph).prepare()
        except graphlib.CycleError as error:
            circle = set(error.args[1])
            found.add(", ".join(sorted(circle)))
            graph = {module: targets - circle for module, targets in graph.items() if module not in circle}
        else:
            return found


def count_lines(file: Path) -> int:
    """Return the number of lines of a file."""
    return len(file.read_text(encoding="utf-8").splitlines())


def full_rooms(package: Path, limit: int, root_limit: int) -> set[str]:
    """Return the folders with too many Python files; the package's own folder has a limit of its own."""
    folders = [package, *(p for p in package.rglob("*") if p.is_dir())]
    return {
        folder.relative_to(package.parent).as_posix()
        for folder in folders
        if len(list(folder.glob("*.py"))) > (root_limit if folder == package else limit)
    }


def long_files(package: Path, limit: int) -> set[str]:
    """Return the files of more lines than the limit."""
    return {file.relative_to(package.parent).as_posix() for file in package.rglob("*.py") if count_lines(file) > limit}


def functions(package: Path) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Yield every function and method, inner ones too, with its file and its name."""
    for file in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{file.relative_to(package.parent).as_posix()}: {node.name}", node


def long_functions(package: Path, limit: int) -> set[str]:
    """Return the functions of more lines than the limit, counted from `def` to the last line."""
    return {name for name, node in functions(package) if (node.end_lineno or 0) - node.lineno + 1 > limit}


def is_command(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether click calls the function: it has one argument for each option."""
    calls = [d.func if isinstance(d, ast.Call) else d for d in node.decorator_list]
    return any(ast.unparse(call).rpartition(".")[2] == "command" for call in calls)


def wide_functions(package: Path, limit: int, constructors: bool = False) -> set[str]:
    """Return the functions with more arguments than the limit; `compose` and click commands may have more.

    `constructors`: whether an `__init__` may have more, too: it has one argument for each option of a part.
    """
    free = {"compose", "__init__"} if constructors else {"compose"}
    wide = set()
    for name, node in functions(package):
        args = node.args
        count = len(args.posonlyargs + args.args + args.kwonlyargs) + bool(args.vararg) + bool(args.kwarg)
        if count > limit and node.name not in free and not is_command(node):
            wide.add(name)
    return wide
