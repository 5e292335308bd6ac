"""TieNet: reports annotated a second and the memory that takes, and `tienet-igr` writing against a plain reading.

Reports of 60 words, vocabulary 1,500, the sizes of the preset tienet-r, rows in and rows out as `rg annotate` has them;
memory is the peak after ten times the rows over the peak before. The plain reading runs the LSTM with its attention
over the whole prefix again for every word: 16 studies, 180 words, vocabulary 1,000, width 512, 49 regions. The same
weights, the same words (tests/benchmarks/test_plain_decoding.py).
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import torch
from torch import Tensor

from benchmarks.decoding import REGIONS, STUDIES, VOCABULARY, WIDTH, features
from benchmarks.measure import Row, emit, peak_mib, seconds
from reportgen_core import Features, FeatureSpec, GenerationSettings, Model, Study, TargetSpec, compose
from reportgen_core.annotation.findings import Row as Report
from reportgen_core.annotation.findings import annotate
from reportgen_core.registries import decoders
from reportgen_core.text.spec import BOS, EOS, PAD, SPECIAL, TextSpec, Vocabulary

WORDS, FINDINGS, ROWS, LONG = 60, 15, 8192, 180


def annotator() -> Model:
    """tienet-r with random weights."""
    vocabulary = Vocabulary(f"w{i}" for i in range(1500))
    names = tuple(f"finding{i}" for i in range(FINDINGS))
    options = {"writes": False}
    text = TextSpec(sections=("findings", "impression"), max_length=500, max_words=100, max_sentences=50)
    return compose(
        encoder="none", decoder="tienet", decoder_options=options, vocabulary=vocabulary, findings=names, text=text
    )


def reports(count: int) -> Iterator[Report]:
    """So many reports of about 60 words in sentences of about ten."""
    draw = random.Random(0)
    for i in range(count):
        words = [f"w{draw.randrange(1500)}" for _ in range(draw.randint(WORDS - 20, WORDS + 20))]
        words[9::10] = [f"{w}." for w in words[9::10]]
        yield Report(i, Study(str(i), sections={"findings": " ".join(words)}))


def writer(width: int = WIDTH, vocabulary: int = VOCABULARY):  # type: ignore[no-untyped-def]
    """tienet-igr with random weights that never ends a report."""
    torch.manual_seed(0)
    words = (*SPECIAL, *(f"w{i}" for i in range(vocabulary - len(SPECIAL))))
    targets = TargetSpec(words, findings=tuple(f"finding{i}" for i in range(FINDINGS)), max_length=LONG)
    sizes = {"hidden": width, "embedding": width, "transition": width}
    made = decoders.create("tienet", FeatureSpec(1024, 1024, (1, 7, 7)), targets, **sizes)
    with torch.no_grad():
        for parameter in made.parameters():  # clear winners, so that rounding does not choose the word
            parameter.mul_(4)
        made.out.weight[EOS] = (made.out.weight[5] + made.out.weight[6]) / 2  # never above both of them
        made.out.bias[EOS] = (made.out.bias[5] + made.out.bias[6]) / 2
    return made.eval()


@torch.inference_mode()
def plain(made, seen: Features, words: int = LONG) -> tuple[Tensor, Tensor]:  # type: ignore[no-untyped-def]
    """(B, T) words and (B, L) findings: the prefix read anew for each word, the report read once more at the end."""
    said = torch.full((len(seen.tokens), 1), BOS)
    for _ in range(words):
        logits = made.out(made.read(made.see(seen), said).hidden[:, -1])
        logits[:, [PAD, BOS]] = -torch.inf
        said = torch.cat([said, logits.argmax(-1, keepdim=True)], 1)
    return said[:, 1:], made.classify(made.read(made.see(seen), said), said)[0].sigmoid()


def main() -> None:
    model = annotator()
    rows = list(reports(ROWS))

    def run(count: int) -> None:
        for _ in annotate(model, reports(count)):
            pass

    spent = seconds(lambda: sum(1 for _ in annotate(model, rows)), repeats=3)
    run(ROWS)
    before = peak_mib()
    run(10 * ROWS)
    after = peak_mib()
    made, seen = writer(), features()
    settings = GenerationSettings(max_words=LONG - 1, max_sentences=1, attention=False)
    greedy = seconds(lambda: made.generate(seen, settings), repeats=2)
    start = time.perf_counter()
    plain(made, seen)
    base = time.perf_counter() - start
    emit(
        [
            Row(f"tienet-r, {WORDS} words", ROWS / spent, "reports/s", ROWS / spent / 1000, "1,000 reports/s", 1.0),
            Row("memory after ten times the rows", after, "MiB", after / before, "before", 1.1, True),
            Row(f"tienet-igr, plain reading, {REGIONS} regions", STUDIES / base, "reports/s"),
            Row(f"tienet-igr, greedy, {LONG} words", STUDIES / greedy, "reports/s", base / greedy, "plain", 20.0),
        ]
    )


if __name__ == "__main__":
    main()
