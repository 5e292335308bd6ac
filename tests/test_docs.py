"""The documents say what the program does: code blocks are the tested files, help pages are the help, examples run.

`python tests/test_docs.py` writes the generated parts anew: docs/reference/cli.md, the code and hooks in docs/plugins.md, the
hooks in docs/reference/hooks.md, and the picture in docs/explanation/architecture.md.
"""

from __future__ import annotations

import ast
import inspect
import os
import pkgutil
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from test_layers import CLI, CORE, ORDER, PLUGINS, PYTHON, ROOMS, ZOO

from reportgen_core import hookspecs

ROOT = Path(__file__).parents[1]
FIXTURE = ROOT / "tests" / "fixtures" / "reportgen-hello"
AUTHOR = ROOT / "tests" / "fixtures" / "reportgen-author"  # a decoder and a metric
SIDES = ROOT / "tests" / "fixtures" / "reportgen-sides"  # a reporter
HOOKS = ROOT / "docs" / "reference" / "hooks.md"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"^`([\w./-]+)`\n\n```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

ALL_HELP = """
import click
from reportgen_cli.main import rg

def walk(command, name, parent=None):
    wide = {"terminal_width": 100, "max_content_width": 100}
    ctx = click.Context(command, parent, name, **{**command.context_settings, **wide})
    yield ctx.command_path, ctx.get_help()
    if isinstance(command, click.Group):
        for sub in sorted(command.list_commands(ctx)):
            yield from walk(command.get_command(ctx, sub), sub, ctx)

for path, text in walk(rg, "rg"):
    print(f"## {path}\\n\\n```text\\n{text}\\n```\\n")
"""


def help_page() -> str:
    """docs/reference/cli.md as it must be."""
    env = os.environ | {"REPORTGEN_PLUGINS": "builtin,zoo"}
    done = subprocess.run([sys.executable, "-c", ALL_HELP], capture_output=True, text=True, check=True, env=env)
    head = "# The command line\n\nWritten by `python tests/test_docs.py` from `--help`. `reportgen` and `python -m reportgen_cli` are the same as `rg`.\n\n"
    return head + done.stdout.rstrip() + "\n"


def hooks_table() -> str:
    """The hooks with their arguments and meanings, as docs/plugins.md has them."""
    lines = ["| hook | what it returns |", "|---|---|"]
    for name, hook in inspect.getmembers(hookspecs, inspect.isfunction):
        if hasattr(hook, "reportgen_spec"):
            meaning = (inspect.getdoc(hook) or "").replace("\n", " ")
            lines.append(f"| `{name}({', '.join(inspect.signature(hook).parameters)})` | {meaning} |")
    return "\n".join(lines)


def plugins_page(text: str) -> str:
    """docs/plugins.md with the fixture's code and the hooks put in."""

    def code(match: re.Match[str]) -> str:
        file = next(folder / match[1] for folder in (FIXTURE, AUTHOR, SIDES) if (folder / match[1]).is_file())
        return f"`{match[1]}`\n\n```{match[2]}\n{file.read_text()}```"

    return hooks_page(FILE.sub(code, text))


def hooks_page(text: str) -> str:
    """Return a page with the table of hooks put in."""
    table = r"(<!-- hooks -->\n).*?(<!-- end -->)"
    return re.sub(table, lambda m: f"{m[1]}{hooks_table()}\n{m[2]}", text, flags=re.DOTALL)


WIDTH = 96  # of the picture of the house


def purpose(folder: str) -> str:
    """Return the first sentence of the docstring of a package's `__init__.py`."""
    doc = ast.get_docstring(ast.parse((ROOT / folder / "__init__.py").read_text(encoding="utf-8"))) or ""
    return re.split(r"(?<=\.)\s", " ".join(doc.split()), maxsplit=1)[0]


def box(title: str, rows: list[tuple[str, str]]) -> list[str]:
    """Return a frame with a title in its upper edge, and in it a name and what it is for in each row."""
    lines = [f"┌─ {title} " + "─" * (WIDTH - len(title) - 5) + "┐"]
    for name, text in rows:
        parts = textwrap.wrap(text, WIDTH - 24)
        lines += [
            f"│ {label:<19} {part:<{WIDTH - 23}}│"
            for label, part in zip([name, *[""] * len(parts)], parts, strict=False)
        ]
    return [*lines, "└" + "─" * (WIDTH - 2) + "┘"]


def house() -> str:
    """Return the picture of the packages and of the floors of the core, from `ORDER` and the docstrings."""
    boxes = [box("Python and the command line", [(p.rpartition("/")[2], purpose(p)) for p in (PYTHON, CLI)])]
    boxes.append(box("plugins and zoo", [(p.rpartition("/")[2], purpose(p)) for p in (PLUGINS, ZOO)]))
    for number, wings in reversed([*enumerate(ORDER)]):
        rows = [(wing or CORE, purpose(f"{CORE}/{wing}")) for wing in wings]
        boxes.append(box(f"{CORE}, floor {number}" if any(wings) else f"{CORE}, its root", rows))
    arrow = " " * (WIDTH // 2) + "↓"
    return "```text\n" + f"\n{arrow}\n".join("\n".join(lines) for lines in boxes) + "\n```"


def architecture_page(text: str) -> str:
    """Return docs/explanation/architecture.md with the picture put in."""
    return re.sub(r"(<!-- house -->\n).*?(<!-- end -->)", lambda m: f"{m[1]}{house()}\n{m[2]}", text, flags=re.DOTALL)


ARCHITECTURE = ROOT / "docs" / "explanation" / "architecture.md"
IN_ROOMS = {CORE: [wing for floor in ORDER for wing in floor], **ROOMS}
FOLDERS = [f"{package}/{room}".rstrip("/") for package, rooms in IN_ROOMS.items() for room in rooms]


def test_the_picture_of_the_house_is_drawn_from_the_table_of_floors() -> None:
    page = ARCHITECTURE.read_text(encoding="utf-8")
    assert architecture_page(page) == page, "run python tests/test_docs.py"
    for wing in (wing for floor in ORDER for wing in floor if wing):
        assert re.search(rf"^│ {wing} +[A-Z]", page, re.MULTILINE), f"no {wing} in the picture"


def test_every_room_answers_a_question() -> None:
    linked = re.findall(r"^\| .*\? \| \[([\w/]+)\]\((?:\.\./)+([\w/]+)\) \|$", ARCHITECTURE.read_text(), re.MULTILINE)
    assert sorted(path for _, path in linked) == sorted(FOLDERS)
    assert [name for name, path in linked if not path.endswith(name)] == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_room_says_in_one_paragraph_what_it_is_for(folder: str) -> None:
    doc = ast.get_docstring(ast.parse((ROOT / folder / "__init__.py").read_text(encoding="utf-8")))
    assert doc, folder
    assert ("\n\n" not in doc or folder == PYTHON) and purpose(folder).endswith(".") and len(purpose(folder)) <= 130


NAMED = sorted(set(re.findall(r"`(reportgen_(?:core|plugins|zoo|cli)(?:\.\w+)*)`", ARCHITECTURE.read_text())))


@pytest.mark.parametrize("name", NAMED)
def test_what_the_page_on_architecture_names_exists(name: str) -> None:
    pkgutil.resolve_name(name)  # raises ImportError or AttributeError


def test_the_page_on_architecture_links_to_what_exists() -> None:
    for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", ARCHITECTURE.read_text(encoding="utf-8")):
        assert (ARCHITECTURE.parent / link).exists(), link


def test_the_page_on_plugins_has_the_code_of_the_tested_package() -> None:
    page = (ROOT / "docs" / "plugins.md").read_text()
    shown = {path for path, _, _ in FILE.findall(page)}
    files = {p.relative_to(FIXTURE).as_posix() for p in FIXTURE.rglob("*") if p.suffix in (".py", ".toml")}
    files |= {p.relative_to(folder).as_posix() for folder in (AUTHOR, SIDES) for p in folder.rglob("*.py")}
    assert shown == files
    assert plugins_page(page) == page, "run python tests/test_docs.py"


def test_the_page_on_hooks_has_every_hook() -> None:
    assert hooks_page(HOOKS.read_text()) == HOOKS.read_text(), "run python tests/test_docs.py"


def test_the_tutorial_package_stays_small() -> None:
    code = [line for p in FIXTURE.rglob("*.py") for line in p.read_text().splitlines() if line.strip()]
    assert len(code) <= 40


def test_a_decoder_takes_80_lines_a_metric_20_and_a_reporter_30() -> None:
    files = [AUTHOR / "reportgen_author" / "decoder.py", AUTHOR / "reportgen_author" / "metric.py"]
    for file, most in zip([*files, SIDES / "reportgen_sides" / "reporter.py"], (80, 20, 30), strict=True):
        assert len(file.read_text().splitlines()) <= most


def test_the_page_on_plugins_names_every_ability() -> None:
    from reportgen_core.models import abilities

    names = {n for n, c in vars(abilities).items() if inspect.isclass(c) and c.__module__ == abilities.__name__}
    page = (ROOT / "docs" / "plugins.md").read_text()
    assert names == set(
        re.findall(r"^\| `(\w+)` \| (?:any|encoder|decoder|retriever)[^|]*\|[^|]+\|[^|]+\|$", page, re.MULTILINE)
    )


def test_the_page_on_the_command_line_is_the_help() -> None:
    assert (ROOT / "docs" / "reference" / "cli.md").read_text() == help_page(), "run python tests/test_docs.py"


def test_every_command_has_a_line_of_help_and_an_example() -> None:
    for title, text in re.findall(r"^## (.*?)\n\n```text\n(.*?)^```", help_page(), re.MULTILINE | re.DOTALL):
        assert re.search(r"^\n?Usage: ", text), title
        assert re.search(rf"Example: {re.escape(title)}\b", text) or "Commands:" in text, f"{title} has no example"


def shell_lines(page: Path) -> Iterator[str]:
    """Every line of a page's shell blocks that calls us, continuation lines joined."""
    yield from re.findall(r"^ *Example: (rg .*)$", page.read_text(), re.MULTILINE)
    for language, body in BLOCK.findall(page.read_text()):
        if language in ("bash", "sh", "console", "shell"):
            for line in body.replace("\\\n", " ").splitlines():
                line = line.strip().removeprefix("$ ").partition("  #")[0].strip()
                if re.match(r"(rg|reportgen|python -m reportgen_cli)\b", line):
                    yield re.sub(r"^(reportgen|python -m reportgen_cli)\b", "rg", line)


EXAMPLES = [
    pytest.param(line, id=f"{page.name}: {line}") for page in PAGES if page.exists() for line in shell_lines(page)
]


@pytest.mark.parametrize("line", EXAMPLES)
def test_an_example_names_commands_and_options_that_exist(line: str) -> None:
    from reportgen_cli.main import rg

    words = [w for w in shlex.split(line)[1:] if w not in ("...", "…")]
    command: click.Command = rg
    ctx = click.Context(rg, info_name="rg")
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(ctx, words[0])
        assert found is not None, f"{line}: no command {words[0]}"
        command, ctx = found, click.Context(found, info_name=words.pop(0), parent=ctx)
    until = next((i for i, w in enumerate(words) if w in ("|", ">", "&&")), len(words))
    command.make_parser(ctx).parse_args(words[:until])  # raises NoSuchOption


CHEAP = re.compile(r"rg (--help|--version|list|plugins|zoo list|info (hier|jing))\b")


@pytest.mark.parametrize("line", [e for e in EXAMPLES if CHEAP.match(str(e.values[0]))])
def test_a_cheap_example_runs(line: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "reportgen_cli", *shlex.split(line)[1:]], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr


if __name__ == "__main__":
    (ROOT / "docs" / "reference" / "cli.md").write_text(help_page())
    plugins = ROOT / "docs" / "plugins.md"
    plugins.write_text(plugins_page(plugins.read_text()))
    ARCHITECTURE.write_text(architecture_page(ARCHITECTURE.read_text(encoding="utf-8")), encoding="utf-8")
    HOOKS.write_text(hooks_page(HOOKS.read_text()))
