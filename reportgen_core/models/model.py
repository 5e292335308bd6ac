"""A model: an encoder and a decoder or retriever put together, with the text they speak. This is all the glue."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from ..data.batches import check_views, group_files, normalise, read_batches
from ..errors import CompositionError
from ..interfaces import Decoder, Encoder, HasOwnLosses, Retriever, TakesTargets
from ..text.spec import SPECIAL, TextSpec, Vocabulary, join, recipe, spans
from ..types import (
    Attention,
    Batch,
    Candidate,
    Decoded,
    Features,
    Generated,
    GenerationSettings,
    Hit,
    Report,
    Study,
    TargetSpec,
)
from .repeats import without_repeats

SHOWN_TAGS = 20  # recall@20 is the widest that papers print
PRECISIONS = ("auto", "fp32", "bf16")


class Model(nn.Module):
    """What `compose` builds, `train` trains, `save` and `load` keep. It has a decoder or a retriever, never both."""

    decoder: Decoder | None
    retriever: Retriever | None

    def __init__(self, encoder: Encoder, head: Decoder | Retriever, *, text: TextSpec, targets: TargetSpec) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = head if isinstance(head, Decoder) else None
        self.retriever = head if isinstance(head, Retriever) else None
        self.text, self.targets = text, targets
        self.vocabulary = Vocabulary(targets.words[len(SPECIAL) :])
        self.beside: dict[str, bytes] = {}  # files of its folder that were made for these weights
        self.kept: dict[str, Features] | None = None  # by study, where they are kept

    @property
    def head(self) -> Decoder | Retriever:
        """The decoder, or the retriever."""
        return cast("Decoder | Retriever", self.decoder or self.retriever)

    @property
    def tags(self) -> tuple[str, ...]:
        """K names."""
        return self.targets.tags

    @property
    def findings(self) -> tuple[str, ...]:
        """L names."""
        return self.targets.findings

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def keep_features(self) -> None:
        """Remember the features of each study from now on: for an encoder that stays as it is."""
        self.kept = {}

    def encode(self, batch: Batch) -> Features:
        """Pixels of studies, as bytes, to features on the model's device."""
        if self.kept is None:
            return self._encode(batch)
        new = [i for i, id in enumerate(batch.ids) if id not in self.kept]
        if new:
            with torch.no_grad():
                found = self._encode(replace(batch, pixels=batch.pixels[new], mask=batch.mask[new]))
            for row, i in enumerate(new):
                self.kept[batch.ids[i]] = Features(found.tokens[row], found.pooled[row], found.mask[row])
        rows = [self.kept[id] for id in batch.ids]
        return Features(*(torch.stack([getattr(r, name) for r in rows]) for name in ("tokens", "pooled", "mask")))

    def _encode(self, batch: Batch) -> Features:
        pixels = normalise(batch.pixels.to(self.device, non_blocking=True), self.encoder.image)
        features: Features = self.encoder(pixels, batch.mask.to(self.device))
        return features

    def pooled(self, studies: Sequence[Study], *, batch_size: int = 32, cache: Path | None = None) -> dict[str, Any]:
        """The encoder's pooled features of each study that can be read, arrays (P,) by id."""
        self.eval()
        found: dict[str, Any] = {}
        with torch.inference_mode():
            for batch, _ in read_batches(studies, self.encoder.image, batch_size=batch_size, cache=cache):
                if batch.ids:
                    found |= zip(batch.ids, self.encode(batch).pooled.float().cpu().numpy(), strict=True)
        return found

    def forward(self, batch: Batch) -> Decoded:
        """One teacher-forced pass; the encoder's own losses join the decoder's."""
        features, targets = self.encode(batch), _move(batch.targets, self.device)
        out: Decoded = self.head(features, targets)
        if isinstance(self.encoder, HasOwnLosses):
            return replace(out, losses={**out.losses, **self.encoder.losses(features, targets)})
        return out

    def report(self, paths: Iterable[str | Path], **how: Any) -> list[Report]:
        """Reports for image files and folders: one a file, DICOM files of one study together. Options: `reports`."""
        return self.report_studies(group_files([Path(p) for p in paths]), **how)

    def report_studies(self, studies: Sequence[Study], **how: Any) -> list[Report]:
        """Reports in the order of the studies; see `reports` for the options."""
        return list(self.reports(studies, **how))

    def reports(
        self,
        studies: Sequence[Study],
        settings: GenerationSettings | None = None,
        *,
        batch_size: int = 32,
        precision: str = "auto",
        workers: int = 0,
        cache: Path | None = None,
    ) -> Iterator[Report]:
        """Reports one after another, images read ahead. A study that cannot be read gives a Report with a `problem`.

        `precision` is fp32, bf16, or auto: bf16 where this machine's arithmetic gains by it (`best_precision`).
        Raises CompositionError where the model has no words yet.
        """
        settings = settings or GenerationSettings()
        if self.decoder is not None and len(self.vocabulary) == len(Vocabulary()):
            raise CompositionError(
                "this model has no words yet: train it first (rg train MODEL --data D --data-root DIR)"
            )
        self.eval()
        to_channels_last(self.encoder)
        shown = read_batches(studies, self.encoder.image, batch_size=batch_size, workers=workers, cache=cache)
        for start, (batch, problems) in zip(range(0, len(studies), batch_size), shown, strict=False):
            written = iter(self._write(batch, settings, precision) if batch.ids else ())
            seen = dict(zip(batch.ids, batch.views, strict=True))
            for study in studies[start : start + batch_size]:
                report = next(written) if study.id in seen else Report(study.id, "")
                views = tuple(str(v.path) for v in seen.get(study.id, ()))
                note = check_views(study, self.encoder.image) if views else ""
                yield replace(report, views=views, problem=problems.get(study.id, ""), note=note)

    def _write(self, batch: Batch, settings: GenerationSettings, precision: str) -> list[Report]:
        with torch.inference_mode(), arithmetic(self.device, precision):
            features = self.encode(batch)
            if self.decoder is None:
                assert self.retriever is not None
                sentences = self.retriever.sentences and (settings.max_sentences or self.retriever.sentences)
                found = self.retriever.search(features, sentences or settings.n_best)
                return [self._retrieved(id, hits) for id, hits in zip(batch.ids, found, strict=True)]
            made = self.decoder.generate(features, settings)
        if settings.distinct:
            made = [replace(g, candidates=tuple(map(self._distinct, g.candidates))) for g in made]
        return [self._written(id, one) for id, one in zip(batch.ids, made, strict=True)]

    def _written(self, id: str, made: Generated) -> Report:
        best = made.candidates[0]
        rows, looked = self._rows(best), best.attention
        sentences = _sentences(rows, self.text, by_word=looked is not None and looked.per == "word")
        return Report(
            id,
            join(filter(None, rows), self.text),
            tuple(join([s], self.text) for s, _ in sentences),
            best.score,
            _ranked(self.tags, made.tags, SHOWN_TAGS),
            _ranked(self.findings, made.findings, len(self.findings)),
            tuple(join(filter(None, self._rows(c)), self.text) for c in made.candidates[1:]),
            looked,
            _names(self.tags, looked),
            words=tuple(w for row in rows for w in row),
            rows=tuple(where for _, where in sentences) if looked is not None else (),
        )

    def _distinct(self, candidate: Candidate) -> Candidate:
        mark = recipe(self.text).mark
        return without_repeats(candidate, self.vocabulary.encode([mark])[0] if mark in self.vocabulary.words else None)

    def _rows(self, candidate: Candidate) -> list[list[str]]:
        """The words as the decoder gave them: sentence by sentence, or a whole report with its marks as one row."""
        return [self.vocabulary.decode(ids) for ids in candidate.sentences]

    def _retrieved(self, id: str, hits: Sequence[Hit]) -> Report:
        if not hits:
            return Report(id, "")
        if self.retriever is not None and self.retriever.sentences:
            return _put_together(id, hits)
        best = hits[0]
        others = tuple(h.text for h in hits[1:])
        return Report(id, best.text, (best.text,), best.score, alternatives=others, attention=best.attention)

    def save(self, folder: str | Path) -> Path:
        """Write the model as a folder; see `reportgen_core.models.loading`."""
        from .loading import save

        return save(self, Path(folder))


def _sentences(
    rows: Sequence[Sequence[str]], text: TextSpec, *, by_word: bool
) -> list[tuple[Sequence[str], tuple[int, int]]]:
    """The sentences that have words, each with its rows of attention: its own, or those of its words."""
    found, before = [], 0
    for i, row in enumerate(rows):
        for start, end in spans(row, text):
            found.append((row[start:end], (before + start, before + end) if by_word else (i, i + 1)))
        before += len(row)
    return found


def _put_together(id: str, hits: Sequence[Hit]) -> Report:
    """A report of retrieved sentences, each with where it was found."""
    looks = [h.attention.regions for h in hits if h.attention is not None and h.attention.regions is not None]
    looked = Attention("sentence", torch.cat(looks)) if len(looks) == len(hits) else None
    rows = tuple((i, i + 1) for i in range(len(hits))) if looked else ()
    texts = tuple(h.text for h in hits)
    said = " ".join(t if t.endswith((".", "!", "?", "。")) else t + "." for t in texts)
    return Report(id, said, texts, sum(h.score for h in hits) / len(hits), attention=looked, rows=rows)


def attach(encoder: Encoder, targets: TargetSpec) -> Encoder:
    """Tell an encoder with classifiers of its own what is predicted."""
    if isinstance(encoder, TakesTargets):
        encoder.attach(targets)
    return encoder


def _move(targets: Any, device: torch.device) -> Any:
    """The same targets on `device`."""
    moved = {f: getattr(targets, f) for f in targets.__slots__}
    return replace(targets, **{k: v.to(device, non_blocking=True) for k, v in moved.items() if isinstance(v, Tensor)})


def _ranked(names: Sequence[str], probabilities: Tensor | None, most: int) -> Mapping[str, float]:
    """The `most` likeliest names with their probabilities, the likeliest first."""
    if probabilities is None or not names:
        return {}
    best = probabilities.float().cpu().topk(min(most, len(names)))
    return {names[i]: round(p, 6) for p, i in zip(best.values.tolist(), best.indices.tolist(), strict=True)}


def _names(tags: Sequence[str], looked: Attention | None) -> tuple[str, ...]:
    return () if looked is None or looked.tag_ids is None else tuple(tags[i] for i in looked.tag_ids.tolist())


def best_precision(device: torch.device) -> str:
    """bf16 where the processor multiplies it in hardware, fp32 elsewhere: without that, bf16 is the slower."""
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    if device.type == "cpu":
        asked: Callable[[], bool] = torch.cpu._is_avx512_bf16_supported
        return "bf16" if asked() else "fp32"
    return "fp32"


def arithmetic(device: torch.device, precision: str) -> AbstractContextManager[Any]:
    """Autocast for `precision` on `device`. Raises CompositionError for a precision there is not."""
    if precision not in PRECISIONS:
        raise CompositionError(f"no precision {precision!r}; there are: {', '.join(PRECISIONS)}")
    chosen = best_precision(device) if precision == "auto" else precision
    return torch.autocast(device.type, torch.bfloat16) if chosen == "bf16" else nullcontext()


def to_channels_last(module: nn.Module) -> None:
    """Lay convolution weights out channels-last, where convolutions on CPU and GPU run faster; values stay the same."""
    module.to(memory_format=torch.channels_last)
