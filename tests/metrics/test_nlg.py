"""BLEU, ROUGE-L, CIDEr-D and METEOR against the reference scorers' answers on synthetic sentences."""

import json
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reportgen_plugins.metrics.nlg import ptb
from reportgen_plugins.metrics.nlg.rouge import longest_common

import reportgen_core

GOLDEN = json.loads((Path(__file__).parents[1] / "fixtures/metrics/coco_metrics_golden.json").read_text())
HYPS = [i["ptb_hyp"] for i in GOLDEN["items"]]
REFS = [i["ptb_refs"] for i in GOLDEN["items"]]
KEYS = {"rouge-l": "rouge_l", "cider": "cider", "meteor": "meteor"}
TEXTS = st.lists(st.sampled_from(["a", "b", "c", "d", "e"]), max_size=9).map(" ".join)


def test_the_ptb_tokenizer_gives_the_golden_words() -> None:
    pairs = GOLDEN["ptb"] + [[i["hyp"], i["ptb_hyp"]] for i in GOLDEN["items"]]
    assert ptb.tokenize([raw for raw, _ in pairs]) == [words for _, words in pairs]


def test_the_ptb_tokenizer_keeps_texts_with_any_line_break_apart() -> None:
    texts = ["lungs clear.\nheart\u2028normal", "", "a\rb\u0085c", " ", "café"]
    assert ptb.tokenize(texts) == ["lungs clear heart normal", "", "a b c", "", "café"]


def test_bleu_equals_the_golden_file() -> None:
    bleu = reportgen_core.metrics.create("bleu")
    parts = list(bleu.compute(HYPS, REFS).parts.values())
    assert parts == pytest.approx(GOLDEN["corpus"]["bleu"], abs=1e-9)
    for hyp, refs, item in zip(HYPS, REFS, GOLDEN["items"], strict=True):
        assert list(bleu.compute([hyp], [refs]).parts.values()) == pytest.approx(item["bleu"], abs=1e-9)


@pytest.mark.parametrize("name", ["rouge-l", "cider", "meteor"])
def test_the_other_scores_equal_the_golden_file(name: str) -> None:
    score = reportgen_core.metrics.create(name).compute(HYPS, REFS)
    assert score.value == pytest.approx(GOLDEN["corpus"][KEYS[name]], abs=1e-9)
    assert list(score.each) == pytest.approx([i[KEYS[name]] for i in GOLDEN["items"]], abs=1e-9)


@given(TEXTS, TEXTS)
def test_the_longest_common_subsequence_is_that_of_the_textbook_table(a: str, b: str) -> None:
    x, y = a.split(), b.split()
    table = [[0] * (len(y) + 1) for _ in range(len(x) + 1)]
    for i, v in enumerate(x):
        for j, w in enumerate(y):
            table[i + 1][j + 1] = table[i][j] + 1 if v == w else max(table[i][j + 1], table[i + 1][j])
    assert longest_common(x, y) == table[-1][-1]


@given(st.lists(st.tuples(TEXTS, st.lists(TEXTS, min_size=1, max_size=3)), min_size=1, max_size=4))
@settings(max_examples=60)
def test_bleu_and_cider_equal_a_plain_count_of_tuples(pairs: list[tuple[str, list[str]]]) -> None:
    hyps, refs = [h for h, _ in pairs], [r for _, r in pairs]
    bleu = reportgen_core.metrics.create("bleu").compute(hyps, refs)
    assert list(bleu.parts.values()) == pytest.approx(plain_bleu(hyps, refs), rel=1e-9)
    cider = reportgen_core.metrics.create("cider").compute(hyps, refs)
    assert list(cider.each) == pytest.approx(plain_cider(hyps, refs), abs=1e-9)


def grams(text: str, n: int) -> Counter[tuple[str, ...]]:
    words = text.split()
    return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))


def plain_bleu(hyps: list[str], refs: list[list[str]]) -> list[float]:
    length = sum(len(h.split()) for h in hyps)
    closest = sum(
        min((abs(len(r.split()) - len(h.split())), len(r.split())) for r in rs)[1]
        for h, rs in zip(hyps, refs, strict=True)
    )
    product, out = 1.0, []
    for n in range(1, 5):
        matched = total = 0
        for h, rs in zip(hyps, refs, strict=True):
            most = Counter[tuple[str, ...]]()
            for r in rs:
                most |= grams(r, n)
            matched += sum((grams(h, n) & most).values())
            total += sum(grams(h, n).values())
        product *= (matched + 1e-15) / (total + 1e-9)
        ratio = (length + 1e-15) / (closest + 1e-9)
        out.append(product ** (1 / n) * (math.exp(1 - 1 / ratio) if ratio < 1 else 1))
    return out


def plain_cider(hyps: list[str], refs: list[list[str]]) -> list[float]:
    frequency = Counter(g for rs in refs for g in {g for r in rs for n in range(1, 5) for g in grams(r, n)})

    def weights(text: str, n: int) -> dict[tuple[str, ...], float]:
        return {g: c * (math.log(len(refs)) - math.log(max(1, frequency[g]))) for g, c in grams(text, n).items()}

    out = []
    for h, rs in zip(hyps, refs, strict=True):
        total = 0.0
        for r in rs:
            delta = sum(grams(h, 2).values()) - sum(grams(r, 2).values())
            for n in range(1, 5):
                a, b = weights(h, n), weights(r, n)
                norm = math.hypot(*a.values()) * math.hypot(*b.values())
                inner = sum(min(v, b.get(g, 0.0)) * b.get(g, 0.0) for g, v in a.items())
                total += (inner / norm if norm else 0.0) * math.exp(-(delta**2) / 72) / 4 * 10
        out.append(total / len(rs))
    return out


def test_cider_of_one_study_is_zero() -> None:
    assert reportgen_core.metrics.create("cider").compute(["a b c"], [["a b c"]]).value == 0


def test_plain_cider_knows_no_clipping_and_no_length_penalty() -> None:
    hyps, refs = ["a a a a b", "c"], [["a b"], ["c d"]]
    plain = reportgen_core.metrics.create("cider-plain").compute(hyps, refs).each[0]
    clipped = reportgen_core.metrics.create("cider").compute(hyps, refs).each[0]
    # by hand: every idf is log 2; 1-grams (4, 1) and (1, 1); 2-grams of the reference: "a b"; none of higher order
    one = (4 + 1) / math.sqrt(17) / math.sqrt(2)
    two = 1 / math.sqrt(3**2 + 1)
    assert plain == pytest.approx(10 * (one + two) / 4)
    assert clipped < plain


@pytest.mark.parametrize("name", ["bleu", "rouge-l", "cider", "meteor"])
def test_scores_follow_from_sums_of_statistics(name: str) -> None:
    metric = reportgen_core.metrics.create(name)
    rows = metric.statistics(HYPS, REFS)  # type: ignore[attr-defined]
    again = metric.scores(np.stack([rows.sum(0), rows.sum(0)]))  # type: ignore[attr-defined]
    parts = metric.compute(HYPS, REFS).parts
    assert set(again) == set(parts)
    assert [list(v) for v in again.values()] == [pytest.approx([parts[k]] * 2) for k in again]
