"""tienet: predict findings from a report, an image, or both, and write reports.

Xiaosong Wang, Yifan Peng, Le Lu, Zhiyong Lu, Ronald M. Summers: TieNet: Text-Image Embedding Network for Common Thorax
Disease Classification and Reporting in Chest X-rays, CVPR 2018, arXiv:1801.04334. Equation numbers are the paper's. One
network in three uses: report only (the encoder `none`, which has no token: no image path is built), image and report
(`writes=false`: no word is predicted, section 3.5), image and the report it writes itself (section 3.6).

- X: tokens through the transition layer, a 1 × 1 convolution to C channels with ReLU (the paper names no kernel size),
  for any grid.
- h_0 = φ(mean of X), with another linear map for the cell state, both with tanh (the paper names no activation); zeros
  without an image.
- Eq. 2: the LSTM reads [w_t; Σ a_t(x,y) X(x,y)], Xu et al.'s soft attention (arXiv:1502.03044), a_t by an MLP of
  h_(t-1) and X. h_t, a_t and g_t belong to the input w_t; h_t predicts w_(t+1).
- Text attention is over the words of the report, not over START; in a report without words it is over START alone.
- Eq. 4-5: Σ_(x,y) Σ_t a_t(x,y) g_t X(x,y) = Σ_t g_t Σ_(x,y) a_t(x,y) X(x,y): the vectors that eq. 2 reads, weighted
  by saliency and summed. The weights add up to Σ g_t, not to 1, as printed.
- Losses, means over studies: `finding` is L_C, eq. 6; `word` is L_R, summed over a report's words; `penalty` is the
  attention's. Eq. 7's α is the training setting weights: {"finding": α, "word": 1 - α}; the penalty is not in it.
  `doubly` adds Xu et al.'s (1 - Σ_t a_t)² to L_R. Dropout is before the last layer ("on the MLP").
- `word_dropout` is the share of words that training reads as unknown: section 3.5 drops part of the
  "easy-to-learn" data, the text, and does not say how. It is 0 by default.
- In generation, a written report is read again and classified like any other, so both ways give exactly the same.

Letters: B studies, R rows of a search, N regions, C channels, H hidden, E embedding, T words, L findings, r rows of G.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
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
from reportgen_core.data.batches import pad_words
from reportgen_core.text.spec import BOS, EOS, PAD, SPECIAL, UNK
from reportgen_core.writing.attention import AdditiveAttention, attend
from reportgen_core.writing.lstm_step import WeightCache, WordCell
from reportgen_core.writing.report_words import StudyMemory, most_words, shift_targets, to_generated, word_loss
from reportgen_core.writing.word_search import SEARCH_SETTINGS, State, Step, search

from .blocks.aete import AttentionEncodedText, penalty, saliency
from .blocks.balance import BalancedLoss
from .blocks.kept_file import KeepsThresholds, thresholds_file
from .blocks.vectors import set_vectors

LstmStep = Callable[[int, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]  # word t, h, c, the attended image -> h, c

SIMILAR = 0.75  # in training on a CPU, reports of at least this share of the longest length are read together


@dataclass(frozen=True, slots=True)
class StartState:
    """The state before the first word, and the image, or None if the model reads no image."""

    hidden: Tensor  # (B, H)
    cell: Tensor  # (B, H)
    image: tuple[Tensor, Tensor, Tensor] | None = None  # X (B, N, C), mask (B, N), attention keys (B, N, H)


@dataclass(frozen=True, slots=True)
class ReadReport:
    """The states after each word of a report."""

    hidden: Tensor  # (B, T, H)
    context: Tensor | None = None  # (B, T, C) the attended image
    weights: Tensor | None = None  # (B, T, N) a_t


class TieNet(KeepsThresholds, Decoder):
    """TieNet: findings and reports, with attention over regions and words.

    Args:
        hidden: numbers of the state of the LSTM.
        embedding: numbers of a word vector.
        transition: C, channels of the transition layer.
        attention_units: width of the hidden layer of the attention over words.
        attention_rows: r, attentions over the words of a report.
        dropout: share that is dropped before the last layer in training, 0..1.
        word_dropout: share of the words that training reads as unknown, 0..1.
        writes: whether the model learns to write reports; false learns the findings alone.
        doubly: whether the loss also asks that the words together attend to every region (Xu et al.).
        balanced: whether rare findings weigh more in the loss (equation 6 of TieNet).
        unsaid: what a finding that a study does not mention counts as: "absent", or "skip" to leave it out.
        vectors: file of word2vec vectors, read only when a new model is built.
    """

    needs = frozenset({"words", "findings"})
    follows = SEARCH_SETTINGS

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
        self._thresholds = thresholds_file()
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
        self.findings = nn.Linear(hidden + C, max(L, 1))  # an untrained model may have no findings
        self.out = nn.Linear(hidden, V) if writes else None
        self.dropout = nn.Dropout(dropout)
        self._step_weights: WeightCache[WordCell] = WeightCache()
        self.loss = BalancedLoss(targets.findings, unsaid=unsaid, balanced=balanced)
        if vectors:
            set_vectors(self.embedding, targets.words, vectors)

    def learn(self, studies: Collection) -> None:
        """Set the weights β and λ of eq. 6 from the training studies."""
        self.loss.learn(studies.studies)

    def start(self, features: Features) -> StartState:
        """Return the state before the first word."""
        if not self.features.tokens:
            zero = self.embedding.weight.new_zeros(len(features.pooled), self.hidden)
            return StartState(zero, zero)
        tokens = self.transition(features.tokens).relu()  # X
        share = features.mask / features.mask.sum(1, keepdim=True).clamp(min=1)  # (B, N)
        mean = torch.einsum("bn,bnc->bc", share.to(tokens.dtype), tokens)
        hidden, cell = self.first_hidden(mean).tanh(), self.first_cell(mean).tanh()
        return StartState(hidden, cell, (tokens, features.mask, self.attention.keys(tokens)))

    def read(self, start: StartState, words: Tensor) -> ReadReport:
        """Read words (B, T), START first, by eq. 2."""
        if start.image is None:
            return ReadReport(self._states(words))
        hidden, cell = start.hidden, start.cell
        step = self._training_step(words) if torch.is_grad_enabled() else self._inference_step(words)
        states, contexts, weights = [], [], []
        for t in range(words.shape[1]):
            context, alpha = self._attend(start.image, hidden)
            hidden, cell = step(t, hidden, cell, context)
            states.append(hidden)
            contexts.append(context)
            weights.append(alpha)
        return ReadReport(torch.stack(states, 1), torch.stack(contexts, 1), torch.stack(weights, 1))

    def _states(self, words: Tensor) -> Tensor:
        """Return the states (B, T, H) of the LSTM without an image, from zeros, after words (B, T).

        In training on a CPU, reports of similar length are read together. This computes less padding and saves a third
        of the time.
        """
        if words.device.type == "cpu" and not torch.is_grad_enabled():
            return self._unroll(words)
        embedded = self.embedding(words)
        if words.device.type != "cpu":
            states: Tensor = self.lstm(embedded)[0]
            return states
        lengths, T = (words != PAD).sum(1), words.shape[1]
        order = lengths.argsort(descending=True)
        groups = order.split(_group_sizes(lengths[order]))
        runs = [self.lstm(embedded[rows, : int(lengths[rows].max())])[0] for rows in groups]
        padded = torch.cat([F.pad(run, (0, 0, 0, T - run.shape[1])) for run in runs])
        return padded[order.argsort()]

    def _unroll(self, words: Tensor) -> Tensor:
        """Return the same states (B, T, H) without gradients, by a table of the words' parts of the gates."""
        step = self._word_cell()
        hidden = self.embedding.weight.new_zeros(len(words), self.hidden)
        cell, states = hidden.float(), []
        for word in words.t():
            hidden, cell = step(word, hidden, cell)
            states.append(hidden)
        return torch.stack(states, 1)

    def _training_step(self, words: Tensor) -> LstmStep:
        """Return one step of the LSTM, eq. 2, with gradients. The words' part of the gates is computed at once."""
        E = self.embedding.embedding_dim
        inputs, recurrent, bias, more = (cast(Tensor, w) for w in self.lstm.parameters())
        word_gates = F.linear(self.embedding(words), inputs[:, :E], bias + more)  # (B, T, 4H)

        def step(t: int, hidden: Tensor, cell: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
            gates = word_gates[:, t] + F.linear(context, inputs[:, E:]) + F.linear(hidden, recurrent)
            i, f, g, o = gates.chunk(4, -1)
            cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
            return o.sigmoid() * cell.tanh(), cell

        return step

    def _inference_step(self, words: Tensor) -> LstmStep:
        """Return one step of the LSTM, eq. 2, without gradients."""
        cell_step = self._word_cell()
        return lambda t, hidden, cell, context: cell_step(words[:, t], hidden, cell, context)

    def _word_cell(self) -> WordCell:
        """Return the weights of one step of the LSTM without gradients."""
        words, weights = self.embedding.weight, [cast(Tensor, w) for w in self.lstm.parameters()]
        inputs, recurrent, bias, more = weights
        return self._step_weights.of(
            [words, *weights], lambda dtype: WordCell.build(words, inputs, recurrent, bias + more, dtype)
        )

    def _attend(self, image: tuple[Tensor, ...], hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Return the attended image (R, C) and a_t (R, N) at states (R, H), for R / B rows of each study."""
        tokens, mask, keys = image
        weights = self.attention(keys, hidden, mask)
        return attend(weights, tokens), weights

    def classify(self, report: ReadReport, words: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits of the findings (B, L), and G (B, r, T) over the words of the report (B, T)."""
        real = (words != PAD) & (words != BOS) & (words != EOS)
        real[:, 0] = ~real.any(1)  # a report without words
        weights = self.text.weights(report.hidden, real)
        joint = self.text.embed(weights, report.hidden)  # (B, H)
        if report.context is not None:  # eq. 4-5
            salient = torch.bmm(saliency(weights)[:, None].to(report.context.dtype), report.context).squeeze(
                1
            )  # (B, C)
            joint = torch.cat([joint, salient], -1)
        logits: Tensor = self.findings(self.dropout(joint))
        return logits[:, : len(self.targets.findings)], weights

    def decode(self, features: Features, targets: Targets) -> Decoded:
        """Return the losses finding and penalty, and loss word if the model writes reports."""
        assert targets.words is not None
        assert targets.findings is not None
        words, wanted, real = shift_targets(targets.words)
        inputs = self._drop_words(words) if self.training and self.word_dropout else words
        report = self.read(self.start(features), inputs)
        logits, weights = self.classify(report, words)
        losses = {"finding": self.loss(logits, targets.findings), "penalty": penalty(weights).mean()}
        if self.out is None:
            return Decoded(losses, logits.new_zeros(0, len(self.targets.words)))
        out = word_loss(self.out(report.hidden[real]), wanted, real)
        losses |= out.losses
        if self.doubly and report.weights is not None:
            lack = 1 - (report.weights * real[..., None]).sum(1)  # (B, N)
            losses["word"] = losses["word"] + ((lack.square() * features.mask).sum(1) * real[:, 0]).mean()
        return replace(out, losses=losses)

    def _drop_words(self, words: Tensor) -> Tensor:
        """Replace a random share of the words by the unknown word. Marks stay."""
        dropped = (torch.rand(words.shape, device=words.device) < self.word_dropout) & (words >= len(SPECIAL))
        return words.masked_fill(dropped, UNK)

    @torch.inference_mode()
    def annotate(self, features: Features, targets: Targets) -> Annotation:
        """Return the probabilities of the findings of studies with reports, and G over `targets.words[:, 1:]`."""
        assert targets.words is not None
        words = targets.words
        logits, weights = self.classify(self.read(self.start(features), words), words)
        return Annotation(logits.float().sigmoid(), weights[..., 1:])

    @torch.inference_mode()
    def generate(self, features: Features, settings: GenerationSettings) -> list[Generated]:
        """Write reports, then classify the image with the written report. Raises CompositionError if it writes none."""
        if self.out is None:
            raise CompositionError(
                "this tienet reads reports and writes none (writes=false); rg annotate uses it, --evaluate judges it"
            )
        start = self.start(features)
        length = most_words(self.targets, settings)
        result = search(*self._search_step(start, self.out), settings, rows=len(start.hidden), max_words=length)
        return self._add_findings(start, to_generated(result, settings), settings.attention)

    def _search_step(self, start: StartState, out: nn.Linear) -> tuple[Step, State]:
        """Return the step of a search, and the state before START."""
        cell_step = self._word_cell()
        memory = None if start.image is None else StudyMemory(*start.image)

        def step(words: Tensor, state: State) -> tuple[Tensor, State, Tensor | None]:
            hidden, cell, studies = state
            context, weights = (None, None) if memory is None else self._attend(memory.of(studies), hidden)
            hidden, cell = cell_step(words, hidden, cell, context)
            return out(hidden).float(), (hidden, cell, studies), weights

        return step, (start.hidden, start.cell, torch.arange(len(start.hidden), device=start.hidden.device))

    def _add_findings(self, start: StartState, reports: list[Generated], attention: bool) -> list[Generated]:
        """Add the findings of each study's best report, and with `attention` its text attention to the spatial one."""
        texts = [report.candidates[0].sentences[0] for report in reports]
        words = pad_words([[BOS, *ids] for ids in texts]).to(start.hidden.device)
        logits, weights = self.classify(self.read(start, words), words)
        findings, weights = logits.float().sigmoid(), weights.float().cpu()
        classified = []
        for report, ids, of_study, rows in zip(reports, texts, findings, weights, strict=True):
            best = report.candidates[0]
            if attention:
                spatial = best.attention or Attention("word")
                best = replace(best, attention=replace(spatial, words=rows[:, 1 : 1 + len(ids)].clone()))
            classified.append(replace(report, candidates=(best, *report.candidates[1:]), findings=of_study))
        return classified


def _group_sizes(lengths: Tensor) -> list[int]:
    """Divide reports, sorted by `lengths` with the longest first, into groups of similar length; return their sizes."""
    counts, longest = [0], int(lengths[0])
    for length in lengths.tolist():
        if length < SIMILAR * longest:
            counts.append(0)
            longest = length
        counts[-1] += 1
    return counts
