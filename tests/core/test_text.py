"""Recipes against sentences cut by hand, and R2Gen's cleaning against its rules applied by hand."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reportgen_core import DataError, UnknownName
from reportgen_core.text.recipes import RECIPES, with_stop
from reportgen_core.text.spec import (
    SPECIAL,
    UNK,
    TextSpec,
    Vocabulary,
    build_vocabulary,
    count_cut_words,
    cut_note,
    join,
    report_words,
    sentence_words,
    unflatten,
)

PLAIN = TextSpec()


def cut(text: str, recipe: str = "plain") -> list[str]:
    return [" ".join(s) for s in sentence_words(text, TextSpec(recipe=recipe, max_sentences=99, max_words=99))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The heart is normal. Lungs are clear.", ["the heart is normal", "lungs are clear"]),
        ("A 3.5 cm nodule. No change.", ["a 3.5 cm nodule", "no change"]),
        ("Told to Dr. Smith at 5 p.m. by phone.", ["told to dr. smith at 5 p.m. by phone"]),
        ("Atelectasis vs. pneumonia. Clear.", ["atelectasis vs. pneumonia", "clear"]),
        ("1. No acute disease. 2. Stable nodule.", ["no acute disease", "stable nodule"]),
        ("1) No acute disease 2) Stable nodule", ["no acute disease", "stable nodule"]),
        ("1. Grade 2. 2. Next of 5.", ["grade 2", "next of 5"]),
        ("Grade 2. No effusion.", ["grade 2", "no effusion"]),
        ("Right opacity.No effusion", ["right opacity", "no effusion"]),
        ("No change... Is it? Yes!", ["no change", "is it", "yes"]),
        ("Effusion/edema, 50% of it (left)", ["effusion / edema , 50 % of it ( left )"]),
        ("Wires.\n\nThe patient's x-ray at T12", ["wires", "the patient's x-ray at t12"]),
    ],
)
def test_plain_cuts_where_a_reader_would(text: str, expected: list[str]) -> None:
    assert cut(text) == expected


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("text", ["", "   ", "...", " . , ;", "\n"])
def test_a_report_without_words_has_no_sentences(recipe: str, text: str) -> None:
    spec = TextSpec(recipe=recipe)
    assert (sentence_words(text, spec), report_words(text, spec), join([], spec)) == ([], [], "")


def test_jing_keeps_only_alphabetic_words() -> None:
    assert cut("1. The 3 x-rays vs. XXXX, T12. Clear lungs!", "jing") == ["the vs xxxx", "clear lungs"]


def test_ditag_writes_numbers_as_num_those_of_a_list_too() -> None:
    text = "1. No acute abnormality. 2. Nodule of 3.5 cm, T12 level."
    assert cut(text, "ditag") == ["<num> no acute abnormality", "<num> nodule of <num> cm t12 level"]


def test_chinese_is_cut_at_its_own_stops_and_written_without_spaces() -> None:
    spec = TextSpec(recipe="chinese")
    text = "1、两肺纹理清晰；心影不大。未见3.5mm以上结节！"
    words = sentence_words(text, spec)
    assert len(words) == 3
    assert "".join(words[0]) == "两肺纹理清晰"
    assert "3.5" in words[2]
    assert join(words, spec) == "两肺纹理清晰。心影不大。未见3.5mm以上结节。"


def test_an_unknown_word_is_written_as_the_recipe_writes_it() -> None:
    assert join([["心", "<unk>"]], TextSpec(recipe="chinese")) == "心<nou>。"
    assert join([["no", "<unk>"]], PLAIN) == "no <unk>."


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("The heart is normal. Lungs clear.", "the heart is normal . lungs clear ."),
        # the list's first number goes, the others become stops, and an emptied sentence leaves its stop
        ("1. No disease. 2. Stable.", "no disease . stable ."),
        ("Normal. . Clear.", "normal . . clear ."),
        # ":-[" in the character class is a range: < = > ? @ go, the hyphen and # $ ~ | stay
        ("x-ray <a> = b@c? #1 ~2 |3 $4", "x-ray a bc #1 ~2 |3 $4 ."),
        ("3.5 cm (right/left) 50%", "35 cm rightleft 50 ."),
        ("opacity.No effusion..", "opacityno effusion ."),
    ],
)
def test_r2gen_cleaning_has_its_quirks(text: str, cleaned: str) -> None:
    assert " ".join(report_words(text, TextSpec(recipe="r2gen-iu"))) == cleaned


def test_r2gen_mimic_squeezes_lines_and_blanks() -> None:
    text = "The ___ heart\nis   normal....... 2. Clear"
    assert " ".join(report_words(text, TextSpec(recipe="r2gen-mimic"))) == "the heart is normal . clear ."


def test_r2gen_text_is_cut_only_by_length_and_dots_count() -> None:
    spec = TextSpec(recipe="r2gen-iu", max_sentences=1, max_words=1, max_length=4)
    assert report_words("a b. c d.", spec) == ["a", "b", ".", "c"]


def test_r2gen_vocabulary_is_alphabetical_with_the_dot_among_the_words() -> None:
    spec = TextSpec(recipe="r2gen-iu", min_count=2)
    assert build_vocabulary(["b a. b.", "a c."], spec).words[4:] == (".", "a", "b")


def test_r2gen_join_ends_each_sentence_once() -> None:
    spec = TextSpec(recipe="r2gen-iu")
    assert join([["a"], ["b"]], spec) == "a . b ."
    assert join([["a", ".", "b", "."]], spec) == "a . b ."


@pytest.mark.parametrize(
    ("limits", "left"),
    [
        ({}, 0),
        ({"max_sentences": 3}, 0),
        ({"max_sentences": 2}, 2),  # "three" and its mark
        ({"max_words": 1}, 1),  # "b"
        ({"max_length": 7}, 0),
        ({"max_length": 4}, 3),
    ],
)
def test_what_the_limits_cut_off_is_counted_with_its_marks(limits: dict[str, int], left: int) -> None:
    spec = TextSpec(**limits)
    text = "A b. Two. Three."  # a b . two . three .
    assert count_cut_words(text, report_words(text, spec), spec) == left


def test_how_many_reports_the_limits_cut_is_a_sentence_or_nothing() -> None:
    texts, spec = ["A b. Two. Three.", "One.", ""], TextSpec(max_sentences=2)
    said = "1 of 3 reports to learn from is longer than 2 sentences of 30 words, and is cut"
    assert cut_note(texts, spec) == said
    assert cut_note(texts, replace(spec, max_length=4)) == said.replace(", and", " or 4 words in all, and")
    assert cut_note(texts[1:], spec) == ""


def test_limits_cut_sentences_and_words() -> None:
    spec = TextSpec(max_sentences=2, max_words=2)
    assert sentence_words("a b c. d. e.", spec) == [["a", "b"], ["d"]]
    assert report_words("a b c. d. e.", spec) == ["a", "b", ".", "d", "."]
    assert report_words("a b c. d. e.", TextSpec(max_length=3)) == ["a", "b", "c"]


def test_the_vocabulary_is_the_commonest_first_then_by_the_alphabet() -> None:
    words = build_vocabulary(["b a. b", "c a. d <unk>"], PLAIN).words
    assert words == (*SPECIAL, ".", "a", "b", "c", "d")
    assert build_vocabulary(["b a. b", "c a. d"], TextSpec(min_count=2)).words[4:] == (".", "a", "b")
    assert build_vocabulary(["b a. b", "c a. d"], TextSpec(max_vocabulary=1)).words[4:] == (".", "a")


def test_a_vocabulary_encodes_what_it_knows_and_decodes_without_pads() -> None:
    v = Vocabulary(["a", "b"])
    assert v.encode(["b", "z", "a"]) == [5, UNK, 4]
    assert v.decode([1, 5, 3, 4, 2, 0]) == ["b", "<unk>", "a"]


def test_a_spec_survives_json() -> None:
    import json

    spec = TextSpec(recipe="jing", sections=("impression", "findings"), max_vocabulary=1000, max_length=60)
    assert TextSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


def test_an_unknown_key_of_a_spec_is_named() -> None:
    with pytest.raises(DataError, match="no setting 'min_cuont'; did you mean 'min_count'"):
        TextSpec.from_json({"min_cuont": 3})


def test_sections_of_a_spec_are_a_list() -> None:
    with pytest.raises(DataError, match=r"must be a list, as \['findings'\]"):
        TextSpec.from_json({"sections": "findings"})


@pytest.mark.parametrize("sentence", ["a b.", "a b!", "a b?", "心肺未见异常。"])
def test_a_sentence_with_a_stop_gets_no_other(sentence: str) -> None:
    assert with_stop(sentence) == sentence
    assert RECIPES["plain"].write([[sentence]]) == sentence


def test_a_sentence_without_a_stop_gets_one() -> None:
    assert with_stop("a b") == "a b."
    assert RECIPES["plain"].write([["a", "b"]]) == "a b."


def test_an_unknown_recipe_is_named() -> None:
    with pytest.raises(UnknownName, match="no text recipe named 'plian'; did you mean 'plain'"):
        sentence_words("x", TextSpec(recipe="plian"))


@given(st.lists(st.lists(st.sampled_from(["heart", "no", "x-ray", "3.5", "t12"]), min_size=1), min_size=1, max_size=6))
def test_plain_text_written_and_read_again_is_the_same(report: list[list[str]]) -> None:
    spec = TextSpec(max_sentences=99, max_words=99)
    report = [["the", *s, "is", "clear"] for s in report]
    assert sentence_words(join(report, spec), spec) == report
    assert unflatten(report_words(join(report, spec), spec), spec) == report


@given(st.text())
def test_no_text_breaks_a_recipe(text: str) -> None:
    for name in set(RECIPES) - {"chinese"}:
        spec = TextSpec(recipe=name)
        assert all(sentence_words(text, spec))
        assert len(report_words(text, spec)) <= spec.length


def test_text_needs_neither_torch_nor_numpy() -> None:
    code = "import sys, reportgen_core.text.spec as t; t.sentence_words('a b.', t.TextSpec());"
    code += "assert not {'torch', 'numpy', 'jieba'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
