"""`rg plan look`: the fingerprint of made studies, against counts that are made otherwise, and what it warns of."""

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from reportgen_cli.plan.advice import warnings_of
from reportgen_cli.plan.fingerprint import Fingerprint, take_fingerprint
from reportgen_cli.plan.numbers import spread_of
from reportgen_cli.terminal.progress import Heartbeat

from reportgen_core import Audit, Collection, Study, View
from reportgen_core.text.spec import TextSpec

CLEAR = "The lungs are clear."
Rg = Callable[..., Any]


def look(studies: list[Study], labeler: str = "", **text: Any) -> Fingerprint:
    images = sum(len(s.views) for s in studies)
    collection = Collection(tuple(studies), Audit("made", len(studies), images))
    return take_fingerprint("made", collection, TextSpec(**text), labeler, 100, Heartbeat("look", shown=False))


def study(number: int, text: str = CLEAR, split: str = "train", **more: Any) -> Study:
    return Study(f"s{number}", sections={"findings": text} if text else {}, split=split, **more)


def picture(path: Path, level: int, depth: int = 8, size: tuple[int, int] = (12, 10)) -> View:
    """Write a picture of a level and a black corner, so that it is not of one grey."""
    values = np.full(size, level, np.uint8 if depth == 8 else np.uint16)
    values[:3, :3] = 0
    Image.fromarray(values).save(path)
    return View(path)


def test_lengths_are_those_that_a_plain_count_of_words_gives() -> None:
    texts = [" ".join(f"w{i} x{j}." for i in range(j)) for j in range(1, 31)]
    facts = look([study(i, text) for i, text in enumerate(texts)]).texts
    assert facts is not None
    lengths = sorted(len(re.findall(r"\w+", t)) for t in texts)
    assert (facts.words.least, facts.words.greatest, facts.words.mean) == (lengths[0], lengths[-1], np.mean(lengths))
    assert facts.words.median == np.percentile(lengths, 50, method="inverted_cdf")
    assert facts.words.p95 == np.percentile(lengths, 95, method="inverted_cdf")
    assert facts.cut.by_sentences == sum(t.count(".") > 8 for t in texts) == 22
    assert facts.vocabulary == len({w for t in texts for w in re.findall(r"\w+", t)})
    once = Counter(w for t in texts for w in re.findall(r"\w+", t))
    assert facts.once == sum(n == 1 for n in once.values())
    assert facts.growth[-1] == (30, facts.vocabulary)


def test_each_limit_counts_the_reports_that_it_cuts() -> None:
    texts = [CLEAR, "a " * 31 + ".", "Clear. " * 9, "a " * 29 + ". "]
    cut = look([study(i, t) for i, t in enumerate(texts)], max_length=20).texts
    assert cut is not None
    assert (cut.cut.by_sentences, cut.cut.by_words, cut.cut.by_length, cut.cut.by_any) == (1, 1, 2, 3)


@pytest.mark.parametrize("greatest", [0, 1, 23, 24, 119, 5000])
def test_a_histogram_has_every_number_in_one_of_at_most_24_bins(greatest: int) -> None:
    numbers = list(range(greatest + 1))
    spread = spread_of(numbers)
    assert len(spread.bins) <= 24
    edges = np.arange(len(spread.bins) + 1) * spread.width
    assert list(np.histogram(numbers, edges)[0]) == list(spread.bins)


def test_reports_without_a_sentence_end_are_counted_if_they_are_long() -> None:
    long = "heart size is normal and lungs are clear and there is no effusion and no pneumothorax seen"
    facts = look([study(0, long), study(1, long + "."), study(2, "clear"), study(3, "")])
    assert facts.texts is not None
    assert (facts.texts.unpunctuated, facts.texts.long_reports, facts.texts.without) == (1, 2, 1)
    assert any("no sign that ends a sentence" in w for w in warnings_of(facts))


def test_a_leak_counts_patients_reports_and_images_of_the_held_out_split(tmp_path: Path) -> None:
    same, other = picture(tmp_path / "a.png", 200), picture(tmp_path / "b.png", 90)
    copy = tmp_path / "c.png"
    copy.write_bytes(same.path.read_bytes())
    studies = [
        study(0, patient="p", views=(same,)),
        study(1, "The  lungs are CLEAR.", "test", patient="q", views=(View(copy),)),
        study(2, "A scar.", "test", patient="p", views=(other,)),
    ]
    facts = look(studies)
    (leak,) = facts.leaks
    assert (leak.patients, leak.of_patients, leak.reports, leak.of_reports) == (1, 2, 1, 2)
    assert (leak.images, leak.of_images, leak.studies) == (1, 2, ("s1", "s2"))
    warnings = " ".join(warnings_of(facts))
    assert "1 of 2 patients of test are in train" in warnings
    assert "1 of 2 images of test are the same files as images of train" in warnings
    assert "50 % of the reports of test (1 of 2) stand word for word in train" in warnings
    assert (facts.images.copies, facts.texts.distinct if facts.texts else 0) == (1, 2)


def test_large_files_that_begin_alike_are_no_copies(tmp_path: Path) -> None:
    for name, end in (("a", b"1"), ("b", b"2"), ("c", b"1")):
        (tmp_path / name).write_bytes(bytes(100_000) + end)
    studies = [study(i, views=(View(tmp_path / name),)) for i, name in enumerate("abc")]
    assert look(studies).images.copies == 1


def test_images_are_measured_and_missing_or_broken_ones_counted(tmp_path: Path) -> None:
    deep = picture(tmp_path / "deep.png", 4095, depth=16, size=(20, 30))
    (tmp_path / "broken.png").write_text("no picture")
    studies = [
        study(0, views=(picture(tmp_path / "a.png", 200), deep)),
        study(1, views=(View(tmp_path / "gone.png"),)),
        study(2, views=(View(tmp_path / "broken.png"),)),
        study(3),
    ]
    facts = look(studies)
    images = facts.images
    assert images.sample_sizes == {"12 x 10": 1, "20 x 30": 1}
    assert images.sample_depths == {"12 bits": 1, "8 bits": 1}
    assert (images.images, images.files, images.missing, images.studies_missing) == (4, 3, 1, 1)
    assert sum(images.sample_unread.values()) == 1
    assert facts.studies.views == {"0": 1, "1": 2, "2": 1}
    assert "1 of 4 image files are not there" in " ".join(warnings_of(facts))


def test_findings_are_those_that_the_labeler_reads_and_those_that_the_dataset_brings() -> None:
    texts = ["There is a pleural effusion.", "No pleural effusion.", "Possible pleural effusion.", CLEAR]
    facts = look([study(i, t, labels={"Scar": float(i == 0)}) for i, t in enumerate(texts)], "chexpert-rules")
    assert facts.read is not None and facts.given is not None
    (effusion,) = [f for f in facts.read.findings if f.name == "Pleural Effusion"]
    assert (effusion.present, effusion.uncertain, effusion.absent, effusion.in_training) == (1, 1, 1, 1)
    assert (facts.read.normal, facts.read.labelled) == (2, 4)
    (scar,) = facts.given.findings
    assert (scar.present, scar.absent) == (1, 3)


def test_languages_are_told_and_reports_in_another_one_are_warned_of() -> None:
    german = "Die Lunge ist frei, kein Erguss und kein Nachweis von Infiltraten bei normal großem Herz."
    facts = look([study(0), study(1, german)], "chexpert-rules")
    assert facts.languages == {"English or not known": 1, "German": 1}
    assert any("1 in German" in w for w in warnings_of(facts))


def test_words_of_a_split_that_training_never_shows_are_measured() -> None:
    facts = look([study(0, "one two three."), study(1, "one four four two.", "test")])
    assert facts.texts is not None
    assert facts.texts.unknown == {"test": 0.5}


@pytest.mark.parametrize(
    ("studies", "warning"),
    [
        ([study(i, patient="p") for i in range(3)], "all studies are of one patient"),
        ([study(i) for i in range(3)], "all 3 reports are alike"),
        ([study(i, "", labels={"Scar": 1.0}) for i in range(3)], "no model can learn to write"),
        ([study(i) for i in range(3)], "no study names an image"),
        ([study(i, split="") for i in range(3)], "no study has a split"),
        ([study(0), study(1, split="")], "1 of 2 studies have no split"),
        ([study(0), study(1, split="test")], "there is no split val"),
        ([study(0)], "1 training reports are few"),
        ([study(0), study(1, "Clear. " * 12)], "50 % of the reports have more than 8 sentences"),
        ([study(0), study(1, "")], "1 of 2 studies have no report in findings"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_dataset_is_said_in_words(studies: list[Study], warning: str) -> None:
    assert any(warning in w for w in warnings_of(look(studies)))


def test_a_good_dataset_has_no_warning(tmp_path: Path) -> None:
    words = ["clear lungs", "a scar", "large heart", "small effusion"]
    studies = []
    for i in range(240):
        split = ("train", "train", "val", "test")[i % 4]
        text = f"{words[i % 3]}. Grade {i // 4 % 25 if split == 'train' else 100 + i % 7}."
        text = text if split == "train" else f"{words[(i + 1) % 3]}. Grade {i // 4 % 25}. No {words[i % 3]}."
        studies.append(
            study(
                i, text, split, patient=f"p{i}", views=(picture(tmp_path / f"{i}.png", i % 200 + 50, size=(9, 9 + i)),)
            )
        )
    studies[0] = study(0, "clear lungs. No a scar large heart grade.", patient="p0", views=studies[0].views)
    assert warnings_of(look(studies)) == ()


def table(folder: Path, rows: list[dict[str, Any]]) -> Path:
    path = folder / "t.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_texts_alone_give_json_and_a_page_that_has_none_of_them(rg: Rg, tmp_path: Path) -> None:
    path = table(tmp_path, [{"id": f"s{i}", "report": f"Zebra <b> number {i}."} for i in range(5)])
    done = rg("plan", "look", path, "--out", tmp_path / "out", "--labeler", "none", "--json")
    assert done.code == 0
    printed = json.loads(done.out)
    assert printed == json.loads((tmp_path / "out" / "fingerprint.json").read_text())
    assert (printed["format"], printed["texts"]["reports"], printed["images"]["images"]) == (1, 5, 0)
    assert "warning  no study names an image" in done.err
    page = (tmp_path / "out" / "fingerprint.html").read_text()
    assert page.count("<svg") == 3
    assert "Zebra" not in page and "zebra" not in page
    assert not re.search(r'(?:src|href)="(?!#)', page)
    for warning in printed["warnings"]:
        assert warning[1:].split("'")[0] in page


def test_a_table_whose_images_are_missing_is_looked_at(rg: Rg, tmp_path: Path) -> None:
    path = table(tmp_path, [{"id": "s", "image": "gone.png", "report": CLEAR}])
    done = rg("plan", "look", path, "--out", tmp_path / "out")
    assert (done.code, "1 of 1 image files are not there" in done.out) == (0, True)


def test_a_name_of_a_split_and_of_a_section_stays_text_on_the_page(rg: Rg, tmp_path: Path) -> None:
    evil = "<script>x</script>"
    path = table(tmp_path, [{"id": str(i), "report": f"Clear {i}.", "labels": [evil]} for i in range(2)])
    assert rg("plan", "look", path, "--out", tmp_path / "out").code == 0
    page = (tmp_path / "out" / "fingerprint.html").read_text()
    assert evil not in page and "&lt;script&gt;x" in page


@pytest.mark.parametrize(
    ("rows", "arguments", "message"),
    [
        ([], (), "has no study|is empty|no row"),
        ([{"id": "s", "impression": CLEAR}], (), "no study of .* has a report in findings, an image or a label; sections there: impression"),
        ([{"id": "s", "report": CLEAR}], ("--labeler", "bleu"), "metric 'bleu' labels no texts"),
        ([{"id": "s", "report": CLEAR}], ("--text", "max_sentence=3"), "max_sentences"),
    ],
)  # fmt: skip
def test_a_dataset_that_cannot_be_looked_at_is_one_line(
    rg: Rg, tmp_path: Path, rows: list[dict[str, Any]], arguments: tuple[str, ...], message: str
) -> None:
    done = rg("plan", "look", table(tmp_path, rows), "--out", tmp_path / "out", *arguments)
    assert (done.code, done.out) == (1, "")
    assert re.fullmatch(rf"rg: .*(?:{message}).*\n", done.err)
    assert not (tmp_path / "out").exists()
