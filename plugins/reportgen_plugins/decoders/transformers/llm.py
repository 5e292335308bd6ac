"""llm: a causal language model that reads the image as tokens before the words of the report.

Wang et al.: R2GenGPT: Radiology Report Generation with Frozen LLMs, Meta-Radiology 2023, arXiv:2309.09812; section
numbers are the paper's. One linear layer and a layer norm take the encoder's tokens to the width of the language model
(section 3.2). Between two marks they stand before the report, and the loss is on the words of the report alone.

    <image> LN(W v_1) … LN(W v_N) </image> BOS w_1 … w_T        p(w_t) from everything that stands before it

Where we depart:
- The paper's prompt has an instruction in words and the marks of a chat. Here the two marks of the image are learned
  vectors, and there is no instruction: the model writes nothing but reports.
- The paper's model is Llama-2-7B as it was trained. Here it is any causal model of transformers, with random
  weights or those of a folder. The words are those of the text recipe; with recipe `subwords` and the folder's
  tokenizer they are the model's own pieces and keep its vectors. Those of BOS and EOS are named in config.json.
- `learn="mapper"` is the paper's "shallow alignment", where only the mapper (here also the marks) learns. Low-rank
  adapters (`lora`) are put on the language model; the paper's "delta alignment" has them in the encoder.
- The attention of a word is the mean over all layers and heads, from the place that predicts the word to the image's
  tokens, divided by its sum over them. So attention is always computed in full ("eager").

Letters: B studies, R rows of a search, N image tokens, P = N + 2 places before BOS, D width of the image tokens,
H width of the model, T words, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers.cache_utils import Cache

from reportgen_core import Decoded, Decoder, Features, FeatureSpec, Generated, GenerationSettings, Targets, TargetSpec
from reportgen_core.errors import OptionError
from reportgen_core.text.spec import PAD
from reportgen_core.writing.report_words import most_words, shift_targets, to_generated, word_loss
from reportgen_core.writing.word_search import SEARCH_SETTINGS, State, search

from ..blocks.language_folder import settled, start_from_folder
from ..causal import GrowingLayer, build_transformer

LEARN = ("all", "mapper")
SMALLEST = 1e-12


class LanguageModel(Decoder):
    """A causal language model over image tokens and words.

    Args:
        architecture: its name in transformers: gpt2, llama, qwen2, …; a folder in `pretrained` decides it.
        config: settings of that architecture, for example {"n_layer": 6}; likewise.
        pretrained: false, or a local folder with the config.json, the weights and the tokenizer.json of such a model.
        learn: what learns: all, or the mapper alone (with `lora`, the adapters too).
        lora: rank of low-rank adapters on the language model, which then does not learn itself; 0: none.
        lora_alpha: their scale: the adapters' output is multiplied by lora_alpha / lora.
        lora_targets: names of the layers that get adapters; none: those that peft knows for the architecture.
    """

    needs = frozenset({"words"})
    follows = SEARCH_SETTINGS

    def __init__(
        self,
        features: FeatureSpec,
        targets: TargetSpec,
        *,
        architecture: str = "gpt2",
        config: Mapping[str, Any] | None = None,
        pretrained: bool | str = False,
        learn: str = "all",
        lora: int = 0,
        lora_alpha: int = 16,
        lora_targets: Sequence[str] = (),
    ) -> None:
        super().__init__(features, targets)
        if learn not in LEARN:
            raise OptionError(f"llm has no learn={learn!r}; there are: {', '.join(LEARN)}")
        self.model = build_transformer(architecture, dict(config or {}), len(targets.words), cross=False)
        width = int(self.model.config.hidden_size)
        self.before = features.tokens + 2  # P
        positions: int = getattr(self.model.config, "max_position_embeddings", 1 << 20)
        if positions < self.before + 1 + targets.max_length:
            raise OptionError(
                f"{architecture} has {positions} places; {features.tokens} image tokens, two marks, the start and a "
                f"report of up to {targets.max_length} words need {self.before + 1 + targets.max_length}; give a "
                "config with more positions, an encoder with fewer tokens or a text with a lower max_length"
            )
        if pretrained is not False and torch.empty(0).device.type != "meta":
            start_from_folder(self.model, pretrained, targets.words, name=architecture)
        if lora:
            add_adapters(self.model, architecture, lora, lora_alpha, lora_targets)
        elif learn == "mapper":
            self.model.requires_grad_(False)
        self.mapper = nn.Linear(features.dim, width)
        self.norm = nn.LayerNorm(width)
        self.marks = nn.Parameter(torch.randn(2, width) * 0.02)  # before and after the image

    @classmethod
    def settle_options(cls, options: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the options with the architecture of the folder in `pretrained`. Raises OptionError."""
        return settled(options)

    def read_image(self, features: Features) -> tuple[Tensor, Tensor]:
        """Return what stands before BOS (B, P, H), and which places of it are real (B, P)."""
        image = self.norm(self.mapper(features.tokens))  # (B, N, H)
        first, last = (mark.expand(len(image), 1, -1).to(image.dtype) for mark in self.marks)
        ones = features.mask.new_ones(len(image), 1)
        return torch.cat([first, image, last], 1), torch.cat([ones, features.mask, ones], 1)

    def decode(self, features: Features, targets: Targets) -> Decoded:
        """Return loss word, with teacher forcing."""
        assert targets.words is not None
        inputs, wanted, real = shift_targets(targets.words)
        prefix, seen = self.read_image(features)
        words = self.model.get_input_embeddings()(inputs)  # (B, T, H)
        out = self.model(
            inputs_embeds=torch.cat([prefix, words.to(prefix.dtype)], 1),
            attention_mask=torch.cat([seen, inputs != PAD], 1).long(),
            position_ids=places(inputs, 0, self.before + inputs.shape[1]),
            use_cache=False,
        )
        return word_loss(out.logits[:, self.before :][real], wanted, real)

    @torch.inference_mode()
    def generate(self, features: Features, settings: GenerationSettings) -> list[Generated]:
        """Write the reports of all studies together. The image is read once; keys and values of words are kept."""
        B, device = len(features.tokens), features.tokens.device
        step = _Step(self.model, *self.read_image(features), settings.attention)
        length = most_words(self.targets, settings)
        result = search(step, (torch.arange(B, device=device),), settings, rows=B, max_words=length)
        return to_generated(result, settings)


def places(like: Tensor, first: int, count: int) -> Tensor:
    """Return the places (R, count) of the next words, from `first` on, for the rows of `like`."""
    return torch.arange(first, first + count, device=like.device).expand(len(like), -1)


class _Step:
    """The step of a search. The state is the study of each row, then the keys and the values of each layer."""

    def __init__(self, model: Any, prefix: Tensor, seen: Tensor, attention: bool) -> None:
        self.model, self.prefix, self.seen, self.attention = model, prefix, seen, attention
        self.cache: Any = Cache(layer_class_to_replicate=GrowingLayer)

    def __call__(self, words: Tensor, state: State) -> tuple[Tensor, State, Tensor | None]:
        studies, *spaces = state
        inputs = self.model.get_input_embeddings()(words[:, None])  # (R, 1, H)
        used = self.prefix.shape[1]
        if spaces:
            used = self.cache.layers[0].used
            for layer, keys, values in zip(self.cache.layers, spaces[::2], spaces[1::2], strict=True):
                layer.space = keys, values
        else:
            inputs = torch.cat([self.prefix, inputs.to(self.prefix.dtype)], 1)  # (B, P + 1, H)
        seen = self.seen[studies]  # (R, P)
        written = seen.new_ones(len(seen), used + 1 - seen.shape[1])
        out = self.model(
            inputs_embeds=inputs,
            attention_mask=torch.cat([seen, written], 1).long(),
            position_ids=places(inputs, used + 1 - inputs.shape[1], inputs.shape[1]),
            past_key_values=self.cache,
            use_cache=True,
            output_attentions=self.attention,
        )
        spaces = [t for layer in self.cache.layers for t in layer.space]
        return out.logits[:, -1].float(), (studies, *spaces), self._image_weights(out, seen)

    def _image_weights(self, out: Any, seen: Tensor) -> Tensor | None:
        """Return the share (R, N) of each image token in the attention to the image, from the newest place."""
        if not self.attention:
            return None
        weights = torch.stack([a[:, :, -1, 1 : seen.shape[1] - 1] for a in out.attentions]).float().mean((0, 2))
        weights = weights * seen[:, 1:-1]
        return weights / weights.sum(1, keepdim=True).clamp(min=SMALLEST)


def add_adapters(model: Any, name: str, rank: int, alpha: int, targets: Sequence[str]) -> None:
    """Put low-rank adapters into a model, and let nothing else of it learn (Hu et al., arXiv:2106.09685; peft).

    Raises OptionError without peft, and for layers that the architecture does not have.
    """
    if isinstance(rank, bool) or not isinstance(rank, int) or rank < 1:
        raise OptionError(f"lora is the rank of the adapters, a whole number of at least 1 or 0 for none; got {rank!r}")
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as e:
        raise OptionError("lora needs the package peft: pip install 'reportgen[peft]'") from e
    wanted = LoraConfig(r=rank, lora_alpha=alpha, target_modules=list(targets) or None, lora_dropout=0.0)
    try:
        inject_adapter_in_model(wanted, model)  # nothing but adapters learns from here on
    except ValueError as e:
        there = sorted({key.rpartition(".")[2] for key, part in model.named_modules() if hasattr(part, "weight")})
        missing = ", ".join(targets) or "that peft knows"
        raise OptionError(f"lora: {name} has no layers {missing}; lora_targets may be: {', '.join(there)}") from e
