"""Prompts, cleaning rules and boxes: from strings to strings."""

from __future__ import annotations

from pathlib import Path

import pytest

from reportgen_core import OptionError, Study, View
from reportgen_core.models.reporters.answers import AnswerRule
from reportgen_core.models.reporters.boxes import parse_boxes
from reportgen_core.models.reporters.cleaning import plain_text
from reportgen_core.models.reporters.prompts import FIELDS, Piece, Prompt
from reportgen_core.types import Box

STUDY = Study(
    "a", (View(Path("a.png"), "frontal"), View(Path("b.png"), "lateral")),
    {"indication": "cough", "comparison": ""}, extra={"age": 61, "sex": "F"},
    prior=Study("b", (View(Path("c.png")),), {"impression": "Normal.", "findings": "Clear."}),
)  # fmt: skip


def words(template: str, study: Study = STUDY) -> str:
    return "".join(
        p.text if p.kind == "text" else f"<{p.kind}{p.number}>" for p in Prompt.parse(template).fill(study, 2, 1)
    )


def test_a_prompt_has_what_the_study_has() -> None:
    assert words("{age} {sex}: {indication}, {comparison|none}") == "<image0><image1>61 F: cough, none"
    assert (
        words("{prior_images}before: {prior_report}\nnow: {images}!")
        == "<prior0>before: Clear. Normal.\nnow: <image0><image1>!"
    )
    assert words("{projections} {{x}}") == "<image0><image1>frontal, lateral {x}"


def test_texts_next_to_each_other_are_one_piece_and_the_system_is_apart() -> None:
    prompt = Prompt.parse("You are\na radiologist.\n---\nSay {indication} twice {indication}.")
    assert prompt.system == "You are\na radiologist."
    assert prompt.fill(STUDY, 0) == [Piece("text", "Say cough twice cough.")]


def test_a_field_without_another_text_is_required() -> None:
    takes = Prompt.parse("{indication} {technique|} {prior_images|} {age}").takes(3)
    assert (takes.indication, takes.technique, takes.prior_images, takes.age) == (
        "required",
        "optional",
        "optional",
        "required",
    )
    assert (takes.views, takes.most_views, takes.comparison) == ("required", 3, "no")
    assert Prompt.parse("{indication}").takes(0).views == "no"


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("a\n---\nb\n{indicaton}", "prompt.txt, line 4 names the field 'indicaton'; did you mean 'indication'"),
        ("{indication.__class__}", "names the field 'indication.__class__'; "),
        ("x { y", "line 1 has a { alone"),
        ("x\n} y", "line 2 has a } alone"),
        (" \n", "is empty"),
    ],
)
def test_a_prompt_that_names_no_field_is_one_line(template: str, says: str) -> None:
    with pytest.raises(OptionError, match=says.replace("{", r"\{")):
        Prompt.parse(template, "prompt.txt")


def test_every_field_can_be_filled() -> None:
    for name in FIELDS:
        assert Prompt.parse(f"x {{{name}|-}}").fill(STUDY, 1, 1)


MARKDOWN = """Here is the report you asked for:

### FINDINGS
* **Heart**: the heart is *mildly* enlarged
* No [effusion](http://x)
| a | b |
|---|---|

**IMPRESSION:**
1. Cardiomegaly
"""


@pytest.mark.parametrize(
    ("answer", "sections", "text"),
    [
        (MARKDOWN, ("findings",), "Heart: the heart is mildly enlarged. No effusion. a | b"),
        (MARKDOWN, ("impression",), "Cardiomegaly."),
        (MARKDOWN, ("impression", "findings"), "Cardiomegaly. Heart: the heart is mildly enlarged. No effusion. a | b"),
        ("FINDINGS: The lungs are clear.\nIMPRESSION: Normal.", ("findings",), "The lungs are clear."),
        ("Findings\nThe lungs are clear.", ("findings",), "The lungs are clear."),
        ("**Findings:** Clear.\n\nNo effusion.\n**Conclusion**: fine", ("findings",), "Clear. No effusion."),
        ("The findings are normal.", ("findings",), "The findings are normal."),
        ("<think>FINDINGS: a mass?</think>\nThe lungs are clear.", ("findings",), "The lungs are clear."),
        ("```\nFINDINGS: Clear.\n```", ("findings",), "Clear."),
        ("3.5 cm mass. 2 nodules_left a*b", ("findings",), "3.5 cm mass. 2 nodules_left a*b"),
    ],
)
def test_sections_are_found_and_markdown_is_dropped(answer: str, sections: tuple[str, ...], text: str) -> None:
    report = AnswerRule("sections", sections).report("a", answer)
    assert (report.text, report.answer, report.problem) == (text, answer, "")


def test_an_answer_with_other_sections_alone_is_used_whole_with_a_note() -> None:
    report = AnswerRule().report("a", "TECHNIQUE: AP.\nThe lungs are clear.")
    assert report.text == "AP. The lungs are clear."
    assert report.note == "the answer has no section findings, only technique; all of it is used"


@pytest.mark.parametrize("answer", ["", "  \n", "```\n```", "---", "<think>never ends"])
def test_an_answer_without_words_has_a_problem(answer: str) -> None:
    report = AnswerRule().report("a", answer)
    assert not report.text and report.problem.startswith("study a: the answer ")


def test_an_answer_in_json_is_read_and_anything_else_is_named() -> None:
    rule = AnswerRule("json", ("findings", "impression"))
    assert rule.report("a", '```json\n{"Findings": "Clear.", "impression": "Normal."}\n```').text == "Clear. Normal."
    for answer, says in {
        "Clear.": "no JSON", "[1]": "no JSON object", '{"findings": 3}': "a JSON object without a text findings or",
    }.items():  # fmt: skip
        assert says in rule.report("a", answer).problem


def test_none_leaves_an_answer_as_it_is() -> None:
    assert AnswerRule("none").report("a", " **Clear.** ").text == "**Clear.**"


def test_plain_text_ends() -> None:
    assert plain_text("**a **b** c") == "a b c" or plain_text("**a **b** c")


def test_boxes_of_maira_2_are_in_the_square_of_the_middle() -> None:
    answer = "<obj>Small left effusion.<box><x60><y70><x85><y92></box><box><x0><y0><x9><y9></box></obj><obj>Heart is normal.</obj>"
    grounded = parse_boxes(answer, "maira-2", (200, 100))
    assert [text for text, _ in grounded.texts] == ["Small left effusion.", "Heart is normal."]
    first = grounded.texts[0][1][0]
    # a bin of 60 is 0.605 of the square, which begins at a quarter of the width and has half of it
    assert (first.left, first.top) == (pytest.approx(0.25 + 0.605 / 2), pytest.approx(0.705))
    assert (first.left + first.width, first.top + first.height) == (
        pytest.approx(0.25 + 0.855 / 2),
        pytest.approx(0.925),
    )
    report = AnswerRule(boxes="maira-2").report("a", answer, (200, 100))
    assert report.text == "Small left effusion. Heart is normal."
    assert [len(own) for own in report.boxes] == [2, 0]


def test_boxes_of_medgemma_go_to_the_sentence_with_their_label() -> None:
    answer = 'Heart normal. There is a left effusion.\nFinal Answer: ```json\n[{"box_2d": [700, 600, 920, 850], "label": "left effusion"}, {"box_2d": [0, 0, 10, 10], "label": "clavicle"}]\n```'
    report = AnswerRule(boxes="medgemma").report("a", answer)
    assert report.text == "Heart normal. There is a left effusion."
    (box,) = report.boxes[1]
    assert report.boxes[0] == ()
    assert (box.left, box.top, box.width, box.height) == pytest.approx((0.6, 0.7, 0.25, 0.22))
    assert report.note == "no sentence has the words of 1 boxes (clavicle)"


def test_an_answer_of_boxes_alone_says_its_labels() -> None:
    report = AnswerRule(boxes="medgemma").report("a", '[{"box_2d": [700, 600, 920, 850], "label": "left effusion"}]')
    assert (report.text, len(report.boxes[0])) == ("left effusion.", 1)


@pytest.mark.parametrize(
    ("notation", "answer", "says"),
    [
        ("maira-2", "<obj>a<box><x60><y70><x10><y92></box></obj>", "lies outside or has no area"),
        ("maira-2", "<obj>a<box><x60><y170><x80><y192></box></obj>", "lies outside the image"),
        ("maira-2", "<obj>a<box>here</box></obj>", "cannot be read"),
        ("maira-2", "<obj>a.</obj><obj>b<box><x1><y", "the answer ends inside a box or a phrase"),
        ("medgemma", 'a [{"box_2d": [1, 2, 3], "label": "x"}]', "cannot be read"),
        ("medgemma", 'a [{"box_2d": [1, 2, 3, 1200], "label": "x"}]', "lies outside or has no area"),
    ],
)
def test_a_box_that_is_none_is_left_out_with_a_note(notation: str, answer: str, says: str) -> None:
    report = AnswerRule(boxes=notation).report("a", answer)
    assert report.text and says in report.note
    assert not report.boxes


def test_a_plain_answer_has_no_boxes_whatever_the_notation() -> None:
    for notation in ("none", "maira-2", "medgemma"):
        grounded = parse_boxes("The lungs are clear [sic].", notation)
        assert grounded.texts == (("The lungs are clear [sic].", ()),)
        assert not grounded.loose


def test_a_box_of_a_report_is_a_box_of_a_study() -> None:
    assert AnswerRule(boxes="medgemma").report("a", 'x {"box_2d": [0, 0, 500, 500], "label": "x"}').boxes == (
        (Box("x", 0, 0, 0.5, 0.5),),
    )
