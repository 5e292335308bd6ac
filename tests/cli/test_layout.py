"""Tables and pairs for the width of a terminal: no name and no number is cut, and no line is wider than it must be."""

import pytest
from reportgen_cli.terminal.layout import pair_lines, table_lines, width_of, wrapped

NAME = "resnet18-hier-lstm.phantom_v2"
PROSE = "jing-coattention at scale small, trained on the phantom: synthetic drawings, no patients"


def test_a_table_that_fits_has_a_rule_under_its_header() -> None:
    assert table_lines(("name", "n"), [("a", "12"), ("bcdef", "3")], 80) == [
        "name   n",
        "─────  ──",
        "a      12",
        "bcdef  3",
    ]


def test_prose_wraps_between_words_and_names_do_not() -> None:
    lines = table_lines(("kind", "name", "summary"), [("model", NAME, PROSE)], 80)
    assert lines[2:] == [  # by hand: 80 - 5 - 29 - 4 leaves 42 for the summary
        f"model  {NAME}  jing-coattention at scale small, trained",
        " " * 38 + "on the phantom: synthetic drawings, no",
        " " * 38 + "patients",
    ]


def test_what_leaves_no_room_for_prose_becomes_a_block_for_each_row() -> None:
    lines = table_lines(("name", "summary"), [(NAME, PROSE), ("b", "short")], 40)
    assert lines == [
        f"name     {NAME}",
        "summary  jing-coattention at scale",
        "         small, trained on the phantom:",
        "         synthetic drawings, no patients",
        "",
        "name     b",
        "summary  short",
    ]


def test_a_row_of_many_numbers_is_transposed() -> None:
    header = ("", *(f"bleu-{i}" for i in range(1, 20)))
    lines = table_lines(header, [(NAME, *("0.123" for _ in range(19)))], 80)
    assert lines[:3] == [f"{'':7}  {NAME}", f"{'─' * 7}  {'─' * 29}", "bleu-1   0.123"]
    assert len(lines) == 21


def test_many_columns_of_many_rows_become_blocks_with_the_names_of_the_rows() -> None:
    header = ("", *(f"score-{i}" for i in range(6)))
    rows = [(NAME + str(r), *(f"0.{r}{i}" for i in range(6))) for r in range(4)]
    lines = table_lines(header, rows, 52)
    assert max(map(width_of, lines)) <= 52
    assert lines[0] == f"{'':30}  score-0  score-1"
    assert lines.count("") == 2  # three blocks of two columns
    assert " ".join(lines).split().count(NAME + "3") == 3


def test_a_row_without_any_value_is_left_out_of_a_block() -> None:
    header = ("", "a" * 20, "b" * 20, "c" * 20)
    lines = table_lines(header, [("1" * 24, "1", "1", "1"), ("2" * 24, "2", "", "")], 46)
    assert [line.split() for line in lines if line.startswith("22")] == [["2" * 24, "2"]]
    assert sum(line.startswith("11") for line in lines) == 3


def test_a_name_wider_than_the_terminal_stays_whole() -> None:
    long = "x" * 100
    assert any(long in line for line in table_lines(("name", "n"), [(long, "1")], 80))
    assert pair_lines([("file", long)], 80) == [f"file  {long}"]


def test_pairs_hang_under_the_beginning_of_their_value() -> None:
    assert pair_lines([("a", "one two three four five six seven"), ("paper", "x")], 31) == [
        "a      one two three four five",
        "       six seven",
        "paper  x",
    ]


@pytest.mark.parametrize(("text", "width"), [("abc", 3), ("胸部", 4), ("e\u0301", 1), ("–", 1)])
def test_the_width_of_a_text_is_that_on_a_terminal(text: str, width: int) -> None:
    assert width_of(text) == width


def test_spaces_at_the_start_of_a_line_are_kept_where_nothing_wraps() -> None:
    assert table_lines(("", "n"), [("  95 %", "1")], 80)[2] == "  95 %  1"


def test_wrapping_keeps_every_word() -> None:
    assert " ".join(wrapped(PROSE, 20)) == PROSE
