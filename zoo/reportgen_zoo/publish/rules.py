"""The names of tensors in legacy checkpoints, and the names that the same tensors have in our models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

RESNET = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4"}  # a Sequential's order
UNNAMED = ("r2gen", "coattention-2018")  # formats in which a ResNet is such a Sequential
WORDS, TAGS = "words", "tags"  # what a tensor has a row for


@dataclass(frozen=True, slots=True)
class Rule:
    """Tensors whose names match `pattern` are copied to `target`; "encoder:NAME" is a name in timm."""

    pattern: str
    target: str
    rows: str = ""


def _r2gen() -> Iterator[Rule]:
    """Yield the rules for the transformers of R2Gen and of R2GenCMN, whose plain norms have other names."""
    at, wb = r"encoder_decoder\.", r"(weight|bias)"
    attentions = {
        r"model\.encoder\.layers\.(\d+)\.self_attn": r"image.layers.\1.attention",
        r"model\.decoder\.layers\.(\d+)\.self_attn": r"words.layers.\1.words",
        r"model\.decoder\.layers\.(\d+)\.src_attn": r"words.layers.\1.image",
        r"(model)\.rm\.attn": "memory.attention",
        r"(model\.)?cmn": "memory.attention",  # the file has these twice
    }
    for theirs, ours in attentions.items():
        for number, part in enumerate(("query", "key", "value", "out")):
            yield Rule(rf"{at}{theirs}\.linears\.{number}\.{wb}", rf"decoder.{ours}.{part}.\2")
    norms = {"gamma": "(?:gamma|a_2)", "beta": "(?:beta|b_2)"}
    for theirs, ours in (("encoder", "image"), ("decoder", "words")):
        layers = rf"{at}model\.{theirs}\.layers\.(\d+)\."
        for number, place in ((1, 0), (2, 3)):
            yield Rule(rf"{layers}feed_forward\.w_{number}\.{wb}", rf"decoder.{ours}.layers.\1.feed.{place}.\2")
        for name, names in norms.items():
            yield Rule(rf"{layers}sublayer\.(\d)\.norm\.{names}", rf"decoder.{ours}.layers.\1.norms.\2.{name}")
            yield Rule(rf"{at}model\.{theirs}\.norm\.{names}", f"decoder.{ours}.norm.{name}")
            mlp = rf"sublayer\.(\d)\.norm\.mlp_{name}\.(\d)\.{wb}"
            yield Rule(layers + mlp, rf"decoder.{ours}.layers.\1.norms.\2.{name}_mlp.\3.\4")
    yield Rule(rf"{at}att_embed\.0\.{wb}", r"decoder.image.project.0.\1")
    yield Rule(rf"{at}model\.tgt_embed\.0\.lut\.weight", "decoder.words.embedding.weight", WORDS)
    yield Rule(rf"{at}logit\.{wb}", r"decoder.words.out.\1", WORDS)
    yield Rule(rf"{at}model\.rm\.mlp\.(\d)\.{wb}", r"decoder.memory.mlp.\1.\2")
    yield Rule(rf"{at}model\.rm\.W\.{wb}", r"decoder.memory.word_gates.\1")
    yield Rule(rf"{at}model\.rm\.U\.{wb}", r"decoder.memory.memory_gates.\1")
    yield Rule(rf"{at}memory_matrix", "decoder.memory.vectors")


class Placed(NamedTuple):
    """A tensor of a checkpoint that has a place in a model."""

    target: str  # the model's name
    source: str  # the checkpoint's name
    rows: str  # WORDS or TAGS, what it has a row for; "" for other tensors
    tensor: Tensor


_LSTM = "(weight_ih|weight_hh|bias_ih|bias_hh)_l0"
RULES: Mapping[str, tuple[Rule, ...]] = {
    "timm": (Rule(r"(.*)", r"encoder:\1"),),
    "torchvision": (Rule(r"(.*)", r"encoder:\1"),),
    "r2gen": (Rule(r"visual_extractor\.model\.(\d)\.(.*)", r"encoder:\1.\2"), *_r2gen()),
    "coattention-2018": (
        Rule(r"extractor\.(?:resnet|model)\.(\d)\.(.*)", r"encoder:\1.\2"),
        Rule(r"mlc\.classifier\.(weight|bias)", r"decoder.tags.own.\1", TAGS),
        Rule(r"mlc\.embed\.weight", "decoder.tags.embedding.weight", TAGS),
        Rule(rf"sentence_model\.lstm\.{_LSTM}", r"decoder.sentence.\1"),
        Rule(r"sentence_model\.W_t_h\.weight", "decoder.topic_hidden.weight"),
        Rule(r"sentence_model\.W_t_ctx\.weight", "decoder.topic_context.weight"),
        Rule(r"sentence_model\.W_stop_s_1\.weight", "decoder.stop_before.weight"),
        Rule(r"sentence_model\.W_stop_s\.weight", "decoder.stop_now.weight"),
        Rule(r"sentence_model\.W_stop\.weight", "decoder.stop.weight"),
        Rule(r"word_model\.embed\.weight", "decoder.words.embedding.weight", WORDS),
        Rule(rf"word_model\.lstm\.{_LSTM}", r"decoder.words.lstm.\1_l0"),
        Rule(r"word_model\.linear\.weight", "decoder.words.out.weight", WORDS),
    ),
}
