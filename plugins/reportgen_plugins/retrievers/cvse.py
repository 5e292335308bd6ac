"""CVSE: reports the abnormal findings of a study by finding their sentences, each where it looks in the image.

Ni, Hsu, Gentili, McAuley: Learning Visual-Semantic Embeddings for Reporting Abnormal Findings on Chest X-rays, 2020,
arXiv:2010.02467. Equations 2 and 3 are in conditional.py, 4 in triplets.py, the groups of section 3.2 come from a
sentence grouper. Readings of what the paper leaves open:

- "we set α to 0.2" is the margin δ of eq. 4; α is the attention.
- "linear(v)", "linear(m)": a layer each, with bias; the norm after it.
- A group is found by its most central sentence, and a report is the best three groups: at most one sentence each.
- "We measure recall on validation set": recall@1, 3, 5 and 10 of the groups that a report's sentences belong to; the
  preset selects by recall@10. A sentence that no training report has is of the group whose central one is nearest.
- The paper reads sentences with BioSentVec; any sentence encoder will do.

The text is that of the sections the model reads: the section abnormal, or lists of findings alone. A study without a
sentence takes part as an image that fits none of the others' sentences.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from reportgen_core import (
    Attention,
    CompositionError,
    Decoded,
    Features,
    FeatureSpec,
    Hit,
    OptionError,
    Targets,
    TargetSpec,
)
from reportgen_core.interfaces import Retriever
from reportgen_core.registries import sentence_groupers
from reportgen_core.retrieval.index import TextIndex
from reportgen_core.retrieval.kept_texts import read_texts, write_texts
from reportgen_core.sentence_parts import Group
from reportgen_core.text.spec import SPECIAL, TextSpec, join
from reportgen_core.types import TextRow

from .bank import Bank, group_sentences, make_bank, plain, reader
from .conditional import Conditional, Regions
from .exact_search import Found, live_blocks, search, search_exactly
from .stages import Stages, recall_of, search_proposed
from .triplets import draw, hinge, images_without, not_of_report

RECALLS = (1, 3, 5, 10)
WRITTEN = TextSpec()  # how the words of a report are written for the sentence encoder


class CVSE(Retriever):
    """Finds sentences by a distance that looks, for each sentence, where it would be seen.

    Args:
        joint: width of the joint embedding, the paper's d.
        units: inner width of the attention, eq. 2.
        form: of the attention: tanh, or linear as printed (see conditional.py).
        margin: δ of eq. 4.
        negatives: drawn for each matched pair and direction.
        top: sentences of a report.
        sentence_encoder: what reads the sentences (rg list sentence-encoders); it is not trained.
        sentence_options: its options.
        grouper: what puts training sentences into groups (rg list sentence-groupers); "": each is one of its own.
        grouper_options: its options.
        proposals: texts that the first stage proposes for each region, where the index has a first stage.
    """

    needs = frozenset({"sentences"})
    scores = frozenset(f"recall@{k}" for k in RECALLS)

    def __init__(
        self,
        features: FeatureSpec,
        targets: TargetSpec,
        *,
        joint: int = 512,
        units: int = 64,
        form: str = "tanh",
        margin: float = 0.2,
        negatives: int = 8,
        top: int = 3,
        sentence_encoder: str = "minilm",
        sentence_options: Mapping[str, Any] | None = None,
        grouper: str = "",
        grouper_options: Mapping[str, Any] | None = None,
        proposals: int = 32,
    ) -> None:
        super().__init__(features, targets)
        for name, value in (("joint", joint), ("units", units), ("negatives", negatives), ("top", top)):
            if value < 1:
                raise OptionError(f"cvse needs {name} of at least 1, got {value}")
        self.margin, self.negatives, self.sentences_per_report, self.proposals = margin, negatives, top, proposals
        self._grouper = sentence_groupers.create(grouper, **dict(grouper_options or {})) if grouper else None
        self._reader = reader(sentence_encoder, dict(sentence_options or {}))
        views = features.grid[0] if features.grid else 1
        self.conditional = Conditional(features.dim, self._reader.dim, joint=joint, units=units, form=form, views=views)
        self._bank: Bank | None = None
        self._index: Stages | None = None
        self._vectors: dict[str, Tensor] = {}  # of sentences that the bank does not have

    # What it learns from

    def learn_texts(self, reports: Mapping[str, Sequence[str]]) -> None:
        """Group the sentences of the training reports. Raises DataError where there is none, or too few to group."""
        said = [s for sentences in reports.values() for s in sentences]
        groups = group_sentences(said, self._reader, self._grouper)
        self._bank, self._index = make_bank(groups, self._reader), None

    def loss(self, features: Features, targets: Targets) -> Decoded:
        """Eq. 4; in eval mode with the same draws each time, and recall among the groups it holds."""
        with torch.autocast(features.tokens.device.type, enabled=False):
            regions = self.conditional.regions(_float(features))
            texts, owner = self._said(targets, regions.mask.device)
            matched = _Matched.of(texts, owner, self._sentence_vectors(texts), self._bank, len(features.tokens))
            total = self._triplets(regions, matched)
            log = {} if self.training or self._bank is None else self._recalls(regions, matched, self._bank)
        return Decoded({"triplet": total / len(features.tokens)}, features.tokens.new_empty(0, 1), log)

    def _said(self, targets: Targets, device: torch.device) -> tuple[list[str], Tensor]:
        """The distinct sentences of each report, and which report (P,) each is of. Unknown words are left out."""
        assert targets.sentences is not None
        texts, owner = [], []
        for b, report in enumerate(targets.sentences.tolist()):
            words = ([self.targets.words[i] for i in row if i >= len(SPECIAL)] for row in report)
            for key, text in {plain(t): t for t in (join([w], WRITTEN) for w in words)}.items():
                if key:
                    texts.append(text)
                    owner.append(b)
        return texts, torch.tensor(owner, dtype=torch.long, device=device)

    def _sentence_vectors(self, texts: Sequence[str]) -> Tensor:
        """(P, T), each text read once."""
        known = self._bank.rows if self._bank is not None else {}
        new = [t for t in dict.fromkeys(texts) if plain(t) not in known and t not in self._vectors]
        if new:
            self._vectors |= dict(zip(new, torch.from_numpy(self._reader.encode(new)).float(), strict=True))
        bank = self._bank.vectors if self._bank is not None else torch.empty(0)
        rows = [bank[known[plain(t)]] if plain(t) in known else self._vectors[t] for t in texts]
        device = self.conditional.text.weight.device
        return torch.stack(rows).to(device) if rows else torch.empty(0, self._reader.dim, device=device)

    def _triplets(self, regions: Regions, matched: _Matched) -> Tensor:
        """Σ over pairs, both directions and the negatives of each."""
        P, B = len(matched.owner), len(regions.half)
        if not P:
            return 0 * sum(p.sum() for p in self.conditional.parameters()) + 0 * regions.half.sum()
        device, generator = regions.half.device, None if self.training else torch.Generator().manual_seed(0)
        pool, pool_groups = matched.vectors, matched.groups
        if self._bank is not None:
            pool = torch.cat([pool, self._bank.vectors.to(device)])
            pool_groups = torch.cat([pool_groups, self._bank.groups.to(device)])
            drawable = torch.arange(len(pool), device=device) >= P  # each training sentence once
        else:
            drawable = torch.ones(len(pool), dtype=torch.bool, device=device)
        other = not_of_report(matched.owner, matched.groups, pool_groups, matched.count, B)[matched.owner] & drawable
        rows_t, negative_text = draw(other, self.negatives, generator)
        without = images_without(matched.owner, matched.groups, matched.count, B)
        rows_i, negative_image = draw(without, self.negatives, generator)
        kept, at = torch.cat([torch.arange(P, device=device), negative_text]).unique(return_inverse=True)
        image = torch.cat([matched.owner, matched.owner[rows_t], negative_image])
        text = torch.cat([at, at[rows_i]])  # pairs, texts that are wrong for their image, images that are wrong
        scores = self.conditional.pairs(regions, self.conditional.texts(pool[kept]), image, text)
        right, wrong_text, wrong_image = scores.split([P, len(rows_t), len(rows_i)])
        return hinge(right[rows_t], wrong_text, self.margin) + hinge(right[rows_i], wrong_image, self.margin)

    def _recalls(self, regions: Regions, matched: _Matched, bank: Bank) -> dict[str, Tensor]:
        """Recall@k of the groups of each report among all groups, mean over the reports that have a sentence."""
        B, G = len(regions.half), len(bank.central)
        wanted = torch.zeros(B, G, dtype=torch.bool, device=regions.half.device)
        wanted[matched.owner, matched.groups] = True
        asked = wanted.any(1)
        ranked = self.conditional.scores(regions, self._central(bank)).argsort(dim=1, descending=True, stable=True)
        found = wanted.gather(1, ranked).float()[asked]
        count = wanted.sum(1)[asked]
        means = {f"recall@{k}": (found[:, :k].sum(1) / count).mean() for k in RECALLS} if bool(asked.any()) else {}
        return {**means, "queries": asked.sum().float()}

    def _central(self, bank: Bank) -> Tensor:
        with torch.no_grad():
            return self.conditional.texts(bank.vectors[bank.central].to(self.conditional.text.weight.device))

    # What it holds

    def index(self, ids: Sequence[str], texts: Sequence[str], features: Features | None = None) -> None:
        """Hold these texts, each a group of its own."""
        groups = [Group((t,), t) for t in texts]
        bank = make_bank(groups, self._reader)
        rows = tuple(TextRow(id, t) for id, t in zip(ids, texts, strict=True))
        self._bank, self._index = Bank(bank.rows, bank.vectors, bank.groups, bank.central, rows), None

    def texts_to_save(self) -> TextIndex | tuple[Sequence[TextRow], Tensor] | None:
        """The open index, or the groups it learned with their vectors by the present weights."""
        if self._bank is not None:
            return self._bank.texts, self._central(self._bank)
        return self._index.index if self._index is not None else None

    def use_index(self, index: TextIndex) -> None:
        """Search this index from now on."""
        self._bank, self._index = None, Stages(index)

    def write_files(self, folder: Path, model_digest: str) -> None:
        """Write the texts as an index in the model's folder."""
        write_texts(self, folder, model_digest)

    def read_files(self, folder: Path, model_digest: str) -> None:
        """Search the index in the model's folder from now on, if there is one."""
        read_texts(self, folder, model_digest)

    def drop_files(self) -> None:
        """Keep the texts: training replaces them at its end."""

    def embed(self, texts: Sequence[str]) -> Tensor:
        """(n, joint): texts in the joint space."""
        with torch.no_grad(), torch.autocast(self.conditional.text.weight.device.type, enabled=False):
            vectors = torch.from_numpy(self._reader.encode(list(texts))).float()
            return self.conditional.texts(vectors.to(self.conditional.text.weight.device))

    def text_encoder(self) -> Mapping[str, Any]:
        """The sentence encoder's name, options and fingerprint."""
        return {**self._reader.part_config, "fingerprint": self._reader.fingerprint}

    # What it finds

    def search(self, features: Features, k: int = 1) -> list[list[Hit]]:
        """The k nearest texts of each study, with the regions that each was found by."""
        with torch.no_grad(), torch.autocast(features.tokens.device.type, enabled=False):
            regions = self.conditional.regions(_float(features))
            found = self._find(regions, k)
            looks = self.conditional.looks(regions, found.vectors)  # (B, k, V N)
        return [
            [
                Hit(row.id, row.text, score, Attention("sentence", look[None]))
                for row, score, look in zip(rows, scores, look_of, strict=True)
            ]
            for rows, scores, look_of in zip(found.rows, found.scores.tolist(), looks, strict=True)
        ]

    def _find(self, regions: Regions, k: int) -> Found:
        if self._bank is not None:
            return search(self.conditional, regions, self._bank.texts, self._central(self._bank), k)
        if self._index is None:
            raise CompositionError(
                "this retriever holds no texts yet: rg train MODEL --data D --data-root DIR gives it those of the "
                "training reports, rg index build MODEL --texts FILE others"
            )
        return self._index.search(self.conditional, regions, k, self.proposals)

    def rank(self, features: Features, texts: Sequence[str]) -> Tensor:
        """(B, A): the conditional score of every image with every text."""
        with torch.no_grad(), torch.autocast(features.tokens.device.type, enabled=False):
            return self.conditional.scores(self.conditional.regions(_float(features)), self.embed(texts))

    def stored_texts(self) -> Sequence[TextRow]:
        """The texts it finds."""
        if self._bank is not None:
            return self._bank.texts
        return [row for _, row in self._index.index.texts()] if self._index is not None else []

    def score_held(self, features: Features) -> Tensor:
        """(B, n): the conditional score of every image with every text it holds."""
        with torch.no_grad(), torch.autocast(features.tokens.device.type, enabled=False):
            regions = self.conditional.regions(_float(features))
            if self._bank is not None:
                return self.conditional.scores(regions, self._central(self._bank))
            assert self._index is not None
            blocks = live_blocks(self._index.index, regions.half.device)
            return torch.cat([self.conditional.scores(regions, vectors) for _, vectors in blocks], 1)

    def owners(self, texts: Sequence[str]) -> Sequence[int]:
        """The group that has the text, or the one whose central sentence is nearest by the sentence encoder."""
        bank = self._bank or make_bank(
            [Group(r.members or (r.text,), r.text) for r in self.stored_texts()], self._reader
        )
        vectors = torch.from_numpy(self._reader.encode(list(texts))).float()
        found: list[int] = bank.group_of(texts, vectors).tolist()
        return found

    def stage_recall(self, features: Features, k: int) -> float | None:
        """What the first stage keeps of the k best."""
        if self._index is None or self._index.index.kind == "exact":
            return None
        with torch.no_grad(), torch.autocast(features.tokens.device.type, enabled=False):
            regions, k = self.conditional.regions(_float(features)), min(k, len(self._index.index))
            found = search_proposed(self.conditional, regions, self._index, k, self.proposals)
            exact = search_exactly(self.conditional, regions, self._index.index, k)
        return recall_of(found[1], exact[1])


class _Matched:
    """The matched pairs of a batch: which report (P,), the sentence's vector (P, T), and its group (P,) of `count`."""

    def __init__(self, owner: Tensor, vectors: Tensor, groups: Tensor, count: int) -> None:
        self.owner, self.vectors, self.groups, self.count = owner, vectors, groups, count

    @classmethod
    def of(cls, texts: Sequence[str], owner: Tensor, vectors: Tensor, bank: Bank | None, B: int) -> _Matched:
        """Sentences without a bank are each a group of their own, equal ones the same."""
        if bank is not None:
            return cls(owner, vectors, bank.group_of(texts, vectors), len(bank.central))
        names = {t: n for n, t in enumerate(dict.fromkeys(map(plain, texts)))}
        groups = torch.tensor([names[plain(t)] for t in texts], dtype=torch.long, device=owner.device)
        return cls(owner, vectors, groups, max(1, len(names)))


def _float(features: Features) -> Features:
    return Features(features.tokens.float(), features.pooled, features.mask, features.tags)
