"""tienet: reads a report, an image, or both, says which findings there are, and writes reports.

Xiaosong Wang, Yifan Peng, Le Lu, Zhiyong Lu, Ronald M. Summers: TieNet: Text-Image Embedding Network for Common Thorax
Disease Classification and Reporting in Chest X-rays, CVPR 2018, arXiv:1801.04334. Equation numbers are the paper's. One
network in three uses: report only (the encoder `none`, which has no token: no image path is built), image and report
(`writes=false`: no word is predicted, section 3.5), image and the report it writes itself (section 3.6).

- X: tokens through the transition layer, a 1 × 1 convolution to C channels with ReLU (its kernel is silent), any grid.
- h_0 = φ(mean of X), with a map of its own for the cell state, both with tanh (silent); zeros without an image.
- Eq. 2: the LSTM reads [w_t; Σ a_t(x,y) X(x,y)], Xu et al.'s soft attention (arXiv:1502.03044), a_t by an MLP of
  h_(t-1) and X. h_t, a_t and g_t belong to the input w_t; h_t predicts w_(t+1).
- Text attention runs over the words of the report, not over START; in a report without words over START alone.
- Eq. 4-5: Σ_(x,y) Σ_t a_t(x,y) g_t X(x,y) = Σ_t g_t Σ_(x,y) a_t(x,y) X(x,y): the vectors that eq. 2 reads, summed by
  saliency. The weights add up to Σ g_t, not to 1, as printed.
- Losses, means over studies: `finding` is L_C, eq. 6; `word` is L_R, summed over a report's words; `penalty` is the
  attention's. Eq. 7's α is the training setting weights: {"finding": α, "word": 1 - α}; the penalty stands outside it.
  `doubly` adds Xu et al.'s (1 - Σ_t a_t)² to L_R. Dropout stands before the last layer ("on the MLP").
- `word_dropout` is the share of words that training reads as unknown: section 3.5 asks to drop part of the
  "easy-to-learn" data, the text, and does not say how. It is 0 unless asked for.
- In use, a written report is read again and classified as any other: the two agree to the last digit.

Letters: B studies, R rows of a search, N regions, C channels, H hidden, E embedding, T words, L findings, r rows of G.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reportgen_core import (
    Annotation,
    Attention,
    Collection,
    CompositionError,
    Decoded,
    Decoder,
    Features,
    FeatureSpec,
    Generated,
    GenerationSettings,
    OptionError,
    Targets,
    TargetSpec,
)
from reportgen_core.annotation.thresholds import THRESHOLDS
from reportgen_core.data.batches import pad_words
from reportgen_core.text.spec import BOS, EOS, PAD, SPECIAL, UNK

from .blocks.aete import AttentionEncodedText, penalty, saliency
from .blocks.attention import AdditiveAttention, attend
from .blocks.balance import BalancedLoss
from .blocks.kept_file import KeptFile
from .blocks.lstm_step import Kept, WordCell
from .blocks.report_words import Held, most_words, taught, word_loss, written
from .blocks.search import State, Step, search
from .blocks.vectors import set_vectors

Further = Callable[[int, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]  # word t, h, c, the attended image -> h, c

ALIKE = 0.75  # a CPU reads reports together in training that are not shorter than this share of the longest of them


@dataclass(frozen=True, slots=True)
class Seen:
    """The state before the first word, and the image where there is one."""

    hidden: Tensor  # (B, H)
    cell: Tensor  # (B, H)
    image: tuple[Tensor, Tensor, Tensor] | None = None  # X (B, N, C), mask (B, N), attention keys (B, N, H)


@dataclass(frozen=True, slots=True)
class Read:
    """A report as read word by word."""

    hidden: Tensor  # (B, T, H)
    context: Tensor | None = None  # (B, T, C) the attended image
    looked: Tensor | None = None  # (B, T, N) a_t


class TieNet(Decoder):
    """TieNet. `vectors` is a file of word2vec vectors, read when the model is first built for its words."""

    needs = frozenset({"words", "findings"})

    def __init__(
        self,
        features: FeatureSpec,
        targets: TargetSpec,
        *,
        hidden: int = 256,
        embedding: int = 200,
        transition: int = 1024,
        attention_units: int = 350,
        attention_rows: int = 5,
        dropout: float = 0.5,
        word_dropout: float = 0.0,
        writes: bool = True,
        doubly: bool = False,
        balanced: bool = True,
        unsaid: str = "absent",
        vectors: str = "",
    ) -> None:
        super().__init__(features, targets)
        self._thresholds = KeptFile(THRESHOLDS)
        V, L = len(targets.words), len(targets.findings)
        C = transition if features.tokens else 0
        if not 0 <= word_dropout < 1:
            raise OptionError(f"word_dropout={word_dropout} is a share of words: from 0 to below 1")
        self.hidden, self.writes, self.doubly, self.word_dropout = hidden, writes, doubly, word_dropout
        self.embedding = nn.Embedding(V, embedding, padding_idx=PAD)
        self.lstm = nn.LSTM(embedding + C, hidden, batch_first=True)
        if C:
            self.transition = nn.Linear(features.dim, C)
            self.first_hidden, self.first_cell = nn.Linear(C, hidden), nn.Linear(C, hidden)  # φ
            self.attention = AdditiveAttention(C, hidden, hidden)
        self.text = AttentionEncodedText(hidden, attention_units, attention_rows)
        self.findings = nn.Linear(hidden + C, max(L, 1))  # a model that is not trained yet may know no finding
        self.out = nn.Linear(hidden, V) if writes else None
        self.dropout = nn.Dropout(dropout)
        self._laid: Kept[WordCell] = Kept()
        self.loss = BalancedLoss(targets.findings, unsaid=unsaid, balanced=balanced)
        if vectors:
            set_vectors(self.embedding, targets.words, vectors)

    def learn(self, studies: Collection) -> None:
        """Take the weights of eq. 6 from the training studies."""
        self.loss.learn(studies.studies)

    def see(self, features: Features) -> Seen:
        """The image before the first word."""
        if not self.features.tokens:
            zero = self.embedding.weight.new_zeros(len(features.pooled), self.hidden)
            return Seen(zero, zero)
        tokens = self.transition(features.tokens).relu()  # X
        share = features.mask / features.mask.sum(1, keepdim=True).clamp(min=1)  # (B, N)
        mean = torch.einsum("bn,bnc->bc", share.to(tokens.dtype), tokens)
        hidden, cell = self.first_hidden(mean).tanh(), self.first_cell(mean).tanh()
        return Seen(hidden, cell, (tokens, features.mask, self.attention.keys(tokens)))

    def read(self, seen: Seen, words: Tensor) -> Read:
        """Eq. 2 over words (B, T), START first."""
        if seen.image is None:
            return Read(self._states(words))
        hidden, cell = seen.hidden, seen.cell
        further = self._taught(words) if torch.is_grad_enabled() else self._stepped(words)
        states, contexts, looks = [], [], []
        for t in range(words.shape[1]):
            context, looked = self._look(seen.image, hidden)
            hidden, cell = further(t, hidden, cell, context)
            states.append(hidden)
            contexts.append(context)
            looks.append(looked)
        return Read(torch.stack(states, 1), torch.stack(contexts, 1), torch.stack(looks, 1))

    def _states(self, words: Tensor) -> Tensor:
        """The LSTM alone, from zeros: (B, T) -> (B, T, H).

        Trained on a CPU, reports of like length run together: less padding is computed, a third of the time is saved.
        """
        if words.device.type == "cpu" and not torch.is_grad_enabled():
            return self._unrolled(words)
        embedded = self.embedding(words)
        if words.device.type != "cpu":
            states: Tensor = self.lstm(embedded)[0]
            return states
        lengths, T = (words != PAD).sum(1), words.shape[1]
        order = lengths.argsort(descending=True)
        runs = [
            self.lstm(embedded[some, : int(lengths[some].max())])[0] for some in order.split(_alike(lengths[order]))
        ]
        padded = torch.cat([F.pad(run, (0, 0, 0, T - run.shape[1])) for run in runs])
        return padded[order.argsort()]

    def _unrolled(self, words: Tensor) -> Tensor:
        """The same without gradients, with the input weights multiplied into the table of words once."""
        further = self._further()
        hidden = self.embedding.weight.new_zeros(len(words), self.hidden)
        cell, states = hidden.float(), []
        for word in words.t():
            hidden, cell = further(word, hidden, cell)
            states.append(hidden)
        return torch.stack(states, 1)

    def _taught(self, words: Tensor) -> Further:
        """One step of the LSTM, eq. 2, for training; the words' share of the gates comes first, for all."""
        E = self.embedding.embedding_dim
        inputs, recurrent, bias, more = (cast(Tensor, w) for w in self.lstm.parameters())
        said = F.linear(self.embedding(words), inputs[:, :E], bias + more)  # (B, T, 4H)

        def further(t: int, hidden: Tensor, cell: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
            gates = said[:, t] + F.linear(context, inputs[:, E:]) + F.linear(hidden, recurrent)
            i, f, g, o = gates.chunk(4, -1)
            cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
            return o.sigmoid() * cell.tanh(), cell

        return further

    def _stepped(self, words: Tensor) -> Further:
        """The same without gradients."""
        laid = self._further()
        return lambda t, hidden, cell, context: laid(words[:, t], hidden, cell, context)

    def _further(self) -> WordCell:
        """The LSTM as it steps without gradients."""
        words, weights = self.embedding.weight, [cast(Tensor, w) for w in self.lstm.parameters()]
        inputs, recurrent, bias, more = weights
        return self._laid.of([words, *weights], lambda kind: WordCell.lay(words, inputs, recurrent, bias + more, kind))

    def _look(self, image: tuple[Tensor, ...], hidden: Tensor) -> tuple[Tensor, Tensor]:
        """The attended image (R, C) and a_t (R, N) at states (R, H), for R / B rows of each study."""
        tokens, mask, keys = image
        looked = self.attention(keys, hidden, mask)
        return attend(looked, tokens), looked

    def classify(self, read: Read, words: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the findings (B, L) and G (B, r, T) over the words that were read (B, T)."""
        real = (words != PAD) & (words != BOS) & (words != EOS)
        real[:, 0] = ~real.any(1)  # a report without words
        weights = self.text.weights(read.hidden, real)
        joint = self.text.embed(weights, read.hidden)  # (B, H)
        if read.context is not None:  # eq. 4-5
            salient = torch.bmm(saliency(weights)[:, None].to(read.context.dtype), read.context).squeeze(1)  # (B, C)
            joint = torch.cat([joint, salient], -1)
        logits: Tensor = self.findings(self.dropout(joint))
        return logits[:, : len(self.targets.findings)], weights

    def decode(self, features: Features, targets: Targets) -> Decoded:
        """Losses finding, penalty and, where it writes, word."""
        assert targets.words is not None
        assert targets.findings is not None
        words, wanted, real = taught(targets.words)
        heard = self._forgetful(words) if self.training and self.word_dropout else words
        read = self.read(self.see(features), heard)
        logits, weights = self.classify(read, words)
        losses = {"finding": self.loss(logits, targets.findings), "penalty": penalty(weights).mean()}
        if self.out is None:
            return Decoded(losses, logits.new_zeros(0, len(self.targets.words)))
        out = word_loss(self.out(read.hidden[real]), wanted, real)
        losses |= out.losses
        if self.doubly and read.looked is not None:
            lack = 1 - (read.looked * real[..., None]).sum(1)  # (B, N)
            losses["word"] = losses["word"] + ((lack.square() * features.mask).sum(1) * real[:, 0]).mean()
        return replace(out, losses=losses)

    def _forgetful(self, words: Tensor) -> Tensor:
        """The words with some of them unknown; marks stay."""
        gone = (torch.rand(words.shape, device=words.device) < self.word_dropout) & (words >= len(SPECIAL))
        return words.masked_fill(gone, UNK)

    @torch.inference_mode()
    def write_files(self, folder: Path, model_digest: str) -> None:
        """Write the thresholds that were chosen for these weights."""
        self._thresholds.write(folder)

    def read_files(self, folder: Path, model_digest: str) -> None:
        """Keep the thresholds that stand in the model's folder."""
        self._thresholds.read(folder)

    def drop_files(self) -> None:
        """Forget the thresholds: they do not hold for the weights to come."""
        self._thresholds.content = None

    def annotate(self, features: Features, targets: Targets) -> Annotation:
        """Findings of studies whose reports are given, and the rows of G over `targets.words[:, 1:]`."""
        assert targets.words is not None
        words = targets.words
        logits, weights = self.classify(self.read(self.see(features), words), words)
        return Annotation(logits.float().sigmoid(), weights[..., 1:])

    @torch.inference_mode()
    def generate(self, features: Features, settings: GenerationSettings) -> list[Generated]:
        """Write, then read what was written: image + generated report."""
        if self.out is None:
            raise CompositionError(
                "this tienet reads reports and writes none (writes=false); rg annotate uses it, --evaluate judges it"
            )
        seen = self.see(features)
        length = most_words(self.targets, settings)
        found = search(
            *self._stepping(seen, self.out),
            rows=len(seen.hidden), beams=settings.beams, max_words=length, attention=settings.attention,
        )  # fmt: skip
        made = written(found, settings)
        return self._classified(seen, made, settings.attention)

    def _stepping(self, seen: Seen, out: nn.Linear) -> tuple[Step, State]:
        """What a search needs: one word further for every row, and the state in front of START."""
        further = self._further()
        held = None if seen.image is None else Held(*seen.image)

        def step(words: Tensor, state: State) -> tuple[Tensor, State, Tensor | None]:
            hidden, cell, who = state
            context, looked = (None, None) if held is None else self._look(held.of(who), hidden)
            hidden, cell = further(words, hidden, cell, context)
            return out(hidden).float(), (hidden, cell, who), looked

        return step, (seen.hidden, seen.cell, torch.arange(len(seen.hidden), device=seen.hidden.device))

    def _classified(self, seen: Seen, made: list[Generated], attention: bool) -> list[Generated]:
        """The findings of the best report of each study, with its text attention beside the spatial one."""
        said = [g.candidates[0].sentences[0] for g in made]
        words = pad_words([[BOS, *ids] for ids in said]).to(seen.hidden.device)
        logits, weights = self.classify(self.read(seen, words), words)
        out = []
        for g, ids, findings, rows in zip(made, said, logits.float().sigmoid(), weights.float().cpu(), strict=True):
            best = g.candidates[0]
            if attention:
                looked = best.attention or Attention("word")
                best = replace(best, attention=replace(looked, words=rows[:, 1 : 1 + len(ids)].clone()))
            out.append(replace(g, candidates=(best, *g.candidates[1:]), findings=findings))
        return out


def _alike(lengths: Tensor) -> list[int]:
    """How many of the reports, the longest first, are read together."""
    counts, longest = [0], int(lengths[0])
    for length in lengths.tolist():
        if length < ALIKE * longest:
            counts.append(0)
            longest = length
        counts[-1] += 1
    return counts
