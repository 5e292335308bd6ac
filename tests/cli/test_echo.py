"""All output passes one module, in which texts of others are made printable and short."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import click
import pytest
import reportgen_cli
from reportgen_cli import main as frame
from reportgen_cli.main import BUILTIN
from reportgen_cli.render import pairs, table
from reportgen_cli.terminal.echo import data_stream, literal_text, say, say_json, say_text

from reportgen_core import DataError, Entry

HOSTILE = "evil\x1b]0;owned\x07\nrg: all is well\u202e\udcff"
SHOWN = "evil\\x1b]0;owned\\x07\\nrg: all is well\\u202e\\xff"


def test_no_command_prints_past_the_module_that_makes_texts_printable() -> None:
    root = Path(reportgen_cli.__file__).parent
    for file in root.rglob("*.py"):
        if file.name == "echo.py":
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            named = isinstance(node, ast.Attribute) and ast.unparse(node) in ("click.echo", "click.secho")
            assert not named, f"{file}:{getattr(node, 'lineno', 0)} calls click.echo; use reportgen_cli.terminal.echo"


@pytest.mark.parametrize(
    "error",
    [DataError(HOSTILE), OSError(2, "No such file", HOSTILE), click.UsageError(HOSTILE), click.ClickException(HOSTILE),
     click.BadParameter(HOSTILE), click.FileError("f", HOSTILE)],
    ids=lambda e: type(e).__name__,
)  # fmt: skip
def test_an_error_is_one_printable_line_whatever_is_in_it(rg, monkeypatch, error: Exception) -> None:
    @click.command()
    def boom() -> None:
        raise error

    monkeypatch.setattr(frame, "BUILTIN", (*BUILTIN, Entry("boom", f"{__name__}:boom", HOSTILE)))
    monkeypatch.setitem(globals(), "boom", boom)
    done = rg("boom")
    assert done.code in (1, 2)
    assert SHOWN in done.err
    assert "\x1b" not in done.err
    assert not any(line.startswith("rg: all is well") for line in done.err.splitlines())
    helped = rg("--help")
    assert "\x1b" not in helped.out and "\u202e" not in helped.out


def test_an_error_of_a_megabyte_is_cut_in_its_middle(rg, monkeypatch) -> None:
    done = rg("info", "x" * 1_000_000)
    assert done.code == 1
    assert len(done.err) < 5000 and done.err.count("\n") == 1


def test_a_command_that_does_not_exist_is_named_in_a_printable_way(rg) -> None:
    done = rg("lab\x1b[31mel")
    assert done.code == 2 and "\x1b" not in done.err and "did you mean 'label'?" in done.err


def test_tables_and_pairs_are_printable_and_short(capsys: pytest.CaptureFixture[str]) -> None:
    table(("name", "summary"), [(HOSTILE, "x" * 1_000_000), ("plain", "ü")])
    pairs([("summary", HOSTILE)])
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert len(lines) == 4 and SHOWN in lines[1] and lines[3].endswith(SHOWN)
    assert len(out) < 5000


def test_lines_texts_and_json_keep_what_belongs_to_them(capsys: pytest.CaptureFixture[str]) -> None:
    say(HOSTILE)
    say(Path("a"))
    say_text("a\n\tb\x1b")
    say_json({"id": HOSTILE, "größe": 1})
    out = capsys.readouterr().out.splitlines()
    assert out[:4] == [SHOWN, "a", "a", "\tb\\x1b"]
    assert json.loads(out[4]) == {"id": HOSTILE, "größe": 1}
    assert "größe" in out[4] and "\x1b" not in out[4]


def test_formulas_are_off_in_a_picture_and_on_again_after_it() -> None:
    from matplotlib import rcParams

    with literal_text():
        assert rcParams["text.parse_math"] is False
    assert rcParams["text.parse_math"] is True


def test_rows_of_data_are_exact_for_a_program_and_printable_for_a_reader(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    row = "id,\x1b[31mred\u202e\n"
    data_stream().write(row)
    assert capsys.readouterr().out == row
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    data_stream().write(row)
    assert capsys.readouterr().out == "id,\\x1b[31mred\\u202e\n"
