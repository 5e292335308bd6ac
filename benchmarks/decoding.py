"""Measure decoding alone: 16 studies × 6 sentences × 30 words, vocabulary 1,000, width 512, 49 regions, 10 tags.

The plain reading writes one sentence after another and runs the word LSTM over the whole prefix for every word. It has
the same weights and writes the same words (tests/benchmarks/test_plain_decoding.py). GPT-2 of six layers and width 512,
greedy, with its key-value cache, is measured for comparison; it writes 180 words in one row.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from benchmarks.measure import Row, Spread, emit, in_turns, per_second, ratio
from reportgen_core import Features, FeatureSpec, GenerationSettings, TargetSpec
from reportgen_core.registries import decoders
from reportgen_core.text.spec import BOS, EOS, PAD, SPECIAL

STUDIES, SENTENCES, WORDS, VOCABULARY, WIDTH, REGIONS, TAGS = 16, 6, 30, 1000, 512, 49, 10
SETTINGS = GenerationSettings(max_sentences=SENTENCES, max_words=WORDS)


def decoder(width: int = WIDTH, vocabulary: int = VOCABULARY):  # type: ignore[no-untyped-def]
    """Return hier-lstm with random weights that never stops and never ends a sentence, so that it writes all words."""
    torch.manual_seed(0)
    words = (*SPECIAL, *(f"w{i}" for i in range(vocabulary - len(SPECIAL))))
    tags = tuple(f"tag{i}" for i in range(210))
    spec = FeatureSpec(1024, 1024, (1, 7, 7))
    targets = TargetSpec(words, tags, max_sentences=SENTENCES, max_words=WORDS)
    sizes = {"hidden": width, "embedding": width, "tags_used": TAGS}
    decoder = decoders.create("hier-lstm", spec, targets, **sizes, stop_threshold=1.0)
    with torch.no_grad():
        for parameter in decoder.parameters():  # clear winners, so that rounding does not choose the word
            parameter.mul_(4)
        out = decoder.words.out.weight
        out[EOS] = (out[5] + out[6]) / 2  # never above both of them
    return decoder.eval()


def features(studies: int = STUDIES) -> Features:
    """Return random features of 49 regions."""
    draw = torch.Generator().manual_seed(1)
    tokens = torch.randn(studies, REGIONS, 1024, generator=draw)
    return Features(tokens, tokens.mean(1), torch.ones(studies, REGIONS, dtype=torch.bool))


@torch.inference_mode()
def plain(decoder, features: Features, sentences: int = SENTENCES, words: int = WORDS) -> Tensor:  # type: ignore[no-untyped-def]
    """Return words (B, S, W), written sentence by sentence; for each word the whole prefix is read again."""
    memory = decoder.remember(features)
    topics = decoder.unroll(memory, sentences).topics  # (B, S, E)
    report = []
    for s in range(sentences):
        prefix = torch.full((len(topics), 1), BOS)
        for _ in range(words):
            inputs = torch.cat([topics[:, s : s + 1], decoder.words.embedding(prefix)], 1)
            states, _ = decoder.words.lstm(inputs)
            logits = decoder.words.out(states[:, -1])
            logits[:, [PAD, BOS]] = -torch.inf
            prefix = torch.cat([prefix, logits.argmax(-1, keepdim=True)], 1)
        report.append(prefix[:, 1:])
    return torch.stack(report, 1)


def gpt2():  # type: ignore[no-untyped-def]
    """Return a run of GPT-2, 6 layers, width 512, vocabulary 1,000, 180 words for each of 16 studies."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=VOCABULARY,
        n_embd=WIDTH,
        n_layer=6,
        n_head=8,
        n_positions=256,
        bos_token_id=BOS,
        eos_token_id=None,
        pad_token_id=PAD,
    )
    model = GPT2LMHeadModel(config).eval()
    start = torch.full((STUDIES, 1), BOS)
    length = SENTENCES * WORDS
    return lambda: model.generate(start, max_new_tokens=length, min_new_tokens=length, do_sample=False, use_cache=True)


def main() -> None:
    hier_lstm, inputs = decoder(), features()

    def generate(settings: GenerationSettings = SETTINGS) -> None:
        with torch.inference_mode():
            hier_lstm.generate(inputs, settings)

    three_beams = replace(SETTINGS, beams=3)
    base, greedy, beam, gpt = in_turns(
        lambda: plain(hier_lstm, inputs), generate, lambda: generate(three_beams), gpt2()
    )
    size = f"{STUDIES} studies × {SENTENCES} sentences × {WORDS} words"

    def rate(seconds: list[float]) -> Spread:
        return per_second(STUDIES, seconds)

    emit(
        [
            Row(f"`hier-lstm`, {size}, plain reading, fp32", rate(base), "reports/s"),
            Row("the same, greedy", rate(greedy), "reports/s", ratio(base, greedy), "the plain reading", 20.0),
            Row("the same, beam 3", rate(beam), "reports/s", ratio(beam, greedy), "greedy's time", 3.5, True),
            Row("GPT-2, 6 layers, same width and words, cached", rate(gpt), "reports/s", ratio(gpt, greedy),
                "greedy's time"),
        ]
    )  # fmt: skip


if __name__ == "__main__":
    main()
