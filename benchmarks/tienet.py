"""Measure TieNet: the speed and memory of annotating reports, and the writing of `tienet-igr` against a plain reading.

Annotated are reports of 60 words, vocabulary 1,500, with the sizes of the preset tienet-r, row by row as in
`rg annotate`. The ratio of the memory is the peak after ten times the rows to the peak before. The plain reading runs
the LSTM with its attention over the whole prefix again for every word. It has the same weights and writes the same
words (tests/benchmarks/test_plain_decoding.py): 180 words, vocabulary 1,000, width 512, 49 regions, and 2 studies, so
that seven pairs take little more than a minute.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import torch
from torch import Tensor

from benchmarks.decoding import REGIONS, VOCABULARY, WIDTH, features
from benchmarks.measure import Row, counted, emit, in_turns, peak_mib, per_second, ratio
from reportgen_core import Features, FeatureSpec, GenerationSettings, Model, Study, TargetSpec, compose
from reportgen_core.annotation.findings import ReportRow, annotate
from reportgen_core.registries import decoders
from reportgen_core.text.spec import BOS, EOS, PAD, SPECIAL, TextSpec, Vocabulary

WORDS, FINDINGS, ROWS, LONG, STUDIES = 60, 15, 4096, 180, 2


def annotator() -> Model:
    """Return tienet-r with random weights."""
    vocabulary = Vocabulary(f"w{i}" for i in range(1500))
    names = tuple(f"finding{i}" for i in range(FINDINGS))
    options = {"writes": False}
    text = TextSpec(sections=("findings", "impression"), max_length=500, max_words=100, max_sentences=50)
    return compose(
        encoder="none", decoder="tienet", decoder_options=options, vocabulary=vocabulary, findings=names, text=text
    )


def reports(count: int) -> Iterator[ReportRow]:
    """Yield `count` reports of about 60 words, in sentences of about ten."""
    draw = random.Random(0)
    for i in range(count):
        words = [f"w{draw.randrange(1500)}" for _ in range(draw.randint(WORDS - 20, WORDS + 20))]
        words[9::10] = [f"{w}." for w in words[9::10]]
        yield ReportRow(i, Study(str(i), sections={"findings": " ".join(words)}))


def writer(width: int = WIDTH, vocabulary: int = VOCABULARY):  # type: ignore[no-untyped-def]
    """Return tienet-igr with random weights that never ends a report."""
    torch.manual_seed(0)
    words = (*SPECIAL, *(f"w{i}" for i in range(vocabulary - len(SPECIAL))))
    targets = TargetSpec(words, findings=tuple(f"finding{i}" for i in range(FINDINGS)), max_length=LONG)
    sizes = {"hidden": width, "embedding": width, "transition": width}
    decoder = decoders.create("tienet", FeatureSpec(1024, 1024, (1, 7, 7)), targets, **sizes)
    with torch.no_grad():
        for parameter in decoder.parameters():  # clear winners, so that rounding does not choose the word
            parameter.mul_(4)
        weight, bias = decoder.out.weight, decoder.out.bias
        weight[EOS] = (weight[5] + weight[6]) / 2  # never above both of them
        bias[EOS] = (bias[5] + bias[6]) / 2
    return decoder.eval()


@torch.inference_mode()
def plain(decoder, features: Features, words: int = LONG) -> tuple[Tensor, Tensor]:  # type: ignore[no-untyped-def]
    """Return words (B, T) and findings (B, L). The prefix is read again for each word, and the report at the end."""
    prefix = torch.full((len(features.tokens), 1), BOS)
    for _ in range(words):
        logits = decoder.out(decoder.read(decoder.start(features), prefix).hidden[:, -1])
        logits[:, [PAD, BOS]] = -torch.inf
        prefix = torch.cat([prefix, logits.argmax(-1, keepdim=True)], 1)
    findings = decoder.classify(decoder.read(decoder.start(features), prefix), prefix)[0].sigmoid()
    return prefix[:, 1:], findings


def main() -> None:
    model = annotator()

    def run(count: int) -> None:
        for _ in annotate(model, reports(count)):
            pass

    (seconds,) = in_turns(lambda: run(ROWS // 2))
    run(ROWS)
    before = peak_mib()
    run(10 * ROWS)
    after = peak_mib()
    decoder, inputs = writer(), features(STUDIES)
    settings = GenerationSettings(max_words=LONG - 1, max_sentences=1, attention=False)
    base, greedy = in_turns(lambda: plain(decoder, inputs), lambda: decoder.generate(inputs, settings))
    speed = per_second(ROWS // 2, seconds)
    writes = f"`tienet-igr`, {STUDIES} studies × {LONG} words, {REGIONS} regions"
    emit(
        [
            Row(f"`rg annotate`, reports of {WORDS} words, `tienet-r`", speed, "reports/s", bar=1000),
            Row(f"its peak memory after {10 * ROWS:,} reports", counted(after), "MiB", counted(after / before),
                f"the peak after {ROWS:,}", 1.1, True),
            Row(f"{writes}, plain reading", per_second(STUDIES, base), "reports/s"),
            Row("the same, greedy", per_second(STUDIES, greedy), "reports/s", ratio(base, greedy), "the plain reading",
                20.0),
        ]
    )  # fmt: skip


if __name__ == "__main__":
    main()
