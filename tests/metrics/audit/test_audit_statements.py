"""The statements of made texts: finding, state, side, place, severity, size, change, age, and the end of a device."""

from __future__ import annotations

import pytest
from reportgen_plugins.metrics.audit.statements import Statement, StatementReader

READER = StatementReader()


def one(text: str) -> Statement:
    (statement,) = READER.read(text).statements
    return statement


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Small left effusion.", {"finding": "effusion", "state": "stated", "side": "left", "severity": ("mild",)}),
        ("No evidence of pneumothorax on the right.", {"finding": "pneumothorax", "state": "denied", "side": "right"}),
        ("Possible bibasilar atelectasis.", {"state": "uncertain", "side": "both", "place": ("zone lower",)}),
        ("A 12 mm nodule in the right upper lobe.", {"size": 12.0, "side": "right", "place": ("zone upper",)}),
        ("Nodule of 1.2 cm.", {"finding": "nodule", "size": 12.0}),
        ("The effusion has increased.", {"change": "worse"}),
        ("Old fracture of the left sixth rib.", {"age": "old", "place": ("bone rib", "level 6")}),
        ("PICC tip in the SVC.", {"finding": "PICC", "position": ("superior vena cava",)}),
        (
            "Endotracheal tube 4 cm above the carina.",
            {"finding": "endotracheal tube", "position": ("above the carina",), "size": 0.0},
        ),
        ("The lungs are clear.", {"finding": "lung abnormality", "state": "denied"}),
        ("The heart is not normal in size.", {"finding": "enlarged heart", "state": "stated"}),
        ("Heart size is stable.", {"finding": "enlarged heart", "state": "compared", "change": "unchanged"}),
        ("There is no longer a pneumothorax.", {"state": "denied", "change": "resolved"}),
        ("No acute bony abnormality.", {"finding": "bone abnormality", "state": "denied", "age": "acute"}),
        ("The effusion is slightly larger than before.", {"change": "worse", "severity": ()}),
        ("Pneumonia, right greater than left.", {"side": "both"}),
    ],
)
def test_a_statement_has_what_its_sentence_says(text: str, wanted: dict[str, object]) -> None:
    statement = one(text)
    assert {name: getattr(statement, name) for name in wanted} == wanted


def test_words_belong_to_the_finding_that_they_stand_next_to() -> None:
    text = "Small left effusion and moderate right atelectasis, a nodule in the left apex with severe emphysema."
    said = {s.finding: (s.side, s.severity) for s in READER.read(text).statements}
    assert said == {
        "effusion": ("left", ("mild",)), "atelectasis": ("right", ("moderate",)), "nodule": ("left", ()),
        "emphysema": ("", ("severe",)),
    }  # fmt: skip


def test_a_grade_for_each_side_makes_two_statements() -> None:
    statements = READER.read("Small right and large left effusions.").statements
    assert [(s.side, s.severity) for s in statements] == [("right", ("mild",)), ("left", ("severe",))]


def test_a_sentence_with_a_clinical_word_and_no_statement_is_counted() -> None:
    text = READER.read("The ribs were counted twice. Frontal view of the chest. No effusion. Dr. Smith was told.")
    assert (text.unread, text.sentences) == (("The ribs were counted twice",), 2)


def test_a_text_in_another_language_has_no_statements() -> None:
    text = READER.read("Kein Pneumothorax. Herz und Lunge sind unauffällig, der Erguss ist nicht mehr vorhanden.")
    assert (text.statements, text.language) == ((), "German")


@pytest.mark.parametrize(
    ("text", "compares"),
    [
        ("Unchanged effusion.", True),
        ("Compared to the prior study.", True),
        ("Comparison: None. Small effusion.", False),
        ("No prior studies are available. Small effusion.", False),
        ("The heart is not enlarged.", False),
        ("Degenerative changes of the spine. No degenerative changes of the shoulders.", False),
    ],
)
def test_a_text_that_speaks_of_an_earlier_image_is_known(text: str, compares: bool) -> None:
    assert READER.read(text).compares is compares


def test_phrases_of_the_user_are_read(tmp_path) -> None:
    table = tmp_path / "mine.toml"
    table.write_text('[wobble]\nchexpert14 = ""\npresent = ["wobbl*"]\n', encoding="utf-8")
    reader = StatementReader(str(table))
    assert [s.finding for s in reader.read("The left lung wobbles.").statements] == ["wobble"]
    assert "wobble" in reader.findings
    assert reader.added_tables[0].startswith("mine.toml ")
