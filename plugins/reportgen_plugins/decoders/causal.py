"""gpt2, and any other causal decoder of transformers, with cross-attention over the regions of the image.

Hugging Face, https://github.com/huggingface/transformers; gpt2: Radford et al., Language Models are Unsupervised
Multitask Learners, 2019. The report is written as one row of our own words (the vocabulary of the training reports, no
subwords), so that it composes, trains and is scored like the other decoders. One linear layer takes the encoder's
tokens to the width of the model; cross-attention does the rest.

- The model is built from transformers' configuration of that name, changed by `config`; input and output embeddings are
  not shared. `pretrained` is a local folder in the format of transformers. The body starts from its weights, each
  word's embeddings from the mean of its pieces' if the folder has the tokenizer, cross-attention from random weights.
- The keys and values of the words are stored (the key-value cache); those of the image are computed once a study.
- The attention of a generated report is the mean over all layers and heads. So attention is always computed in full
  ("eager"), and a report does not depend on whether its attention is returned.
- The loss is the sum over the words of a study, mean over studies.

Letters: B studies, R rows of a search, K beams, N regions, T words, V vocabulary, H width.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer, EncoderDecoderCache

from reportgen_core import Decoded, Decoder, Features, FeatureSpec, Generated, GenerationSettings, Targets, TargetSpec
from reportgen_core.errors import OptionError
from reportgen_core.text.spec import BOS, EOS, PAD, SPECIAL
from reportgen_core.writing.report_words import StudyMemory, most_words, shift_targets, to_generated, word_loss
from reportgen_core.writing.word_search import SEARCH_SETTINGS, State, search


class CausalDecoder(Decoder):
    """A causal language model that reads the image by cross-attention.

    Args:
        name: name of the architecture in transformers: gpt2, bert, bart, …
        config: settings of that architecture, for example {"n_layer": 6}.
        pretrained: false, or a local folder with the weights of such a model.
    """

    needs = frozenset({"words"})
    follows = SEARCH_SETTINGS

    def __init__(
        self,
        features: FeatureSpec,
        targets: TargetSpec,
        *,
        name: str,
        config: Mapping[str, Any] | None = None,
        pretrained: bool | str = False,
    ) -> None:
        super().__init__(features, targets)
        self.model = build_transformer(name, dict(config or {}), len(targets.words))
        positions: int = getattr(self.model.config, "max_position_embeddings", 1 << 20)
        self.positions = positions - 2  # some architectures leave two unused
        if self.positions < targets.max_length + 1:
            raise OptionError(
                f"{name} has {self.positions} places, and a report here up to {targets.max_length} words and its end; "
                "give a config with more positions or a text with a lower max_length"
            )
        if pretrained is not False and torch.empty(0).device.type != "meta":
            start_from(self.model, name, dict(config or {}), pretrained, targets.words)
        parameters = dict(self.model.named_parameters())
        for key in parameters:  # BERT and its relatives have a bias twice and read the decoder's
            if key.endswith(".bias") and f"{key.removesuffix('bias')}decoder.bias" in parameters:
                parameters[key].requires_grad_(False)
        self.bridge = nn.Linear(features.dim, int(self.model.config.hidden_size))

    def decode(self, features: Features, targets: Targets) -> Decoded:
        """Return loss word, with teacher forcing."""
        assert targets.words is not None
        inputs, wanted, real = shift_targets(targets.words)
        out = self.model(
            input_ids=inputs,
            attention_mask=(inputs != PAD).long(),
            encoder_hidden_states=self.bridge(features.tokens),
            encoder_attention_mask=features.mask.long(),
            use_cache=False,
        )
        return word_loss(out.logits[real], wanted, real)

    @torch.inference_mode()
    def generate(self, features: Features, settings: GenerationSettings) -> list[Generated]:
        """Write the reports of all studies together."""
        step = _Step(self.model, self.bridge(features.tokens), features.mask, settings.attention)
        B, device = len(features.tokens), features.tokens.device
        length = min(most_words(self.targets, settings), self.positions)
        state = (torch.arange(B, device=device),)
        result = search(step, state, settings, rows=B, max_words=length)
        return to_generated(result, settings)


class _GrowingLayer(DynamicLayer):
    """Keys and values (R, heads, T, ·) of a layer, with free space after them, so that a new word copies no old one."""

    BLOCK = 16  # words by which the space grows

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)  # type: ignore[no-untyped-call]  # of transformers
        self.used = 0
        self.space: tuple[Tensor, Tensor] | None = None  # (R, heads, space, ·) each

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Store the keys and values of a word (R, heads, 1, ·), and return views of those of all words so far."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        if self.space is None:
            self.space = key_states[:, :, :0], value_states[:, :, :0]
        if self.used == self.space[0].shape[2]:
            self.space = _extend(self.space[0], self.BLOCK), _extend(self.space[1], self.BLOCK)
        end = self.used + key_states.shape[2]
        for space, new in zip(self.space, (key_states, value_states), strict=True):
            space[:, :, self.used : end] = new
        self.used = end
        self.keys, self.values = (space[:, :, :end] for space in self.space)
        return self.keys, self.values


def _extend(tensor: Tensor, more: int) -> Tensor:
    """Copy (R, heads, T, ·) to (R, heads, T + more, ·). The new positions are not initialised."""
    R, heads, T, width = tensor.shape
    wide = tensor.new_empty(R, heads, T + more, width)
    wide[:, :, :T] = tensor
    return wide


class _Step:
    """The step of a search. The state is the study of each row, then the keys and the values of each layer."""

    def __init__(self, model: Any, image: Tensor, mask: Tensor, attention: bool) -> None:
        self.model, self.attention = model, attention
        self.image, self.mask = image, mask.long()
        self.words: Any = Cache(layer_class_to_replicate=_GrowingLayer)
        self.memory: StudyMemory | None = None  # mask, then keys and values of the image, layer by layer
        self.image_cache: Any = DynamicCache()  # keys and values of the image, repeated for each beam
        self.rows, self.row_mask = 0, self.mask  # (R, N), repeated for each beam, once there are rows

    def __call__(self, words: Tensor, state: State) -> tuple[Tensor, State, Tensor | None]:
        studies, *spaces = state
        image = self.image
        if self.memory is not None:
            for layer, keys, values in zip(self.words.layers, spaces[::2], spaces[1::2], strict=True):
                layer.space = keys, values
            self._repeat(self.memory.of(studies), len(studies))
            image = image.new_zeros(1).expand(len(studies), *image.shape[1:])  # is not read again
        out = self.model(
            input_ids=words[:, None],
            past_key_values=EncoderDecoderCache(self.words, self.image_cache),
            encoder_hidden_states=image,
            encoder_attention_mask=self.row_mask,
            use_cache=True,
            output_attentions=self.attention,
        )
        if self.memory is None:
            cached = (t for layer in self.image_cache.layers for t in (layer.keys, layer.values))
            self.memory = StudyMemory(self.mask, *cached)
        spaces = [t for layer in self.words.layers for t in layer.space]
        weights = torch.stack(out.cross_attentions).mean((0, 2))[:, 0].float() if self.attention else None  # (R, N)
        return out.logits[:, -1].float(), (studies, *spaces), weights

    def _repeat(self, memory: tuple[Tensor, ...], rows: int) -> None:
        """Repeat the mask, keys and values of each study for its beams, if the number of rows has changed."""
        if self.rows == rows:
            return
        self.rows = rows
        beams = rows // len(memory[0])
        self.row_mask, *image = memory if beams == 1 else tuple(t.repeat_interleave(beams, 0) for t in memory)
        self.image_cache = DynamicCache()
        for layer in range(len(image) // 2):
            self.image_cache.update(image[2 * layer], image[2 * layer + 1], layer)


def build_transformer(name: str, config: dict[str, Any], words: int, *, cross: bool = True) -> Any:
    """Build an architecture of transformers with random weights, for a vocabulary of `words` words.

    Raises OptionError if transformers has no such decoder or setting, or the decoder has no cross-attention.
    """
    fixed = {
        "vocab_size": words,
        "bos_token_id": BOS,
        "eos_token_id": EOS,
        "pad_token_id": PAD,
        "decoder_start_token_id": BOS,
        "is_decoder": True,
        "is_encoder_decoder": False,
        "add_cross_attention": cross,
        "tie_word_embeddings": False,
    }
    for key in config:
        if key in fixed:
            raise OptionError(f"{name}: config cannot set {key!r}, which the data and the encoder decide")
    try:
        settings = AutoConfig.for_model(name, **config, **fixed)
        for key in ("activation_function", "hidden_act"):
            if getattr(settings, key, None) == "gelu_new":
                setattr(settings, key, "gelu_pytorch_tanh")  # the same function, in one call instead of eight
        known = set(type(settings)().to_dict()) | set(type(settings).attribute_map)
        factory: Any = AutoModelForCausalLM  # transformers has no types for it
        model = factory.from_config(settings, attn_implementation="eager")
    except (ValueError, KeyError, TypeError, ImportError) as e:
        raise OptionError(
            f"transformers builds no causal decoder {name!r} with {config}: {str(e).splitlines()[0][:200]}"
        ) from e
    for key in config:
        if key not in known:
            raise OptionError(
                f"{name} has no setting {key!r}; there are: {', '.join(sorted(known - fixed.keys())[:40])}, …"
            )
    if "encoder_hidden_states" not in inspect.signature(model.forward).parameters:
        raise OptionError(
            f"{name} has no cross-attention, so it cannot see an image; gpt2, bert, roberta and bart have it"
        )
    return model


def start_from(model: Any, name: str, config: dict[str, Any], pretrained: bool | str, words: tuple[str, ...]) -> None:
    """Copy the weights of a folder into the model, and each word's embeddings from the mean of its pieces'.

    Raises OptionError if the folder has no weights that fit.
    """
    folder = Path(str(pretrained)).expanduser()
    file = folder / "model.safetensors"
    if pretrained is True or not file.is_file():
        raise OptionError(f"pretrained={pretrained!r}: give a local folder that holds model.safetensors, or false")
    try:
        weights = load_file(file)
    except (SafetensorError, OSError) as e:
        raise OptionError(f"pretrained={pretrained!r}: {file} cannot be read: {e}") from e
    prefix = f"{model.base_model_prefix}."
    weights |= {prefix + key: value for key, value in weights.items() if not key.startswith(prefix)}
    ends = {id(part.weight) for part in (model.get_input_embeddings(), model.get_output_embeddings())}
    state = model.state_dict(keep_vars=True)
    with torch.device("meta"):
        body = build_transformer(name, config, len(words), cross=False).state_dict()
    with torch.no_grad():
        for key, value in state.items():
            if id(value) in ends or key.endswith((".position_ids", "lm_head.bias", "predictions.bias")):
                continue
            if key in weights and weights[key].shape == value.shape:
                value.copy_(weights[key])
            elif key in body:
                problem = f"is {tuple(weights[key].shape)}" if key in weights else "is missing"
                raise OptionError(
                    f"pretrained={pretrained!r} does not fit {name}: {key} {problem} and should be "
                    f"{tuple(value.shape)}; say in config what its config.json says"
                )
        _start_words(model, folder, weights, words)


def _start_words(model: Any, folder: Path, weights: Mapping[str, Tensor], words: tuple[str, ...]) -> None:
    """Set each word's embeddings to the mean of its pieces', if the folder has the tokenizer."""
    if not (folder / "tokenizer.json").is_file():
        return
    key = next(k for k, v in model.state_dict(keep_vars=True).items() if v is model.get_input_embeddings().weight)
    tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    for i, word in enumerate(words[len(SPECIAL) :], len(SPECIAL)):
        pieces = tokenizer(f" {word}", add_special_tokens=False)["input_ids"]
        if pieces and key in weights:
            for part in (model.get_input_embeddings(), model.get_output_embeddings()):
                part.weight[i] = weights[key][pieces].mean(0)
