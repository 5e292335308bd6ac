"""gpt2, and any other causal decoder of transformers, with cross-attention over the regions of the image.

Hugging Face, https://github.com/huggingface/transformers; gpt2: Radford et al., Language Models are Unsupervised
Multitask Learners, 2019. The report is written as one row of our own words (the vocabulary of the training reports, no
subwords), so that it composes, trains and is scored like the other decoders. One linear layer takes the encoder's
tokens to the width of the model; cross-attention does the rest.

- The model is built from transformers' configuration of that name, changed by `config`; input and output embeddings are
  two. `pretrained` is a local folder as transformers saves it: the body starts from its weights, a word's embeddings as
  the mean of its pieces' where the folder has the tokenizer, and cross-attention at random.
- The keys and values of what was read are kept (the key-value cache); those of the image are computed once a study.
- The attention that is kept with a report is the mean over all layers and heads. So attention is computed in full
  ("eager"), always, for reports that do not depend on whether somebody wants to see it.
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

from .blocks.report_words import Held, most_words, taught, word_loss, written
from .blocks.search import State, search


class CausalDecoder(Decoder):
    """A causal language model that reads the image by cross-attention.

    Args:
        name: what transformers calls the architecture: gpt2, bert, bart, …
        config: settings of that architecture, as {"n_layer": 6}.
        pretrained: false, or a local folder with the weights of such a model.
    """

    needs = frozenset({"words"})

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
        self.model = build(name, dict(config or {}), len(targets.words))
        self.positions: int = (
            getattr(self.model.config, "max_position_embeddings", 1 << 20) - 2
        )  # some leave two unused
        if self.positions < targets.max_length + 1:
            raise OptionError(
                f"{name} has {self.positions} places, and a report here up to {targets.max_length} words and its end; "
                "give a config with more positions or a text with a lower max_length"
            )
        if pretrained is not False and torch.empty(0).device.type != "meta":
            start_from(self.model, name, dict(config or {}), pretrained, targets.words)
        parameters = dict(self.model.named_parameters())
        for key in parameters:  # BERT's kin keep a bias twice and read the one of the decoder
            if key.endswith(".bias") and f"{key.removesuffix('bias')}decoder.bias" in parameters:
                parameters[key].requires_grad_(False)
        self.bridge = nn.Linear(features.dim, int(self.model.config.hidden_size))

    def decode(self, features: Features, targets: Targets) -> Decoded:
        """Loss word, teacher forced."""
        assert targets.words is not None
        read, wanted, real = taught(targets.words)
        out = self.model(
            input_ids=read,
            attention_mask=(read != PAD).long(),
            encoder_hidden_states=self.bridge(features.tokens),
            encoder_attention_mask=features.mask.long(),
            use_cache=False,
        )
        return word_loss(out.logits[real], wanted, real)

    @torch.inference_mode()
    def generate(self, features: Features, settings: GenerationSettings) -> list[Generated]:
        """All reports are written together."""
        step = _Step(self.model, self.bridge(features.tokens), features.mask, settings.attention)
        B, device = len(features.tokens), features.tokens.device
        length = min(most_words(self.targets, settings), self.positions)
        state = (torch.arange(B, device=device),)
        found = search(step, state, rows=B, beams=settings.beams, max_words=length, attention=settings.attention)
        return written(found, settings)


class _Room(DynamicLayer):
    """One layer's keys and values (R, heads, T, ·), with room behind them: a word is written, what is there stays."""

    MORE = 16  # words that room is made for at a time

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)  # type: ignore[no-untyped-call]  # theirs
        self.used = 0
        self.room: tuple[Tensor, Tensor] | None = None  # (R, heads, room, ·) each

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Write the keys and values of a word (R, heads, 1, ·); those of all words that were read, as views."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        if self.room is None:
            self.room = key_states[:, :, :0], value_states[:, :, :0]
        if self.used == self.room[0].shape[2]:
            self.room = _widened(self.room[0], self.MORE), _widened(self.room[1], self.MORE)
        end = self.used + key_states.shape[2]
        for room, one in zip(self.room, (key_states, value_states), strict=True):
            room[:, :, self.used : end] = one
        self.used = end
        self.keys, self.values = (room[:, :, :end] for room in self.room)
        return self.keys, self.values


def _widened(tensor: Tensor, more: int) -> Tensor:
    """(R, heads, T, ·) -> (R, heads, T + more, ·), not filled behind T."""
    R, heads, T, width = tensor.shape
    wide = tensor.new_empty(R, heads, T + more, width)
    wide[:, :, :T] = tensor
    return wide


class _Step:
    """One word further. The state is the study of each row, then the rooms of keys and values of each layer."""

    def __init__(self, model: Any, image: Tensor, mask: Tensor, attention: bool) -> None:
        self.model, self.attention = model, attention
        self.image, self.mask = image, mask.long()
        self.read: Any = Cache(layer_class_to_replicate=_Room)
        self.held: Held | None = None  # mask, then keys and values of the image, layer by layer
        self.seen: Any = DynamicCache()  # the same, once for each beam
        self.rows, self.beams = 0, self.mask  # (R, N); no rows yet: what is held is not laid out for them

    def __call__(self, words: Tensor, state: State) -> tuple[Tensor, State, Tensor | None]:
        who, *rooms = state
        image = self.image
        if self.held is not None:
            for layer, keys, values in zip(self.read.layers, rooms[::2], rooms[1::2], strict=True):
                layer.room = keys, values
            self._look(self.held.of(who), len(who))
            image = image.new_zeros(1).expand(len(who), *image.shape[1:])  # is not read again
        out = self.model(
            input_ids=words[:, None],
            past_key_values=EncoderDecoderCache(self.read, self.seen),
            encoder_hidden_states=image,
            encoder_attention_mask=self.beams,
            use_cache=True,
            output_attentions=self.attention,
        )
        if self.held is None:
            self.held = Held(self.mask, *(t for layer in self.seen.layers for t in (layer.keys, layer.values)))
        kept = tuple(t for layer in self.read.layers for t in layer.room)
        looked = torch.stack(out.cross_attentions).mean((0, 2))[:, 0].float() if self.attention else None  # (R, N)
        return out.logits[:, -1].float(), (who, *kept), looked

    def _look(self, held: tuple[Tensor, ...], rows: int) -> None:
        """What is held of each study, for each of its beams; made anew only when there are other rows."""
        if self.rows == rows:
            return
        self.rows = rows
        each = rows // len(held[0])
        self.beams, *image = held if each == 1 else tuple(t.repeat_interleave(each, 0) for t in held)
        self.seen = DynamicCache()
        for layer in range(len(image) // 2):
            self.seen.update(image[2 * layer], image[2 * layer + 1], layer)


def build(name: str, config: dict[str, Any], words: int, *, cross: bool = True) -> Any:
    """The architecture with random weights, for so many words. Raises OptionError where there is no such decoder."""
    ours = {
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
        if key in ours:
            raise OptionError(f"{name}: config cannot set {key!r}, which the data and the encoder decide")
    try:
        made = AutoConfig.for_model(name, **config, **ours)
        for key in ("activation_function", "hidden_act"):
            if getattr(made, key, None) == "gelu_new":
                setattr(made, key, "gelu_pytorch_tanh")  # the same function, in one call for eight
        known = set(type(made)().to_dict()) | set(type(made).attribute_map)
        model = AutoModelForCausalLM.from_config(made, attn_implementation="eager")  # type: ignore[no-untyped-call]  # theirs
    except (ValueError, KeyError, TypeError, ImportError) as e:
        raise OptionError(
            f"transformers builds no causal decoder {name!r} with {config}: {str(e).splitlines()[0][:200]}"
        ) from e
    for key in config:
        if key not in known:
            raise OptionError(
                f"{name} has no setting {key!r}; there are: {', '.join(sorted(known - ours.keys())[:40])}, …"
            )
    if "encoder_hidden_states" not in inspect.signature(model.forward).parameters:
        raise OptionError(
            f"{name} has no cross-attention, so it cannot see an image; gpt2, bert, roberta and bart have it"
        )
    return model


def start_from(model: Any, name: str, config: dict[str, Any], pretrained: bool | str, words: tuple[str, ...]) -> None:
    """Fill the body with the weights of a folder, and the words with the means of their pieces. Raises OptionError."""
    folder = Path(str(pretrained)).expanduser()
    file = folder / "model.safetensors"
    if pretrained is True or not file.is_file():
        raise OptionError(f"pretrained={pretrained!r}: give a local folder that holds model.safetensors, or false")
    try:
        found = load_file(file)
    except (SafetensorError, OSError) as e:
        raise OptionError(f"pretrained={pretrained!r}: {file} cannot be read: {e}") from e
    prefix = f"{model.base_model_prefix}."
    found |= {prefix + key: value for key, value in found.items() if not key.startswith(prefix)}
    ends = {id(part.weight) for part in (model.get_input_embeddings(), model.get_output_embeddings())}
    state = model.state_dict(keep_vars=True)
    with torch.device("meta"):
        body = build(name, config, len(words), cross=False).state_dict()
    with torch.no_grad():
        for key, value in state.items():
            if id(value) in ends or key.endswith((".position_ids", "lm_head.bias", "predictions.bias")):
                continue
            if key in found and found[key].shape == value.shape:
                value.copy_(found[key])
            elif key in body:
                there = f"is {tuple(found[key].shape)}" if key in found else "is missing"
                raise OptionError(
                    f"pretrained={pretrained!r} does not fit {name}: {key} {there} and should be {tuple(value.shape)}; "
                    "say in config what its config.json says"
                )
        _spell(model, folder, found, words)


def _spell(model: Any, folder: Path, found: Mapping[str, Tensor], words: tuple[str, ...]) -> None:
    """Start each word's embeddings at the mean of its pieces', where the folder holds the tokenizer."""
    if not (folder / "tokenizer.json").is_file():
        return
    key = next(k for k, v in model.state_dict(keep_vars=True).items() if v is model.get_input_embeddings().weight)
    tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    for i, word in enumerate(words[len(SPECIAL) :], len(SPECIAL)):
        pieces = tokenizer(f" {word}", add_special_tokens=False)["input_ids"]
        if pieces and key in found:
            for part in (model.get_input_embeddings(), model.get_output_embeddings()):
                part.weight[i] = found[key][pieces].mean(0)
