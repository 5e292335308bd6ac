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
- With `context` the model reads the indication and the prior report before it writes: a prefix of at most
  `context_words` words, each text with an end mark, that ends where the report begins. The prefix is no part of the
  loss. A report begins at the same place whatever the length of the prefix, so that it does not depend on the batch.

Letters: B studies, R rows of a search, K beams, N regions, T words, V vocabulary, H width.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer, EncoderDecoderCache

from reportgen_core import Decoded, Decoder, Features, FeatureSpec, Generated, GenerationSettings, Targets, TargetSpec
from reportgen_core.data import Context
from reportgen_core.errors import OptionError
from reportgen_core.text.spec import BOS, EOS, PAD
from reportgen_core.writing.report_words import StudyMemory, most_words, shift_targets, to_generated, word_loss
from reportgen_core.writing.word_search import SEARCH_SETTINGS, State, search

from .blocks.language_folder import start_from_folder


class CausalDecoder(Decoder):
    """A causal language model that reads the image by cross-attention.

    Args:
        name: name of the architecture in transformers: gpt2, bert, bart, …
        config: settings of that architecture, for example {"n_layer": 6}.
        pretrained: false, or a local folder with the weights of such a model.
        context: whether it reads the indication and the prior report before it writes.
        context_words: the most words of both, end marks counted; the rest is cut, and the report's note says so.
    """

    needs = frozenset({"words"})
    follows = SEARCH_SETTINGS
    takes_context: Mapping[str, str]

    def __init__(
        self,
        features: FeatureSpec,
        targets: TargetSpec,
        *,
        name: str,
        config: Mapping[str, Any] | None = None,
        pretrained: bool | str = False,
        context: bool = False,
        context_words: int = 128,
    ) -> None:
        super().__init__(features, targets)
        if context_words < 2:
            raise OptionError(f"context_words={context_words} is too few: two texts have two end marks")
        self.takes_context = dict.fromkeys(READ, "optional") if context else {}
        self.columns = context_words if context else 0  # before the report
        self.model = build_transformer(name, dict(config or {}), len(targets.words))
        positions: int = getattr(self.model.config, "max_position_embeddings", 1 << 20)
        self.positions = positions - 2 - self.columns  # some architectures leave two unused
        if self.positions < targets.max_length + 1:
            before = f" after {self.columns} words of context" if context else ""
            raise OptionError(
                f"{name} has {self.positions} places{before}, and a report here up to {targets.max_length} words and "
                "its end; give a config with more positions or a text with a lower max_length"
            )
        self.takes_places = "position_ids" in inspect.signature(self.model.forward).parameters
        if pretrained is not False and torch.empty(0).device.type != "meta":
            with torch.device("meta"):
                body = build_transformer(name, dict(config or {}), len(targets.words), cross=False).state_dict()
            start_from_folder(self.model, pretrained, targets.words, name=name, body=body, needs_words=False)
        parameters = dict(self.model.named_parameters())
        for key in parameters:  # BERT and its relatives have a bias twice and read the decoder's
            if key.endswith(".bias") and f"{key.removesuffix('bias')}decoder.bias" in parameters:
                parameters[key].requires_grad_(False)
        self.bridge = nn.Linear(features.dim, int(self.model.config.hidden_size))

    def decode(self, features: Features, targets: Targets, context: Sequence[Context] = ()) -> Decoded:
        """Return loss word, with teacher forcing."""
        assert targets.words is not None
        inputs, wanted, real = shift_targets(targets.words)
        prefix = self._prefix(context, inputs)
        words = torch.cat([prefix, inputs], 1)  # (B, C + T)
        out = self.model(
            input_ids=words,
            attention_mask=(words != PAD).long(),
            encoder_hidden_states=self.bridge(features.tokens),
            encoder_attention_mask=features.mask.long(),
            use_cache=False,
            **_places(words, self._first_place(prefix)),
        )
        return word_loss(out.logits[:, prefix.shape[1] :][real], wanted, real)

    def _prefix(self, context: Sequence[Context], words: Tensor) -> Tensor:
        """Return the contexts as rows (B, C) that end where the reports `words` (B, ·) begin, with PAD before them.

        C is the longest length, or the most that is allowed if the architecture counts places by itself.
        """
        rows = [self._read_words(c) for c in context] or [[]] * len(words)
        C = max(map(len, rows), default=0) if self.takes_places else self.columns
        prefix = words.new_full((len(words), C), PAD)
        for b, row in enumerate(rows):
            prefix[b, C - len(row) :] = torch.tensor(row, dtype=prefix.dtype, device=prefix.device)
        return prefix

    def _first_place(self, prefix: Tensor) -> int | None:
        """Return the place of the first column of a prefix; None if the model is not told places."""
        return self.columns - prefix.shape[1] if self.columns and self.takes_places else None

    def _read_words(self, context: Context) -> list[int]:
        words = _context_words(context)
        return [*words[: self.columns - 1], EOS] if words else []

    def context_note(self, context: Context) -> str:
        """Return a line on the words of a context beyond `context_words`; "" if all are read."""
        count = len(_context_words(context)) + 1
        if count <= max(self.columns, 1):
            return ""
        return f"the context is cut after {self.columns - 1} of its {count - 1} words (context_words={self.columns})"

    def first_state(self, features: Features) -> tuple[State, State]:
        """Return the words so far (B, T), none of at most T, and their number (B,); and what they attend to."""
        words = features.mask.new_full((len(features.mask), self.targets.max_length), PAD, dtype=torch.long)
        return (words, words[:, 0].clone()), (self.bridge(features.tokens), features.mask)

    def next_word(self, words: Tensor, state: State, memory: State) -> tuple[Tensor, State]:
        """Return the logits (B, V) after words (B,), and the new state. All words so far are read again."""
        (before, count), (image, mask) = state, memory
        place = torch.arange(before.shape[1], device=words.device)
        now = torch.where(place == count[:, None], words[:, None], before)
        prefix = now.new_full((len(now), 0 if self.takes_places else self.columns), PAD)  # of an empty context
        rows = torch.cat([prefix, now], 1)
        out = self.model(
            input_ids=rows,
            attention_mask=(rows != PAD).long(),
            encoder_hidden_states=image,
            encoder_attention_mask=mask.long(),
            use_cache=False,
            **_places(rows, self._first_place(prefix)),
        )
        logits: Tensor = out.logits[:, prefix.shape[1] :]
        here = count[:, None, None].expand(-1, 1, logits.shape[-1])
        return logits.gather(1, here).squeeze(1).float(), (now, count + 1)

    @torch.inference_mode()
    def generate(
        self, features: Features, settings: GenerationSettings, context: Sequence[Context] = ()
    ) -> list[Generated]:
        """Write the reports of all studies together."""
        starts = torch.full((len(features.tokens), 1), BOS, device=features.tokens.device)
        prefix = self._prefix(context, starts)
        step = _Step(self.model, self.bridge(features.tokens), features.mask, settings.attention)
        step.read_first(prefix, self._first_place(prefix))
        B, device = len(features.tokens), features.tokens.device
        length = min(most_words(self.targets, settings), self.positions)
        state = (torch.arange(B, device=device),)
        result = search(step, state, settings, rows=B, max_words=length)
        return to_generated(result, settings)


READ = ("indication", "prior_report")  # the texts of a context that are read, in this order


def _context_words(context: Context) -> list[int]:
    """Return the ids of the words that are read of a context, with an end mark between the texts; [] without words."""
    indication, prior = (context.words.get(name, ()) for name in READ)
    return [*indication, EOS, *prior] if indication or prior else []


def _places(words: Tensor, first: int | None) -> dict[str, Tensor]:
    """Return the places of words (R, T) for the model, from `first` on; {} if it counts them itself."""
    if first is None:
        return {}
    places = torch.arange(first, first + words.shape[1], device=words.device)
    return {"position_ids": places.expand(len(words), -1)}


class GrowingLayer(DynamicLayer):
    """Keys and values (R, heads, T, ·) of a layer, with free space after them, so that a new word copies no old one."""

    BLOCK = 16  # words by which the space grows

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)  # type: ignore[no-untyped-call]  # of transformers
        self.used = 0
        self.space: tuple[Tensor, Tensor] | None = None  # (R, heads, space, ·) each

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Store the keys and values of words (R, heads, n, ·), and return views of those of all words so far."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        if self.space is None:
            self.space = key_states[:, :, :0], value_states[:, :, :0]
        end = self.used + key_states.shape[2]
        if (missing := end - self.space[0].shape[2]) > 0:
            more = max(missing, self.BLOCK)
            self.space = _extend(self.space[0], more), _extend(self.space[1], more)
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
        self.words: Any = Cache(layer_class_to_replicate=GrowingLayer)
        self.memory: StudyMemory | None = None  # mask, then keys and values of the image, layer by layer
        self.image_cache: Any = DynamicCache()  # keys and values of the image, repeated for each beam
        self.rows, self.row_mask = 0, self.mask  # (R, N), repeated for each beam, once there are rows
        self.read_first(torch.empty(len(mask), 0, dtype=torch.long, device=mask.device), None)

    def read_first(self, prefix: Tensor, place: int | None) -> None:
        """Read a prefix (B, C) before the first word of each study. `place` is the place of its first column."""
        self.prefix, self.place = prefix, place
        self.before = self.row_before = (prefix != PAD).long()  # (B, C) and (R, C)

    def __call__(self, words: Tensor, state: State) -> tuple[Tensor, State, Tensor | None]:
        studies, *spaces = state
        image, ids = self.image, words[:, None]
        if self.memory is None:
            ids = torch.cat([self.prefix, ids], 1)
        else:
            for layer, keys, values in zip(self.words.layers, spaces[::2], spaces[1::2], strict=True):
                layer.space = keys, values
            self._repeat(self.memory.of(studies), len(studies))
            image = image.new_zeros(1).expand(len(studies), *image.shape[1:])  # is not read again
        out = self.model(
            input_ids=ids,
            past_key_values=EncoderDecoderCache(self.words, self.image_cache),
            encoder_hidden_states=image,
            encoder_attention_mask=self.row_mask,
            use_cache=True,
            output_attentions=self.attention,
            **self._where(ids),
        )
        if self.memory is None:
            cached = (t for layer in self.image_cache.layers for t in (layer.keys, layer.values))
            self.memory = StudyMemory(self.mask, self.before, *cached)
        spaces = [t for layer in self.words.layers for t in layer.space]
        weights = torch.stack(out.cross_attentions).mean((0, 2))[:, -1].float() if self.attention else None  # (R, N)
        return out.logits[:, -1].float(), (studies, *spaces), weights

    def _where(self, ids: Tensor) -> dict[str, Tensor]:
        """Return which of the words so far are real, if a prefix has padding, and the places of the new words."""
        seen = self.words.layers[0].used if self.memory is not None else 0
        where = _places(ids, None if self.place is None else self.place + seen)
        if C := self.prefix.shape[1]:
            written = ids.new_ones(len(ids), seen + ids.shape[1] - C)
            where["attention_mask"] = torch.cat([self.row_before, written], 1)
        return where

    def _repeat(self, memory: tuple[Tensor, ...], rows: int) -> None:
        """Repeat the mask, keys and values of each study for its beams, if the number of rows has changed."""
        if self.rows == rows:
            return
        self.rows = rows
        beams = rows // len(memory[0])
        self.row_mask, self.row_before, *image = (
            memory if beams == 1 else tuple(t.repeat_interleave(beams, 0) for t in memory)
        )
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
    if cross and "encoder_hidden_states" not in inspect.signature(model.forward).parameters:
        raise OptionError(
            f"{name} has no cross-attention, so it cannot see an image; gpt2, bert, roberta and bart have it"
        )
    return model
