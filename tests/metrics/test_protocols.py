"""Scoring protocols: what each does to a text."""

import pytest

import reportgen_core
from reportgen_core import MetricError
from reportgen_core.text.spec import TextSpec, report_words

WRITTEN = "The Heart is normal. No <unk> effusion, 3.5 cm X-ray."


@pytest.mark.parametrize("name", list(reportgen_core.protocols))
def test_every_protocol_is_stable_and_never_writes_double_spaces(name: str) -> None:
    protocol = reportgen_core.protocols.create(name)
    if hasattr(protocol, "learn"):
        protocol.learn([WRITTEN] * 3)
    texts = [WRITTEN, "", "  ", "心脏大小正常。", "a\nb"]
    for prepare in (protocol.reports, protocol.references):
        first = prepare(texts)
        assert len(first) == len(texts)
        assert prepare(texts) == first
        assert all(t == " ".join(t.split(" ")) and t == t.strip() and "  " not in t for t in first)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("coco", "the heart is normal no <unk> effusion 3.5 cm x-ray"),
        ("raw", "the heart is normal. no <unk> effusion, 3.5 cm x-ray."),
        ("tokens", "The Heart is normal. No <unk> effusion, 3.5 cm X-ray."),
        ("jing", "the heart is normal no effusion cm"),
        ("ditag", "the heart is normal no <unk> effusion <num> cm x-ray"),
        ("r2gen-untruncated", "the heart is normal . no <unk> effusion 35 cm x-ray ."),
    ],
)
def test_a_protocol_writes(name: str, words: str) -> None:
    assert reportgen_core.protocols.create(name).reports([WRITTEN]) == [words]


def test_r2gen_cuts_both_sides_and_writes_rare_words_as_unknown_in_references_alone() -> None:
    protocol = reportgen_core.protocols.create("r2gen")
    with pytest.raises(MetricError, match="must see the training reports"):
        protocol.references(["a"])
    protocol.learn(["Lungs clear."] * 3 + ["Heart big."] * 2)  # type: ignore[attr-defined]
    assert protocol.references(["Lungs clear. Heart big."]) == ["lungs clear . <unk> <unk> ."]
    assert protocol.reports(["Lungs clear. Heart big. <unk> ."]) == ["lungs clear . heart big . <unk> ."]
    long = " ".join(["clear"] * 80)
    assert [len(t.split()) for t in (*protocol.references([long]), *protocol.reports([long]))] == [59, 59]


def test_r2gens_own_output_is_left_as_it_is() -> None:
    protocol = reportgen_core.protocols.create("r2gen-untruncated")
    own = "the heart is normal . no <unk> effusion ."
    assert protocol.reports([own]) == [own]
    assert protocol.reports(["The heart is normal. No effusion."])[0].split() == report_words(
        "The heart is normal. No effusion.", TextSpec("r2gen-iu")
    )


def test_chinese_is_cut_into_words_or_characters() -> None:
    text = "心脏大小正常,肺部3.5cm清晰。CT"
    assert reportgen_core.protocols.create("chinese-words").reports([text]) == ["心脏 大小 正常 肺部 3.5 cm 清晰 ct"]
    assert reportgen_core.protocols.create("chinese-characters").reports([text]) == [
        "心 脏 大 小 正 常 肺 部 3.5 cm 清 晰 ct"
    ]


def test_the_chinese_papers_protocol_writes_rare_words_as_nou() -> None:
    protocol = reportgen_core.protocols.create("densenet-lstm")
    protocol.learn(["心脏大小正常。"] * 3)  # type: ignore[attr-defined]
    assert protocol.references(["心脏增大。"])[0].split()[0] == "心脏"
    assert "<nou>" in protocol.references(["心脏增大。"])[0]
