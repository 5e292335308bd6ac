"""Self-critical sequence training: Rennie et al., CVPR 2017, arXiv:1612.00563; equation numbers are the paper's.

    ∇L = -(r(w^s) - r(ŵ)) ∇ log p(w^s)        eq. 8: w^s is drawn from the model, ŵ its own greedy report, r the reward

A report that is better than the greedy one becomes likelier, and a worse one less likely. The greedy report is the
baseline, so nothing else has to be learned.

Where we depart:
- w^s and ŵ are both written as in a test, without dropout. The pass that gives log p has the dropout of training, and
  the batch norm of an encoder that learns: then a report is taught under other features than it was drawn from. Fix
  the encoder (`freeze_encoder`) to avoid this.
- log p is the sum over the report's words, end marks among them. A hierarchical decoder also decides when to stop and
  what a sentence is about; these decisions come from its plan and are not drawn, so they are not in log p.
- The mean is over the studies of a batch. One report is drawn for each study.

Letters: B studies, T words, S sentences, W words of a sentence, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from ...data.batches import pad_words
from ...errors import OptionError
from ...models.model import Model
from ...models.reports import ReportBuilder
from ...text.spec import BOS, EOS, PAD
from ...types import Batch, Candidate, Decoded, Features, Generated, GenerationSettings, Targets
from .reward import Reward

CLOSE = 1e-2  # by how much a decoder's nats per word may differ from those of its logits, as a share


@dataclass(frozen=True, slots=True)
class SelfCritical:
    """What one batch taught: the loss, and the mean rewards of the drawn and of the greedy reports."""

    loss: Tensor  # (), with gradient
    drawn: float
    greedy: float


def self_critical(
    model: Model,
    reward: Reward,
    batch: Batch,
    features: Features | None,
    forward: Callable[[Batch], Decoded],
    seed: int,
) -> SelfCritical:
    """Return eq. 8's loss on a batch: its gradient is the mean of -(r(w^s) - r(ŵ)) ∇ log p(w^s).

    `features` are those of the batch if the encoder is fixed. `forward` is the teacher-forced pass in training mode.
    Raises OptionError if the decoder's logits do not follow its targets.
    """
    modes = {part: part.training for part in model.modules()}
    model.eval()
    with torch.no_grad():
        seen = model.encode(batch) if features is None else features
        greedy = _best(model, seen, batch, GenerationSettings(attention=False))
        drawn = _best(model, seen, batch, GenerationSettings(attention=False, sample=True, seed=seed))
    for part, mode in modes.items():
        part.training = mode
    builder = ReportBuilder(model.text, model.vocabulary, model.targets)
    texts = [builder.from_words("", Generated((one,))).text for one in (*drawn, *greedy)]
    scores = torch.tensor(reward.of([*batch.ids, *batch.ids], texts))
    better, baseline = scores.view(2, len(batch.ids))  # r(w^s) and r(ŵ), (B,) each
    targets = targets_of(model, drawn, batch.targets)
    out = forward(replace(batch, targets=targets))
    log_p = log_probabilities(out, targets, "words" if "words" in model.head.needs else "sentences")  # (B,)
    advantage = (better - baseline).to(log_p)
    return SelfCritical(-(advantage * log_p).mean(), float(better.mean()), float(baseline.mean()))


def _best(model: Model, features: Features, batch: Batch, settings: GenerationSettings) -> list[Candidate]:
    """Return the best report of each study as ids, written with its context if the decoder takes context."""
    assert model.decoder is not None
    generated = model.decoder.generate(features, settings, *model.context_arguments(batch.studies))
    return [one.candidates[0] for one in generated]


def targets_of(model: Model, drawn: Sequence[Candidate], given: Targets) -> Targets:
    """Return the drawn reports as targets, in the form that the decoder takes; tags and findings are those given.

    A row or sentence that was cut at its limit has no end mark, because none was drawn.
    """
    limits, needs = model.targets, model.head.needs
    if "words" in needs:
        rows = [[i for sentence in one.sentences for i in sentence] for one in drawn]
        words = pad_words([[BOS, *row, *_end(row, limits.max_length)] for row in rows])  # (B, 1 + T)
        return replace(given, words=words, sentences=None)
    sentences = [[[*s, *_end(s, limits.max_words)] for s in one.sentences if s] for one in drawn]
    S = max([1, *map(len, sentences)])
    padded = pad_words([row for one in sentences for row in (*one, *[[]] * (S - len(one)))])  # (B × S, W)
    switches = None if given.switches is None else torch.full((len(drawn), S), torch.nan)
    return replace(given, words=None, sentences=padded.reshape(len(drawn), S, -1), switches=switches)


def _end(words: Sequence[int], most: int) -> list[int]:
    return [EOS] if len(words) < most else []


def log_probabilities(out: Decoded, targets: Targets, form: str) -> Tensor:
    """Return log p (B,) of each report: the sum over its words, from the logits (Σ words, V) of a teacher-forced pass.

    Raises OptionError if the rows of the logits are not the targets in their order, which the decoder's own nats per
    word show.
    """
    if form == "words":
        assert targets.words is not None
        wanted = targets.words[:, 1:]  # (B, T)
        real = (wanted != PAD) & (wanted[:, :1] != EOS)
    else:
        assert targets.sentences is not None
        wanted = targets.sentences.flatten(1)  # (B, S × W)
        real = wanted != PAD
    wanted, real = wanted.to(out.logits.device), real.to(out.logits.device)
    study = real.nonzero()[:, 0]  # (Σ words,)
    if len(study) != len(out.logits):
        raise OptionError(f"reward: the decoder has {len(out.logits)} rows of logits for {len(study)} words")
    each = -F.cross_entropy(out.logits.float(), wanted[real], reduction="none")  # (Σ words,)
    nothing = torch.stack(list(out.losses.values())).sum() * 0  # keeps a graph where all reports are empty
    log_p = (each.new_zeros(len(wanted)) + nothing).index_add(0, study, each)
    nats = out.log.get("nats_per_word")
    mine = -each.detach().sum() / max(len(each), 1)
    if nats is not None and not torch.isclose(nats.float(), mine, rtol=CLOSE, atol=CLOSE):
        raise OptionError(
            "reward: the decoder's nats per word are not those of its logits and targets; a decoder that changes the "
            "order of its sentences in training, such as hier-lstm with shuffle, cannot learn from a reward"
        )
    return log_p
