"""Tables on stdout."""

from collections.abc import Callable

import pytest
from reportgen_cli.render import print_tables

from reportgen_core.scoring.score_tables import PrintedTable, as_latex, as_markdown

TABLES = [
    PrintedTable("First", ("", "a"), (("row", "1"),), ("a foot", "another")),
    PrintedTable("Second", ("", "b"), (("line", "22"),)),
]


def test_a_table_has_its_title_its_foot_and_a_blank_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_tables(TABLES)
    assert capsys.readouterr().out == (
        "First\n     a\nrow  1\na foot\nanother\n\n"  # by hand
        "Second\n      b\nline  22\n\n"
    )


@pytest.mark.parametrize(("format", "writer"), [("markdown", as_markdown), ("latex", as_latex)])
def test_tables_are_written_as_source(
    format: str, writer: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    print_tables(iter(TABLES), format)
    assert capsys.readouterr().out == writer(TABLES)


def test_a_command_gives_the_text_of_its_own_formats(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> str:
        raise AssertionError("no one asked for it")

    print_tables(TABLES, "json", {"json": lambda: "[]\n", "csv": fail})
    assert capsys.readouterr().out == "[]\n"
