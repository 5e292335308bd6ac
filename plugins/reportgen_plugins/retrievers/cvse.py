"""CVSE: report the abnormal findings of a study by finding sentences for them, each with its own attention.

Ni, Hsu, Gentili, McAuley: Learning Visual-Semantic Embeddings for Reporting Abnormal Findings on Chest X-rays, 2020,
arXiv:2010.02467. Equations 2 and 3 are in conditional.py, 4 in triplets.py, the groups of section 3.2 come from a
sentence grouper. Readings of what the paper leaves open:

- "we set α to 0.2" is the margin δ of eq. 4; α is the attention.
- "linear(v)", "linear(m)": a layer each, with bias; the norm after it.
- The most central sentence of a group represents it in the search. A report is the best three groups, one sentence
  each.
- "We measure recall on validation set": recall@1, 3, 5 and 10 of the groups that a report's sentences belong to; the
  preset selects by recall@10. A sentence that no training report has belongs to the group whose central
  sentence is nearest.
- The paper encodes sentences with BioSentVec; here it is any sentence encoder.

The texts are the sections that the model reads: the section abnormal, or lists of findings alone. A study without a
sentence is used as an image that fits no sentence of the other studies.
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
from reportgen_core.retrieval.index import TextIndex, TextRow
from reportgen_core.retrieval.kept_texts import read_texts, write_texts
from reportgen_core.sentences.parts import Group
from reportgen_core.text.spec import SPECIAL, TextSpec, join

from .bank import Bank, group_sentences, load_sentence_encoder, make_bank, plain
from .conditional import Conditional, Regions
from .exact_search import NearestTexts, live_blocks, search, search_exactly
from .stages import Stages, recall_of, search_proposed
from .triplets import draw, hinge, images_without, not_of_report

RECALLS = (1, 3, 5, 10)
PLAIN_TEXT = TextSpec()  # how words become a sentence for the sentence encoder


class CVSE(Retriever):
    """Find sentences by a distance whose attention depends on the sentence.

    Args:
        joint: width of the joint embedding, the paper's d.
        units: inner width of the attention, eq. 2.
        form: form of the attention: tanh, or linear as printed (see conditional.py).
        margin: δ of eq. 4.
        negatives: number of negatives that are drawn for each matched pair and direction.
        top: number of sentences of a report.
        sentence_encoder: name of the encoder of the sentences (rg list sentence-encoders); it is not trained.
        sentence_options: its options.
        grouper: name of the grouper of the training sentences (rg list sentence-groupers); "": no groups.
        grouper_options: its options.
        proposals: number of texts that the first stage proposes for each region, if the index has two stages.
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
        self._encoder = load_sentence_encoder(sentence_encoder, dict(sentence_options or {}))
        views = features.grid[0] if features.grid else 1
        self.conditional = Conditional(
            features.dim, self._encoder.dim, joint=joint, units=units, form=form, views=views
        )
        self._bank: Bank | None = None
        self._index: Stages | None = None
        self._vectors: dict[str, Tensor] = {}  # of sentences that the bank does not have

    # Training

    def learn_texts(self, reports: Mapping[str, Sequence[str]]) -> None:
        """Group the sentences of the training reports. Raises DataError if there are none, or too few to group."""
        sentences = [s for report in reports.values() for s in report]
        groups = group_sentences(sentences, self._encoder, self._grouper)
        self._bank, self._index = make_bank(groups, self._encoder), None

    def loss(self, features: Features, targets: Targets) -> Decoded:
        """Return loss triplet, eq. 4. In eval mode the draws are fixed, and the log has recall@k of the groups."""
        with torch.autocast(features.tokens.device.type, enabled=False):
            regions = self.conditional.regions(_float(features))
            texts, owner = self._report_sentences(targets, regions.mask.device)
            matched = _Matched.of(texts, owner, self._sentence_vectors(texts), self._bank, len(features.tokens))
            total = self._triplets(regions, matched)
            log = {} if self.training or self._bank is None else self._recalls(regions, matched, self._bank)
        return Decoded({"triplet": total / len(features.tokens)}, features.tokens.new_empty(0, 1), log)

    def _report_sentences(self, targets: Targets, device: torch.device) -> tuple[list[str], Tensor]:
        """Return the distinct sentences of each report, P in all, and the report (P,) of each.

        Unknown words are left out.
        """
        assert targets.sentences is not None
        texts, owner = [], []
        for b, report in enumerate(targets.sentences.tolist()):
            words = ([self.targets.words[i] for i in row if i >= len(SPECIAL)] for row in report)
            for key, text in {plain(t): t for t in (join([w], PLAIN_TEXT) for w in words)}.items():
                if key:
                    texts.append(text)
                    owner.append(b)
        return texts, torch.tensor(owner, dtype=torch.long, device=device)

    def _sentence_vectors(self, texts: Sequence[str]) -> Tensor:
        """Return the vectors (P, T) of the texts. Each different text is encoded once."""
        stored = self._bank.rows if self._bank is not None else {}
        new = [t for t in dict.fromkeys(texts) if plain(t) not in stored and t not in self._vectors]
        if new:
            self._vectors |= dict(zip(new, torch.from_numpy(self._encoder.encode(new)).float(), strict=True))
        bank = self._bank.vectors if self._bank is not None else torch.empty(0)
        rows = [bank[stored[plain(t)]] if plain(t) in stored else self._vectors[t] for t in texts]
        device = self.conditional.text.weight.device
        return torch.stack(rows).to(device) if rows else torch.empty(0, self._encoder.dim, device=device)

    def _triplets(self, regions: Regions, matched: _Matched) -> Tensor:
        """Return eq. 4: the sum over the matched pairs, both directions, and the negatives of each."""
        P, B = len(matched.owner), len(regions.half)
        if not P:
            return 0 * sum(p.sum() for p in self.conditional.parameters()) + 0 * regions.half.sum()
        device, generator = regions.half.device, None if self.training else torch.Generator().manual_seed(0)
        pool, pool_groups = matched.vectors, matched.groups
        if self._bank is not None:
            pool = torch.cat([pool, self._bank.vectors.to(device)])
            pool_groups = torch.cat([pool_groups, self._bank.groups.to(device)])
            drawable = torch.arange(len(pool), device=device) >= P  # the bank has each training sentence once
        else:
            drawable = torch.ones(len(pool), dtype=torch.bool, device=device)
        other = not_of_report(matched.owner, matched.groups, pool_groups, matched.count, B)[matched.owner] & drawable
        rows_t, negative_text = draw(other, self.negatives, generator)
        without = images_without(matched.owner, matched.groups, matched.count, B)
        rows_i, negative_image = draw(without, self.negatives, generator)
        used, places = torch.cat([torch.arange(P, device=device), negative_text]).unique(return_inverse=True)
        image = torch.cat([matched.owner, matched.owner[rows_t], negative_image])
        text = torch.cat([places, places[rows_i]])  # matched pairs, then negative texts, then negative images
        scores = self.conditional.pairs(regions, self.conditional.texts(pool[used]), image, text)
        right, wrong_text, wrong_image = scores.split([P, len(rows_t), len(rows_i)])
        return hinge(right[rows_t], wrong_text, self.margin) + hinge(right[rows_i], wrong_image, self.margin)

    def _recalls(self, regions: Regions, matched: _Matched, bank: Bank) -> dict[str, Tensor]:
        """Return recall@k, 0..1, of the groups of each report, mean over the reports that have a sentence.

        `queries` is the number of these reports.
        """
        B, G = len(regions.half), len(bank.central)
        wanted = torch.zeros(B, G, dtype=torch.bool, device=regions.half.device)
        wanted[matched.owner, matched.groups] = True
        has_sentence = wanted.any(1)
        ranked = self.conditional.scores(regions, self._central(bank)).argsort(dim=1, descending=True, stable=True)
        matches = wanted.gather(1, ranked).float()[has_sentence]
        count = wanted.sum(1)[has_sentence]
        means = {f"recall@{k}": (matches[:, :k].sum(1) / count).mean() for k in RECALLS} if len(count) else {}
        return {**means, "queries": has_sentence.sum().float()}

    def _central(self, bank: Bank) -> Tensor:
        """Return the vectors (G, joint) of the groups' central sentences in the joint space."""
        with torch.no_grad():
            return self.conditional.texts(bank.vectors[bank.central].to(self.conditional.text.weight.device))

    # Stored texts

    def index(self, ids: Sequence[str], texts: Sequence[str], features: Features | None = None) -> None:
        """Store these texts in place of the present ones, each as a group of its own."""
        groups = [Group((t,), t) for t in texts]
        bank = make_bank(groups, self._encoder)
        rows = tuple(TextRow(id, t) for id, t in zip(ids, texts, strict=True))
        self._bank, self._index = Bank(bank.rows, bank.vectors, bank.groups, bank.central, rows), None

    def texts_to_save(self) -> TextIndex | tuple[Sequence[TextRow], Tensor] | None:
        """Return the open index, or the learned groups with vectors by the present weights; None without texts."""
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
        """Return the vectors (n, joint) of texts in the joint space."""
        with torch.no_grad(), torch.autocast(self.conditional.text.weight.device.type, enabled=False):
            vectors = torch.from_numpy(self._encoder.encode(list(texts))).float()
            return self.conditional.texts(vectors.to(self.conditional.text.weight.device))

    def text_encoder(self) -> Mapping[str, Any]:
        """Return the sentence encoder's name, options and fingerprint."""
        return {**self._encoder.part_config, "fingerprint": self._encoder.fingerprint}

    # Search

    def search(self, features: Features, k: int = 1) -> list[list[Hit]]:
        """Return the k nearest texts of each study, with the attention of each.

        Raises CompositionError if no texts are stored.
        """
        with torch.no_grad(), torch.autocast(features.tokens.device.type, enabled=False):
            regions = self.conditional.regions(_float(features))
            nearest = self._find(regions, k)
            weights = self.conditional.attention_weights(regions, nearest.vectors)  # (B, k, V N)
        return [
            [
                Hit(row.id, row.text, score, Attention("sentence", of_text[None]))
                for row, score, of_text in zip(rows, scores, of_study, strict=False)  # fewer may be found than k
            ]
            for rows, scores, of_study in zip(nearest.rows, nearest.scores.tolist(), weights, strict=True)
        ]

    def _find(self, regions: Regions, k: int) -> NearestTexts:
        if self._bank is not None:
            return search(self.conditional, regions, self._bank.texts, self._central(self._bank), k)
        if self._index is None:
            raise CompositionError(
                "this retriever holds no texts yet: rg train MODEL --data D --data-root DIR gives it those of the "
                "training reports, rg index build MODEL --texts FILE others"
            )
        return self._index.search(self.conditional, regions, k, self.proposals)

    def rank(self, features: Features, texts: Sequence[str]) -> Tensor:
        """Return the conditional scores (B, A) of every image with every text."""
        with torch.no_grad(), torch.autocast(features.tokens.device.type, enabled=False):
            return self.conditional.scores(self.conditional.regions(_float(features)), self.embed(texts))

    def stored_texts(self) -> Sequence[TextRow]:
        """Return the stored texts, which a search can find."""
        if self._bank is not None:
            return self._bank.texts
        return [row for _, row in self._index.index.texts()] if self._index is not None else []

    def score_held(self, features: Features) -> Tensor:
        """Return the conditional scores (B, n) of every image with every stored text."""
        with torch.no_grad(), torch.autocast(features.tokens.device.type, enabled=False):
            regions = self.conditional.regions(_float(features))
            if self._bank is not None:
                return self.conditional.scores(regions, self._central(self._bank))
            assert self._index is not None
            blocks = live_blocks(self._index.index, regions.half.device)
            return torch.cat([self.conditional.scores(regions, vectors) for _, vectors in blocks], 1)

    def owners(self, texts: Sequence[str]) -> Sequence[int]:
        """Return the number of each text's group; for an unknown text, the group whose central sentence is nearest."""
        bank = self._bank or make_bank(
            [Group(r.members or (r.text,), r.text) for r in self.stored_texts()], self._encoder
        )
        vectors = torch.from_numpy(self._encoder.encode(list(texts))).float()
        groups: list[int] = bank.group_of(texts, vectors).tolist()
        return groups

    def stage_recall(self, features: Features, k: int) -> float | None:
        """Return the recall@k, 0..1, of the two-stage search against exact search.

        Return None if no index is open, or it is searched in one stage.
        """
        if self._index is None or self._index.index.kind == "exact":
            return None
        with torch.no_grad(), torch.autocast(features.tokens.device.type, enabled=False):
            regions, k = self.conditional.regions(_float(features)), min(k, len(self._index.index))
            proposed = search_proposed(self.conditional, regions, self._index, k, self.proposals)
            exact = search_exactly(self.conditional, regions, self._index.index, k)
        return recall_of(proposed[1], exact[1])


class _Matched:
    """The matched pairs of a batch: report (P,), the sentence's vector (P, T), and its group (P,), one of `count`."""

    def __init__(self, owner: Tensor, vectors: Tensor, groups: Tensor, count: int) -> None:
        self.owner, self.vectors, self.groups, self.count = owner, vectors, groups, count

    @classmethod
    def of(cls, texts: Sequence[str], owner: Tensor, vectors: Tensor, bank: Bank | None, B: int) -> _Matched:
        """Build the pairs of sentences. Without a bank each different sentence is a group of its own."""
        if bank is not None:
            return cls(owner, vectors, bank.group_of(texts, vectors), len(bank.central))
        names = {t: n for n, t in enumerate(dict.fromkeys(map(plain, texts)))}
        groups = torch.tensor([names[plain(t)] for t in texts], dtype=torch.long, device=owner.device)
        return cls(owner, vectors, groups, max(1, len(names)))


def _float(features: Features) -> Features:
    """Return the features with tokens in float32."""
    return Features(features.tokens.float(), features.pooled, features.mask, features.tags)
