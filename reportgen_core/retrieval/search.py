"""Indexes of texts for a model: made, opened, changed, searched both ways, and scored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..data.batches import read_batches
from ..errors import CheckpointError, CompositionError, DataError, OptionError
from ..models.format import digest
from ..models.model import Model
from ..models.precision import autocast_for
from ..scoring.ranking_metrics import median_rank_line, ranking_lines
from ..text.spec import recipe_sentences
from ..types import Features, Hit, ScoreLine, Study, TextRow
from .abilities import KeepsTexts, ScoresPairs
from .index import FOLDER, TextIndex, add_texts, check_model, open_index, remove_texts, write_index

EMBEDDED = 4096  # texts whose vectors are made at a time
RECALLS = (1, 3, 5, 10)
EACH_WAY = 100_000  # texts that both directions are scored among


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found for one study."""

    study: str
    hits: tuple[Hit, ...]
    problem: str = ""


def build_index(model: Model, folder: Path, rows: Sequence[TextRow], out: Path | None, kind: str) -> TextIndex:
    """Embed these texts with the model of `folder` and write them to `out`, or into the model's own folder."""
    head = _keeper(model)
    return write_index(
        out or folder / FOLDER, rows, (v.numpy() for v in _embedded(head, rows)),
        kind=kind, model=digest(folder), sentences=head.text_encoder(),
    )  # fmt: skip


def _embedded(head: KeepsTexts, rows: Sequence[TextRow]) -> Iterator[Tensor]:
    for at in range(0, len(rows), EMBEDDED):
        yield head.embed([r.text for r in rows[at : at + EMBEDDED]]).float().cpu()


def use_index(model: Model, folder: Path, index: Path | None) -> TextIndex:
    """Let the model of `folder` search this index, or the one in its folder. Raises CheckpointError for another's."""
    head = _keeper(model)
    found = open_index(index or folder / FOLDER)
    check_model(found, digest(folder), head.text_encoder())
    head.use_index(found)
    return found


def extend_index(model: Model, folder: Path, index: Path | None, rows: Sequence[TextRow]) -> TextIndex:
    """Add texts without touching those that are there."""
    found = use_index(model, folder, index)
    vectors = torch.cat(list(_embedded(_keeper(model), rows))) if rows else torch.empty(0, found.dim)
    return add_texts(found, rows, vectors.numpy())


def shrink_index(index: Path, ids: Sequence[str]) -> TextIndex:
    """Remove texts by id."""
    return remove_texts(open_index(index), ids)


def _keeper(model: Model) -> KeepsTexts:
    if not isinstance(model.head, KeepsTexts):
        raise CompositionError(
            f"{model.head.part_config['name']} keeps no texts: an index is for a retriever such as cvse "
            "(rg list retrievers)"
        )
    return model.head


def _scorer(model: Model) -> ScoresPairs:
    if not isinstance(model.head, ScoresPairs):
        raise CompositionError(f"{model.head.part_config['name']} scores no texts against images; cvse does")
    return model.head


def texts_for_images(model: Model, studies: Sequence[Study], k: int, batch_size: int = 32) -> Iterator[Finding]:
    """The k texts nearest to each study. Raises OptionError where fewer are held."""
    assert model.retriever is not None
    held = _size(model)
    if k > held:
        raise OptionError(f"--k {k} asks for more texts than the index holds; it has {held}")
    for ids, features, problems in _features(model, studies, batch_size):
        found = dict(zip(ids, model.retriever.search(features, k) if ids else [], strict=True))
        for id in dict.fromkeys((*ids, *problems)):
            yield Finding(id, tuple(found.get(id, ())), problems.get(id, ""))


def images_for_text(model: Model, studies: Sequence[Study], text: str, batch_size: int = 32) -> list[tuple[str, float]]:
    """The studies by how near they are to a text, nearest first, with their scores."""
    scorer, found = _scorer(model), []
    for ids, features, problems in _features(model, studies, batch_size):
        for problem in problems.values():
            raise DataError(problem)
        found += list(zip(ids, scorer.rank(features, [text])[:, 0].tolist(), strict=True))
    return sorted(found, key=lambda pair: -pair[1])


def stage_recall(model: Model, studies: Sequence[Study], k: int, batch_size: int = 32) -> tuple[float, int] | None:
    """Recall@k of the two stages against exact search, and over how many studies; None for an index of one stage."""
    scorer, total, count = _scorer(model), 0.0, 0
    for ids, features, _ in _features(model, studies, batch_size):
        share = scorer.stage_recall(features, k) if ids else None
        if share is not None:
            total, count = total + share * len(ids), count + len(ids)
    return (total / count, count) if count else None


def retrieval_lines(
    model: Model, studies: Sequence[Study], *, batch_size: int = 32, resamples: int = 1000, seed: int = 0
) -> list[ScoreLine]:
    """Recall@1, 3, 5, 10, precision, MAP and median rank: texts found for studies, and studies found for texts.

    A study's texts are the groups of the sentences of its report; a sentence that no group has is of the nearest one.
    Studies without a sentence, and texts that no study has, ask for nothing; as what may be found they stay.
    """
    scorer = _scorer(model)
    held = scorer.stored_texts()
    if len(held) > EACH_WAY:
        raise OptionError(f"both directions are scored among {EACH_WAY:,} texts at most, the index has {len(held):,}")
    rows = [(i, scorer.score_held(f).cpu()) for i, f, _ in _features(model, studies, batch_size) if i]
    if not rows:
        raise DataError("no study has an image that can be read")
    ids = [id for some, _ in rows for id in some]
    scores = torch.cat([s for _, s in rows])  # (studies, texts)
    wanted = _wanted(model, scorer, {s.id: s for s in studies}, ids)
    names = [row.id for row in held]
    texts = [{names[n] for n in wanted[id]} for id in ids]
    images = [{id for id in ids if n in wanted[id]} for n in range(len(held))]
    if not any(texts):
        raise DataError(f"no study has a sentence in section {' or '.join(model.text.sections)}")
    found = []
    for name, table, of, relevant in (
        ("image-to-text", scores, names, texts), ("text-to-image", scores.T, ids, images),
    ):  # fmt: skip
        order = table.sort(dim=1, descending=True, stable=True).indices.tolist()
        ranked = [[of[n] for n in row] for row in order]
        found += ranking_lines(name, ranked, relevant, RECALLS, resamples=resamples, seed=seed)
        found += median_rank_line(name, ranked, relevant, resamples=resamples, seed=seed)
    return found


def _wanted(model: Model, scorer: ScoresPairs, studies: dict[str, Study], ids: Sequence[str]) -> dict[str, set[int]]:
    """Which held texts each study's report says, all sentences read at one go."""
    said = {id: recipe_sentences(studies[id], model.text) for id in ids}
    distinct = sorted({s for sentences in said.values() for s in sentences})
    owners = dict(zip(distinct, scorer.owners(distinct) if distinct else [], strict=True))
    return {id: {owners[s] for s in sentences} for id, sentences in said.items()}


def _size(model: Model) -> int:
    kept = _keeper(model).texts_to_save()
    if kept is None:
        raise CheckpointError("this model holds no texts; rg index build MODEL --texts FILE gives it some")
    return len(kept) if isinstance(kept, TextIndex) else len(kept[0])


def _features(
    model: Model, studies: Sequence[Study], batch_size: int
) -> Iterator[tuple[tuple[str, ...], Features, dict[str, str]]]:
    """Features of studies in batches, and what is wrong with any."""
    model.eval()
    with torch.inference_mode(), autocast_for(model.device, "fp32"):
        for batch, problems in read_batches(studies, model.encoder.image, batch_size):
            empty = Features(torch.empty(0), torch.empty(0), torch.empty(0))
            yield batch.ids, model.encode(batch) if batch.ids else empty, problems
