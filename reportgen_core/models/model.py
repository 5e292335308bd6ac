"""A model: an encoder and a decoder or retriever, with the text recipe and the names of their outputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from ..data.batches import StudyReader, normalise, read_batches, read_with
from ..data.context import Context
from ..drawn import Drawn
from ..errors import CompositionError, OptionError, lists_only
from ..files.atomic import replacing
from ..interfaces import Decoder, Encoder, Retriever
from ..registries import decoders, encoders, retrievers
from ..registry import Registry
from ..text.arguments import checked_types
from ..text.spec import SPECIAL, TextSpec, Vocabulary
from ..types import Batch, Decoded, Features, GenerationSettings, Report, Study, TargetSpec
from ..version import __version__
from .abilities import HasOwnLosses, KeepsFiles, TakesContext, TakesTargets
from .computing.parts import part_precisions
from .computing.shapes import shapes_only
from .domain import NOT_CHECKED, Domain, domain_from_bytes, image_vectors
from .format import (
    CARD,
    CONFIG,
    DOMAIN,
    FORMAT,
    WEIGHTS,
    Snapshot,
    check_finite,
    check_weights,
    digest,
    plain_tensors,
    unwrap,
    words_digest,
    write_snapshot,
)
from .owners import Composition, check_specs, owned_name, plain_name, takes_of, without_pretrained
from .precision import takes_channels_last, to_channels_last
from .reporters.context import lack_of_context
from .reporters.reporter import Reporter
from .reports import ReportBuilder, from_hits, placed
from .study_notes import noted_report, with_note


class Model(nn.Module, Drawn, Reporter):
    """A model that `compose` builds, `train` trains and `load` reads. It has a decoder or a retriever, never both."""

    decoder: Decoder | None
    retriever: Retriever | None

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            try:
                return nn.Module.__getattr__(self, name)
            except AttributeError:
                return Reporter.__getattr__(self, name)  # says what to call instead

    def __init__(
        self,
        encoder: Encoder,
        head: Decoder | Retriever,
        *,
        text: TextSpec,
        targets: TargetSpec,
        domain: Domain | None = None,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = head if isinstance(head, Decoder) else None
        self.retriever = head if isinstance(head, Retriever) else None
        self.text, self.targets, self.domain = text, targets, domain
        self.vocabulary = Vocabulary(targets.words[len(SPECIAL) :])
        views = encoder.image.views
        self.takes = takes_of(head, views)
        self.sections, self.grid = text.sections, encoder.features.grid

    @property
    def head(self) -> Decoder | Retriever:
        """Return the decoder or the retriever."""
        return cast("Decoder | Retriever", self.decoder or self.retriever)

    @property
    def tags(self) -> tuple[str, ...]:
        """Return the names of the K tags."""
        return self.targets.tags

    @property
    def findings(self) -> tuple[str, ...]:
        """Return the names of the L findings."""
        return self.targets.findings

    @property
    def device(self) -> torch.device:
        """Return the device of the weights."""
        return next(self.parameters()).device

    def encode(self, batch: Batch) -> Features:
        """Return the features of a batch of studies, on the model's device."""
        pixels = normalise(batch.pixels.to(self.device, non_blocking=True), self.encoder.image)
        if not takes_channels_last(self.encoder):
            pixels = pixels.contiguous()
        features: Features = self.encoder(pixels, batch.mask.to(self.device))
        return features

    @lists_only
    def pooled_features(
        self, studies: Sequence[Study], *, batch_size: int = 32, cache: Path | None = None
    ) -> dict[str, Any]:
        """Return the encoder's pooled features of each study that can be read: arrays (P,) by the study's id."""
        self.eval()
        pooled: dict[str, Any] = {}
        with torch.inference_mode():
            for batch, _ in read_batches(studies, self.encoder.image, batch_size=batch_size, cache=cache):
                if batch.ids:
                    pooled |= zip(batch.ids, self.encode(batch).pooled.float().cpu().numpy(), strict=True)
        return pooled

    pooled = pooled_features  # the old name, for one release

    def forward(self, batch: Batch, features: Features | None = None) -> Decoded:
        """Return the result of one teacher-forced pass; the encoder's own losses are added to the decoder's.

        `features` are the features of this batch if the caller has them already; then the encoder does not run.
        """
        if features is None:
            features = self.encode(batch)
        targets = _move(batch.targets, self.device)
        out: Decoded = self.head(features, targets, *self.context_arguments(batch.studies))
        if isinstance(self.encoder, HasOwnLosses):
            return replace(out, losses={**out.losses, **self.encoder.losses(features, targets)})
        return out

    def move_to(self, device: str) -> Model:
        """Move the weights to a device and return the model."""
        return self.to(device)

    def facts(self) -> dict[str, Any]:
        """Return nothing: a model of parts is described by its folder."""
        return {}

    @property
    def called(self) -> str:
        """Return what a message calls it: the names of its parts."""
        parts = (unwrap(self.encoder), unwrap(self.head))  # a part that no registry built has the name of its class
        return " × ".join(getattr(part, "part_config", {}).get("name", type(part).__name__) for part in parts)

    def stream_reports(self, studies: Sequence[Study], *arguments: Any, **options: Any) -> Iterator[Report]:
        """Yield a report for each study, as `iter_reports` does. A study that lacks required context has a problem."""
        lacks = [lack_of_context(study, self.takes, self.called) for study in studies]
        complete = [study for study, lack in zip(studies, lacks, strict=True) if not lack]
        reports = self.iter_reports(complete, *arguments, **options)
        for study, lack in zip(studies, lacks, strict=True):
            yield Report(study.id, "", problem=lack) if lack else next(reports)

    @checked_types
    def iter_reports(
        self,
        studies: Sequence[Study],
        settings: GenerationSettings | None = None,
        *,
        batch_size: int = 32,
        precision: str = "auto",
        workers: int | None = 0,
        cache: Path | None = None,
        encode: Callable[[Batch], Features] | None = None,
        picture_side: int = 0,
        strict: bool = False,
    ) -> Iterator[Report]:
        """Yield a report for each study, in order; images are read ahead. An unreadable study has a `problem`.

        `precision` is fp32, bf16, or auto, the faster one for each part (`part_precisions`); bf16/fp32 is a pair.
        `encode` computes the features of a batch in place of `Model.encode`. With `picture_side` each report has its
        `images`, from the same decoding as the model's pixels; their longer side has at most that number of pixels.
        With `strict`, a study that is no chest radiograph has no text, and its `problem` says why; without, its `note`
        does. Raises CompositionError if the model has no words yet.
        """
        settings = settings or GenerationSettings()
        if self.decoder is not None and len(self.vocabulary) == len(Vocabulary()):
            raise CompositionError(
                "this model has no words yet: train it first (rg train MODEL --data D --data-root DIR)"
            )
        self.eval()
        to_channels_last(self.encoder)
        chosen = part_precisions(self, precision)
        reader = StudyReader(self.encoder.image, cache=cache, picture_side=picture_side, check_all=True)
        if workers is None and self.device.type == "cpu":
            workers = 0  # a process that reads ahead would take a core from the model; threads read between its batches
        for batch, readings in read_with(reader, studies, batch_size, workers=workers):
            with torch.inference_mode(), chosen.of_encoder():
                features = (encode or self.encode)(batch) if batch.ids else None
            with torch.inference_mode(), chosen.of_head():
                reports = iter(self.write_batch(chosen.for_head(features), batch, settings) if features else ())
            unusual = iter(self._domain_notes(batch, features))
            pictures = iter(batch.pictures)
            paths = iter([tuple(str(v.path) for v in views) for views in batch.views])
            for reading in readings:
                if reading.usable:
                    report = placed(next(reports), self.encoder, next(paths), next(pictures))
                    yield noted_report(report, reading, next(unusual), strict=strict)
                else:
                    yield noted_report(Report(reading.id, ""), reading)

    def _domain_notes(self, batch: Batch, features: Features | None) -> list[str]:
        """Return for each study of a batch a note if its images are unlike the training images; "" if they are not."""
        if features is None or not self.encoder.image.views:
            return [""] * len(batch.ids)
        if self.domain is None:
            return [NOT_CHECKED] * len(batch.ids)
        distances = self.domain.distances(image_vectors(features, batch.mask.shape[1]))  # (B, V)
        real = batch.mask if distances.shape == batch.mask.shape else torch.ones_like(distances, dtype=torch.bool)
        return [self.domain.note(row[mask].tolist()) for row, mask in zip(distances, real, strict=True)]

    reports = iter_reports  # the old name, for one release

    def context_arguments(self, studies: Sequence[Study]) -> tuple[()] | tuple[list[Context]]:
        """Return the last argument of a head that takes context, the context of each study; () for any other head."""
        head = unwrap(self.head)
        if not isinstance(head, TakesContext) or not head.takes_context:
            return ()
        return ([Context.of(s).only(head.takes_context).encoded(self.text, self.vocabulary) for s in studies],)

    def context_notes(self, studies: Sequence[Study]) -> list[str]:
        """Return for each study a line on what of its context the decoder takes and does not read; "" if nothing."""
        head: Any = unwrap(self.head)
        contexts = self.context_arguments(studies)
        return [head.context_note(context) for context in contexts[0]] if contexts else [""] * len(studies)

    def write_batch(self, features: Features, batch: Batch, settings: GenerationSettings) -> list[Report]:
        """Return the reports of a batch with these features, without what only the images tell."""
        ids = batch.ids
        if self.decoder is None:
            assert self.retriever is not None
            sentences = self.retriever.sentences_per_report
            k = (settings.max_sentences or sentences) if sentences else settings.n_best
            hits_of = zip(ids, self.retriever.search(features, k), strict=True)
            return [from_hits(id, hits, by_sentence=bool(sentences)) for id, hits in hits_of]
        builder = ReportBuilder(self.text, self.vocabulary, self.targets)
        self.decoder.own_options(settings)
        generated = self.decoder.generate(features, settings, *self.context_arguments(batch.studies))
        if settings.distinct:
            generated = [replace(g, candidates=tuple(map(builder.distinct, g.candidates))) for g in generated]
        reports = [builder.limited(id, one, settings.max_sentences) for id, one in zip(ids, generated, strict=True)]
        notes = self.context_notes(batch.studies) if batch.studies else [""] * len(reports)
        return [with_note(report, note) for report, note in zip(reports, notes, strict=True)]

    def snapshot(self, card: str = "") -> Snapshot:
        """Return the contents of this model's folder: config, words, tags, tensors and the card."""
        files = {CARD: (card or default_card(self)).encode(), **self.text.files}
        if self.domain is not None:
            files[DOMAIN] = self.domain.to_bytes()
        return Snapshot(model_config(self), self.targets.words, self.tags, plain_tensors(self), files)

    @checked_types
    def save(self, folder: str | Path, *, card: str = "") -> Path:
        """Write the model as a folder; an older folder is replaced once the new one is whole.

        The files are checked as `load` checks them. Raises CheckpointError if `load` would refuse them.
        """
        folder, snapshot = Path(folder), self.snapshot(card)
        check_finite(snapshot.tensors, f"cannot save {folder}")
        with replacing(folder, holds=CONFIG) as temporary:
            write_snapshot(snapshot, temporary)
            with shapes_only():
                expected = from_snapshot(snapshot).state_dict()
            check_weights(temporary / WEIGHTS, expected)
            head = unwrap(self.head)
            if isinstance(head, KeepsFiles):
                head.write_files(temporary, digest(temporary))
        return folder


def build_model(
    parts: Composition,
    text: TextSpec,
    targets: TargetSpec,
    *,
    saved: Composition | None = None,
    domain: Domain | None = None,
) -> Model:
    """Build the parts on torch's current default device and put them together.

    `saved` has the options for the parts' `part_config`, if they differ from the options that the parts are built with.
    """
    if (parts.decoder is None) == (parts.retriever is None):
        raise CompositionError("a model has one decoder or one retriever: name one of the two")
    saved = saved or parts
    encoder = encoders.build(parts.encoder, (), parts.encoder_options, saved=saved.encoder_options)
    check_specs(parts.encoder, encoder)
    attach(encoder, targets)
    inputs = (encoder.features, targets)
    head: Decoder | Retriever
    if parts.decoder is not None:
        head = decoders.build(parts.decoder, inputs, parts.decoder_options, saved=saved.decoder_options)
    else:
        assert parts.retriever is not None
        head = retrievers.build(parts.retriever, inputs, parts.decoder_options, saved=saved.decoder_options)
    return Model(encoder, head, text=text, targets=targets, domain=domain)


def from_snapshot(snapshot: Snapshot) -> Model:
    """Build the model that a snapshot describes, on torch's current default device; its tensors are not filled in."""
    encoder = snapshot.config["encoder"]
    decoder, retriever = (snapshot.config.get(kind) for kind in ("decoder", "retriever"))
    head = decoder or retriever
    assert head is not None, "read_config has checked that there is one"
    saved = Composition(
        owned_name(encoders, encoder),
        decoder and owned_name(decoders, decoder),
        retriever and owned_name(retrievers, retriever),
        encoder["options"],
        head["options"],
    )
    words = Vocabulary(snapshot.words[len(SPECIAL) :])
    findings, positives = snapshot.config["findings"], snapshot.config.get("positives", ())
    targets = target_spec(snapshot.text, words, snapshot.tags, findings, positives)
    file = snapshot.files.get(DOMAIN)
    domain = domain_from_bytes(file, DOMAIN) if file is not None else None
    return build_model(without_pretrained(saved), snapshot.text, targets, saved=saved, domain=domain)


def target_spec(
    text: TextSpec,
    vocabulary: Vocabulary,
    tags: Sequence[str] = (),
    findings: Sequence[str] = (),
    positives: Sequence[float] = (),
) -> TargetSpec:
    """Return the names and limits of a decoder's outputs. Raises OptionError for a name that occurs twice."""
    for kind, names in (("word", vocabulary.words), ("tag", tags), ("finding", findings)):
        if len(set(names)) < len(names):
            doubled = next(name for name, count in Counter(names).items() if count > 1)
            raise OptionError(f"{kind} {doubled!r} occurs twice; each {kind} has one place in a model")
    limits = (text.max_sentences, text.max_words, text.length)
    return TargetSpec(vocabulary.words, tuple(tags), tuple(findings), *limits, tuple(positives))


def attach(encoder: Encoder, targets: TargetSpec) -> Encoder:
    """Give an encoder with classifiers of its own the names that are predicted, and return the encoder."""
    if isinstance(encoder, TakesTargets):
        encoder.attach(targets)
    return encoder


def model_config(model: Model) -> dict[str, Any]:
    """Return the config of a model, the contents of config.json."""
    kind, registry = ("decoder", decoders) if model.decoder is not None else ("retriever", retrievers)
    encoder, head = unwrap(model.encoder), unwrap(model.head)
    return {
        "format": FORMAT,
        "reportgen": __version__,
        "encoder": _named_with_version(encoders, encoder.part_config),
        kind: _named_with_version(registry, head.part_config),
        "image": encoder.image.to_json(),
        "text": model.text.to_json(),
        "findings": list(model.findings),
        "positives": list(model.targets.positives),
        "vocabulary_sha256": words_digest(model.targets.words),
    }


def _named_with_version(registry: Registry[Any], part: Mapping[str, Any]) -> dict[str, Any]:
    """Return name and options of a part, with the package that registered it and the version of that package."""
    distribution = registry.owner(part["name"]).partition(":")[0]
    try:
        version = metadata.version(distribution)
    except metadata.PackageNotFoundError:  # registered by the running program itself
        version = ""
    name = plain_name(part["name"], distribution)
    return {"name": name, "options": part["options"], "plugin": distribution, "version": version}


def default_card(model: Model) -> str:
    """Return a card with the facts that are known without a training run."""
    kind = "decoder" if model.decoder is not None else "retriever"
    encoder, head = (unwrap(part).part_config["name"] for part in (model.encoder, model.head))
    return (
        f"# {encoder} × {head}\n\nA reportgen model: encoder `{encoder}`, {kind} `{head}`, "
        f"{len(model.vocabulary)} words, {len(model.tags)} tags. For research; not for clinical use.\n"
    )


def _move(targets: Any, device: torch.device) -> Any:
    """Return the same targets on `device`."""
    values = {f: getattr(targets, f) for f in targets.__slots__}
    return replace(targets, **{k: v.to(device, non_blocking=True) for k, v in values.items() if isinstance(v, Tensor)})
