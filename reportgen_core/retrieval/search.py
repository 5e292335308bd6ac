"""Build, open, change and search the index of a model, for images and for texts, and score the search."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from ..data.batches import read_batches
from ..errors import CheckpointError, CompositionError, DataError, OptionError, ReportgenError
from ..models.format import digest
from ..models.model import Model
from ..models.precision import autocast_for
from ..scoring.ranking_metrics import median_rank_line, ranking_lines
from ..text.spec import recipe_sentences
from ..types import Features, Hit, ScoreLine, Study
from .abilities import KeepsTexts, ScoresPairs
from .filters import TextFilter
from .index import FOLDER, TextIndex, TextRow, add_texts, check_model, open_index, remove_texts, set_store, write_index
from .stores import allow_store, check_store, open_store

BLOCK = 4096  # texts that are embedded at a time
RECALLS = (1, 3, 5, 10)
MAX_TEXTS_SCORED = 100_000  # the largest index whose both directions are scored


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The texts found for one study. `problem` says why its images could not be read; "" if they could."""

    study: str
    hits: tuple[Hit, ...]
    problem: str = ""


def build_index(
    model: Model, folder: Path, rows: Sequence[TextRow], out: Path | None, kind: str, store: str = ""
) -> TextIndex:
    """Embed texts with the model of `folder` and write them to `out`, or into the model's own folder if it is None.

    Then the store ("NAME" or "NAME:ADDRESS", "": FAISS) is filled from the folder. The address is checked first.
    """
    head, store = _text_keeper(model), check_store(store, kind)
    allow_store(store)
    index = write_index(
        out or folder / FOLDER, rows, (v.numpy() for v in _embedded(head, rows)),
        kind=kind, model=digest(folder), sentences=head.text_encoder(), store=store,
    )  # fmt: skip
    return _fill(index)


def rebuild_store(index: Path, store: str | None = None) -> TextIndex:
    """Fill the store of an index from its folder, or with `store` another one, which it names from then on.

    A store that was filled in part is filled on from there.
    """
    opened = open_index(index)
    wanted = opened.store if store is None else check_store(store, opened.kind)
    if store is not None:
        allow_store(wanted)
    if opened.kind != "exact":
        open_store(replace(opened, store=wanted)).fill()
    return opened if wanted == opened.store else set_store(opened, wanted)


def _fill(index: TextIndex) -> TextIndex:
    """Bring the store of an index up to its folder. An error says that the folder is written and the store is not."""
    if index.store:
        try:
            open_store(index).fill()
        except ReportgenError as e:
            raise CheckpointError(f"{e}; {index.folder} is written, rg index rebuild MODEL fills the store") from e
    return index


def _embedded(head: KeepsTexts, rows: Sequence[TextRow]) -> Iterator[Tensor]:
    """Yield the vectors of texts in blocks (≤ BLOCK, d)."""
    for at in range(0, len(rows), BLOCK):
        yield head.embed([r.text for r in rows[at : at + BLOCK]]).float().cpu()


def use_index(model: Model, folder: Path, index: Path | None, where: TextFilter | None = None) -> TextIndex:
    """Give the model of `folder` an index to search; None is the index in its folder. Return the open index.

    With `where` only the texts that pass it are found.

    Raises CheckpointError for the index of another model.
    """
    head = _text_keeper(model)
    opened = open_index(index or folder / FOLDER)
    check_model(opened, digest(folder), head.text_encoder())
    opened = opened.filtered(where) if where else opened
    head.use_index(opened)
    return opened


def extend_index(model: Model, folder: Path, index: Path | None, rows: Sequence[TextRow]) -> TextIndex:
    """Embed texts and add them to an index; the files of its other texts stay the same."""
    opened = use_index(model, folder, index)
    vectors = torch.cat(list(_embedded(_text_keeper(model), rows))) if rows else torch.empty(0, opened.dim)
    return _fill(add_texts(opened, rows, vectors.numpy()))


def shrink_index(index: Path, ids: Sequence[str]) -> TextIndex:
    """Remove texts from an index by id."""
    return _fill(remove_texts(open_index(index), ids))


def _text_keeper(model: Model) -> KeepsTexts:
    """Return the retriever of a model. Raises CompositionError if it stores no texts."""
    if not isinstance(model.head, KeepsTexts):
        raise CompositionError(
            f"{model.head.part_config['name']} keeps no texts: an index is for a retriever such as cvse "
            "(rg list retrievers)"
        )
    return model.head


def _pair_scorer(model: Model) -> ScoresPairs:
    """Return the retriever of a model. Raises CompositionError if it cannot score images with texts."""
    if not isinstance(model.head, ScoresPairs):
        raise CompositionError(f"{model.head.part_config['name']} scores no texts against images; cvse does")
    return model.head


def texts_for_images(model: Model, studies: Sequence[Study], k: int, batch_size: int = 32) -> Iterator[SearchResult]:
    """Yield the k texts nearest to each study; fewer if fewer pass the filter. Raises OptionError for too large a k."""
    assert model.retriever is not None
    size = _size(model)
    if size is not None and k > size:
        raise OptionError(f"--k {k} asks for more texts than the index holds; it has {size}")
    for ids, features, problems in _features(model, studies, batch_size):
        hits_of = dict(zip(ids, model.retriever.search(features, k) if ids else [], strict=True))
        if ids and not any(hits_of.values()):
            raise DataError(f"no text that passes {_filter(model)} is found")
        for id in dict.fromkeys((*ids, *problems)):
            yield SearchResult(id, tuple(hits_of.get(id, ())), problems.get(id, ""))


def images_for_text(model: Model, studies: Sequence[Study], text: str, batch_size: int = 32) -> list[tuple[str, float]]:
    """Return the ids of studies with their scores for a text, nearest first. Raises DataError for an unreadable one."""
    scorer, scores = _pair_scorer(model), []
    for ids, features, problems in _features(model, studies, batch_size):
        for problem in problems.values():
            raise DataError(problem)
        scores += list(zip(ids, scorer.rank(features, [text])[:, 0].tolist(), strict=True))
    return sorted(scores, key=lambda pair: -pair[1])


def stage_recall(model: Model, studies: Sequence[Study], k: int, batch_size: int = 32) -> tuple[float, int] | None:
    """Return the recall@k of the two-stage search, 0..1, and the number of studies; None for an index of one stage."""
    scorer, total, count = _pair_scorer(model), 0.0, 0
    for ids, features, _ in _features(model, studies, batch_size):
        share = scorer.stage_recall(features, k) if ids else None
        if share is not None:
            total, count = total + share * len(ids), count + len(ids)
    return (total / count, count) if count else None


def retrieval_lines(
    model: Model, studies: Sequence[Study], *, batch_size: int = 32, resamples: int = 1000, seed: int = 0
) -> list[ScoreLine]:
    """Return recall@1, 3, 5, 10, precision, MAP and median rank of texts found for studies and studies found for texts.

    The relevant texts of a study are the groups of the sentences of its report; a sentence in no group belongs to the
    nearest group. A study without a sentence and a text without a study are no queries, but they can be found. Raises
    OptionError for too large an index, and DataError if no study can be read or none has a sentence.
    """
    scorer = _pair_scorer(model)
    stored = scorer.stored_texts()
    if len(stored) > MAX_TEXTS_SCORED:
        raise OptionError(
            f"both directions are scored among {MAX_TEXTS_SCORED:,} texts at most, the index has {len(stored):,}"
        )
    rows = [(i, scorer.score_held(f).cpu()) for i, f, _ in _features(model, studies, batch_size) if i]
    if not rows:
        raise DataError("no study has an image that can be read")
    ids = [id for batch, _ in rows for id in batch]
    scores = torch.cat([s for _, s in rows])  # (studies, texts)
    relevant_rows = _relevant_rows(model, scorer, {s.id: s for s in studies}, ids)
    names = [row.id for row in stored]
    texts = [{names[n] for n in relevant_rows[id]} for id in ids]
    images = [{id for id in ids if n in relevant_rows[id]} for n in range(len(stored))]
    if not any(texts):
        raise DataError(f"no study has a sentence in section {' or '.join(model.text.sections)}")
    lines = []
    for name, table, candidates, relevant in (
        ("image-to-text", scores, names, texts), ("text-to-image", scores.T, ids, images),
    ):  # fmt: skip
        order = table.sort(dim=1, descending=True, stable=True).indices.tolist()
        ranked = [[candidates[n] for n in row] for row in order]
        lines += ranking_lines(name, ranked, relevant, RECALLS, resamples=resamples, seed=seed)
        lines += median_rank_line(name, ranked, relevant, resamples=resamples, seed=seed)
    return lines


def _relevant_rows(
    model: Model, scorer: ScoresPairs, studies: dict[str, Study], ids: Sequence[str]
) -> dict[str, set[int]]:
    """Return the rows of the stored texts with the meanings of each study's sentences; all sentences in one call."""
    sentences_of = {id: recipe_sentences(studies[id], model.text) for id in ids}
    distinct = sorted({s for sentences in sentences_of.values() for s in sentences})
    owners = dict(zip(distinct, scorer.owners(distinct) if distinct else [], strict=True))
    return {id: {owners[s] for s in sentences} for id, sentences in sentences_of.items()}


def _filter(model: Model) -> object:
    """Return the filter of the index that a model searches."""
    texts = _text_keeper(model).texts_to_save()
    return texts.where if isinstance(texts, TextIndex) else None


def _size(model: Model) -> int | None:
    """Return the number of texts that a model stores, None if they are filtered. Raises CheckpointError for no text."""
    texts = _text_keeper(model).texts_to_save()
    if texts is None:
        raise CheckpointError("this model holds no texts; rg index build MODEL --texts FILE gives it some")
    if isinstance(texts, TextIndex):
        return len(texts) if texts.where is None else None
    return len(texts[0])


def _features(
    model: Model, studies: Sequence[Study], batch_size: int
) -> Iterator[tuple[tuple[str, ...], Features, dict[str, str]]]:
    """Yield ids and features of readable studies in batches, and the problems of unreadable ones by id."""
    model.eval()
    with torch.inference_mode(), autocast_for(model.device, "fp32"):
        for batch, problems in read_batches(studies, model.encoder.image, batch_size):
            empty = Features(torch.empty(0), torch.empty(0), torch.empty(0))
            yield batch.ids, model.encode(batch) if batch.ids else empty, problems
