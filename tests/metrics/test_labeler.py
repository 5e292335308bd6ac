"""The rule labeler: sentences whose labels anybody can check by reading them."""

import re
import time
from importlib.resources import files

import pytest
from reportgen_plugins.metrics.labeler.labeler import CHEXPERT5, LABELS, Labeler
from reportgen_plugins.metrics.labeler.phrases import build_tables
from reportgen_plugins.metrics.labeler.text import section_spans, sentences

from reportgen_core import OptionError

POSITIVE, NEGATIVE, UNCERTAIN = 1, 0, -1


def says(text: str, label: str, scheme: str = "chexpert14") -> int | None:
    mention = Labeler(scheme=scheme).label(text).get(label)
    return mention.value if mention else None


@pytest.mark.parametrize(
    ("text", "label", "value"),
    [
        ("There is a small left pleural effusion.", "Pleural Effusion", POSITIVE),
        ("No pleural effusion or pneumothorax.", "Pneumothorax", NEGATIVE),
        (
            "No focal consolidation, suspicious opacity, large pleural effusion, or pneumothorax is seen.",
            "Pneumothorax",
            NEGATIVE,
        ),
        ("No effusion, mild cardiomegaly.", "Cardiomegaly", POSITIVE),
        ("No pneumothorax but a new right effusion.", "Pleural Effusion", POSITIVE),
        ("Pneumothorax has resolved.", "Pneumothorax", NEGATIVE),
        ("The previously seen effusion is no longer identified.", "Pleural Effusion", NEGATIVE),
        ("Effusion: none.", "Pleural Effusion", NEGATIVE),
        ("No change in the small effusion.", "Pleural Effusion", POSITIVE),
        ("The effusion has nearly resolved.", "Pleural Effusion", POSITIVE),
        ("Cannot exclude early pulmonary edema.", "Edema", UNCERTAIN),
        ("Pneumonia cannot be excluded.", "Pneumonia", UNCERTAIN),
        ("Left base opacity may represent atelectasis.", "Atelectasis", UNCERTAIN),
        ("Left base opacity may represent atelectasis.", "Lung Opacity", POSITIVE),
        ("Is there pneumonia?", "Pneumonia", UNCERTAIN),
        ("Atelectasis versus infiltrate.", "Atelectasis", UNCERTAIN),
        ("No opacity to suggest pneumonia.", "Pneumonia", NEGATIVE),
        ("Heart size and mediastinal contours are within normal limits.", "Cardiomegaly", NEGATIVE),
        ("Heart size and mediastinal contours are within normal limits.", "Enlarged Cardiomediastinum", NEGATIVE),
        ("The heart is not enlarged.", "Cardiomegaly", NEGATIVE),
        ("Heart size is at the upper limits of normal.", "Cardiomegaly", NEGATIVE),
        ("Heart is mildly enlarged.", "Cardiomegaly", POSITIVE),
        ("Borderline heart size.", "Cardiomegaly", UNCERTAIN),
        ("Pericardial effusion.", "Pleural Effusion", None),
        ("Subcutaneous emphysema of the neck.", "Lung Opacity", None),
        ("History of pneumonia.", "Pneumonia", None),
        ("Bony overlap could obscure a small pulmonary nodule.", "Lung Lesion", None),
        ("Right PICC tip in the SVC.", "Support Devices", POSITIVE),
        ("Healed left rib fractures.", "Fracture", POSITIVE),
        ("the heart is normal . no pleural effusion . there is left basilar atelectasis .", "Atelectasis", POSITIVE),
    ],
)
def test_a_sentence_says_what_a_reader_would_say(text: str, label: str, value: int | None) -> None:
    assert says(text, label) == value


@pytest.mark.parametrize(
    ("text", "label", "value"),
    [
        ("Bilateral interstitial infiltrates.", "Infiltration", POSITIVE),
        ("A 5 mm nodule in the right upper lobe.", "Nodule", POSITIVE),
        ("Large mass, no effusion.", "Mass", POSITIVE),
        ("Probable small effusion.", "Effusion", POSITIVE),
        ("Possible small effusion.", "Effusion", UNCERTAIN),
        ("Biapical pleural thickening.", "Pleural_Thickening", POSITIVE),
        ("Large hiatal hernia.", "Hernia", POSITIVE),
        ("Subcutaneous emphysema.", "Emphysema", None),
        ("Old rib fractures.", "No Finding", POSITIVE),
        ("Old rib fractures.", "normal", None),
        ("Lungs are clear.", "normal", POSITIVE),
    ],
)
def test_chestxray14_has_names_and_a_reading_of_its_own(text: str, label: str, value: int | None) -> None:
    assert says(text, label, "chestxray14") == value


def test_positive_beats_uncertain_beats_negative() -> None:
    assert says("No effusion. Possible effusion. Small effusion.", "Pleural Effusion") == POSITIVE
    assert says("No effusion. Possible effusion.", "Pleural Effusion") == UNCERTAIN


def test_no_finding_is_taken_away_by_anything_but_devices() -> None:
    assert says("Lungs are clear. Pacemaker in place.", "No Finding") == POSITIVE
    assert says("Possible pneumonia.", "No Finding") is None
    assert says("Calcified granuloma.", "No Finding") is None


def test_a_text_without_words_has_no_labels() -> None:
    assert Labeler().labels(["", " . ", "1. 2."]) == [{}, {}, {}]


def test_what_is_not_mentioned_is_not_in_the_answer() -> None:
    assert Labeler().labels(["Small effusion."]) == [{"Pleural Effusion": 1.0}]


def test_the_weak_option_says_what_probable_means() -> None:
    text = ["Probable effusion."]
    assert Labeler(weak="positive").labels(text) == [{"Pleural Effusion": 1.0}]
    assert Labeler(weak="uncertain", scheme="chestxray14").labels(text) == [{"Effusion": -1.0}]


def test_sections_that_ask_are_not_read() -> None:
    text = "INDICATION: evaluate pneumonia, effusion\n\nCOMPARISON: none\n\nFINDINGS: Lungs are clear.\n\nIMPRESSION: No edema."
    assert Labeler().labels([text]) == [{"No Finding": 1.0, "Edema": 0.0}]


def test_text_after_the_first_paragraph_of_a_history_is_read() -> None:
    text = "HISTORY: fever.\n\nLeft effusion."
    assert "\n\n".join(text[start:end] for start, end in section_spans(text)).strip() == "Left effusion."


def test_sentences_keep_decimals_and_lose_list_numbers() -> None:
    text = "1. A 3.5 cm nodule. 2. Mild\nedema vs. infection?"
    assert list(sentences(text)) == ["A 3.5 cm nodule", "Mild edema vs. infection?"]


def test_an_explanation_names_words_rule_and_sentence() -> None:
    mentions = Labeler().explain("Clear lungs. No evidence of Pleural effusion.")["Pleural Effusion"]
    assert [(m.value, m.words, m.sentence) for m in mentions] == [(0, "effusion", "No evidence of Pleural effusion")]
    assert mentions[0].rule == "effusion: negated by 'no evidence of'"


def test_an_explanation_begins_with_the_mention_that_decides() -> None:
    values = [m.value for m in Labeler().explain("No edema. Possible edema. Edema.")["Edema"]]
    assert values == [1, -1, 0]


def test_capitals_and_odd_letters_do_not_matter() -> None:
    assert says("SMALL LEFT PLEURAL EFFUSION", "Pleural Effusion") == POSITIVE
    assert says("İİİ small effusion", "Pleural Effusion") == POSITIVE


def test_the_labels_have_the_names_of_the_data_sets() -> None:
    assert len(LABELS["chexpert14"]) == 14
    assert len(LABELS["chestxray14"]) == 16
    assert set(CHEXPERT5) <= set(LABELS["chexpert14"])


def test_every_concept_counts_for_labels_that_exist() -> None:
    for concept in build_tables().concepts:
        for scheme, label in concept.labels.items():
            assert label == "" or label in LABELS[scheme], concept.name


@pytest.mark.parametrize(
    ("option", "hint"), [({"scheme": "chexpert"}, "did you mean 'chexpert14'"), ({"weak": "no"}, "positive, uncertain")]
)
def test_a_wrong_option_is_answered_with_those_that_work(option: dict[str, str], hint: str) -> None:
    with pytest.raises(OptionError, match=re.escape(hint)):
        Labeler(**option)  # type: ignore[arg-type]


def test_of_cues_that_share_words_the_longest_that_reaches_the_mention_counts() -> None:
    before, after = (
        Labeler().explain(text)["Pneumothorax"][0].cue
        for text in ("It is difficult to exclude a pneumothorax.", "A pneumothorax is difficult to exclude.")
    )
    assert (before, after) == ("difficult to exclude", "is difficult to exclude")


@pytest.mark.parametrize(
    "text",
    [
        "the heart and the lungs and " * 2000, "no " * 5000, "opacity, " * 3000, "effusion resolved " * 1000, "a" * 100_000,
        "pneumothorax" * 1000, "pneumo-\n" * 5000, "? " * 5000, "a\n" * 5000, "(" * 5000,
    ],
)  # fmt: skip
def test_a_long_line_takes_no_longer_than_its_length(text: str) -> None:
    began = time.process_time()
    Labeler().labels([text])
    assert time.process_time() - began < 20


def test_the_tables_are_in_the_package() -> None:
    assert {"labeler_cues.toml", "labeler_findings.toml", "labeler_words.toml"} <= {
        f.name for f in files("reportgen_plugins.metrics.labeler").iterdir()
    }


def test_an_explanation_names_cue_and_scope_and_the_place_in_the_text() -> None:
    text = "HEART: normal.\nNo pneumo-\nthorax, large right eﬀusion."
    mentions = Labeler().explain(text)
    denied, stated = mentions["Pneumothorax"][0], mentions["Pleural Effusion"][0]
    assert (denied.cue, denied.scope) == ("no", "No pneumothorax")
    assert (stated.cue, stated.scope) == ("", "")
    assert text[slice(*denied.span)] == "pneumo-\nthorax"
    assert text[slice(*stated.span)] == "eﬀusion"


@pytest.mark.parametrize(
    "text",
    [
        "Small\xa0 left   effusion, can’t exclude pneu-\nmonia.",
        "- no edema — there isn't a frac\xadture\n- pnuemonia?",
        "lungs clear no effusion small pneumothorax picc in place",
        "“No nodule.” Cardio-\nmegaly. 1) ETT 2) no PTX",
    ],
)
def test_the_span_of_every_mention_holds_its_words(text: str) -> None:
    for mentions in Labeler().explain(text).values():
        for mention in mentions:
            assert " ".join(text[slice(*mention.span)].split()) == mention.words


def test_labels_and_explanations_agree() -> None:
    text = "Probable effusion. No edema. Rib fracture? Pacemaker."
    assert Labeler().labels([text]) == [{k: float(m.value) for k, m in Labeler().label(text).items()}]


@pytest.mark.parametrize("text", ["RUL ghxyz.", "Chest, two views.", "asdf", "Nondiagnostic image."])
def test_a_text_of_which_nothing_is_understood_is_not_called_normal(text: str) -> None:
    assert "No Finding" not in Labeler().labels([text])[0]


def test_text_without_punctuation_is_read_as_with_it() -> None:
    text = (
        "The heart is mildly enlarged. There is no focal consolidation, pleural effusion or pneumothorax."
        " A right picc is unchanged. Small hiatal hernia. No acute fracture. Bibasilar atelectasis is present."
    )
    bare = text.lower().replace(".", "").replace(",", "")
    assert Labeler().labels([bare]) == Labeler().labels([text])


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Kein Pneumothorax.", "German"),
        ("Pas d'épanchement pleural.", "French"),
        ("No hay derrame pleural.", "Spanish"),
        ("Nessun versamento pleurico.", "Italian"),
        ("Geen pneumothorax.", "Dutch"),
        ("未见 pneumothorax", "Chinese or Japanese"),
        ("Плеврального выпота нет.", "Russian or another Slavic language"),
    ],
)
def test_a_text_in_another_language_has_no_label_and_a_note(text: str, language: str) -> None:
    assert Labeler().labels([text]) == [{}]
    assert language in Labeler().note(text)


@pytest.mark.parametrize("text", ["No effusion.", "ET tube in place.", "Röntgen: no Sjögren nodules.", "", "XXXX."])
def test_an_english_text_has_no_note(text: str) -> None:
    assert Labeler().note(text) == ""


@pytest.mark.parametrize("word", ["injection", "infusion", "contusion", "perfusion", "fraction", "revolved", "modules"])
def test_a_word_that_exists_is_not_corrected_to_a_finding(word: str) -> None:
    assert set(Labeler().labels([f"No abnormality, {word} noted."])[0]) == {"No Finding"}


def test_sections_of_the_past_and_of_questions_are_not_read() -> None:
    for heading in ("Past medical history", "Clinical question", "Chief complaint", "Prior studies", "HPI"):
        assert Labeler().labels([f"{heading}: pneumonia.\n\nFINDINGS: No edema."]) == [
            {"No Finding": 1.0, "Edema": 0.0}
        ]


def test_a_finding_in_capitals_before_a_colon_is_no_heading() -> None:
    assert Labeler().labels(["EFFUSION: NONE. EDEMA: MILD."]) == [{"Edema": 1.0, "Pleural Effusion": 0.0}]
