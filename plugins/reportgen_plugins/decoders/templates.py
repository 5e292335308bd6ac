"""templates: a report of fixed sentences, one for each finding whose calibrated probability reaches its threshold.

Pino, Parra, Besa, Lagos: Clinically Correct Report Generation from Chest X-Rays Using Templates, MLMI 2021: a network
detects findings, and a template words each. Detection is that of Wang et al., ChestX-ray8, CVPR 2017, arXiv:1705.02315:

- Each token gets a logit for each finding, s = W x + b. Eq. 1 there, Log-Sum-Exp, pools them over the tokens:
  z_l = (1/r) log((1/N) Σ_n exp(r s_nl)). The paper pools features and then predicts; here the prediction is pooled, so
  that the part of each token in z_l is known: a_nl = exp(r s_nl) / Σ_m exp(r s_ml) = ∂z_l / ∂s_nl, which sums to 1.
  a is the attention of the sentence about finding l, a class activation map.
- The probability is sigmoid(scale_l z_l + shift_l) (Platt scaling). `speak_by` sets scale and shift, and two thresholds
  for each finding. From `stated` on the finding is stated, from `possible` on it is called uncertain, and below
  the report is silent: the templates deny nothing. A threshold above 1 keeps silent about a finding. A model without
  calibration states what reaches one half.
- Pino et al. have a sentence for absent findings, too. Here silence takes its place: labels that were mined from
  reports do not say that a finding was looked for.

Letters: B studies, N tokens, D token width, L findings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from reportgen_core import (
    Annotation,
    Attention,
    Candidate,
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
from reportgen_core.text.recipes import RECIPES
from reportgen_core.text.spec import Vocabulary

from ..pooling import check_pooling, pool_tokens
from .blocks.balance import BalancedLoss, is_disease
from .blocks.kept_file import KeepsThresholds, thresholds_file

# The buffers that `speak_by` sets, (L,) each, with the value of a model that nobody calibrated.
SPEECH = {"scale": 1.0, "shift": 0.0, "possible": 0.5, "stated": 0.5}
NOTHING = "This model is silent about this image."


class Templates(KeepsThresholds, Decoder):
    """Word the findings of an image by fixed sentences.

    Args:
        phrases: for each finding the sentence that states it and the sentence that calls it possible, in the order of
            the report. A finding that is not in here gets "There is NAME." and "NAME cannot be excluded."
        nothing: the sentence of a report without any finding.
        sharpness: r of Log-Sum-Exp, above 0. A large r lets one place decide.
        dropout: share of the token values that training leaves out, 0 to below 1.
        balanced: whether rare findings weigh more in the loss (TieNet's eq. 6).
        unsaid: what a finding without a label is: absent, or skip.
    """

    needs = frozenset({"findings"})

    def __init__(
        self,
        features: FeatureSpec,
        targets: TargetSpec,
        *,
        phrases: Mapping[str, Sequence[str]] | None = None,
        nothing: str = NOTHING,
        sharpness: float = 4.0,
        dropout: float = 0.2,
        balanced: bool = True,
        unsaid: str = "absent",
    ) -> None:
        super().__init__(features, targets)
        if not features.tokens:
            raise CompositionError("templates looks at images, and this encoder has no token")
        check_pooling("templates", "lse", sharpness)
        self._thresholds = thresholds_file()
        self.phrases, self.nothing, self.sharpness = _checked(phrases or {}), nothing, sharpness
        L = len(targets.findings)
        self.findings = nn.Linear(features.dim, max(L, 1))  # W and b
        self.dropout = nn.Dropout(dropout)
        self.loss = BalancedLoss(targets.findings, unsaid=unsaid, balanced=balanced)
        for name, value in SPEECH.items():
            self.register_buffer(name, torch.full((L,), value))
        self._order = [name for name in self.phrases if name in targets.findings]
        self._order += [name for name in targets.findings if name not in self.phrases and is_disease(name)]
        self._sentences = self._words_of_sentences() if targets.words[len(Vocabulary()) :] else {}

    def own_texts(self, findings: Sequence[str]) -> list[str]:
        """Return the sentences that this decoder can write about these findings."""
        return [self.nothing, *(text for name in findings if is_disease(name) for text in self._phrases_of(name))]

    def learn(self, studies: Collection) -> None:
        """Set the weights of the loss from the training studies."""
        self.loss.learn(studies.studies)

    def speak_by(self, **values: Sequence[float]) -> None:
        """Set `scale`, `shift`, `possible` and `stated` of each finding, (L,) each. Raises OptionError."""
        for name, numbers in values.items():
            if name not in SPEECH or len(numbers) != len(self.targets.findings):
                raise OptionError(f"templates speaks by {', '.join(SPEECH)}, a number a finding; not by {name!r}")
            cast(Tensor, getattr(self, name)).copy_(torch.tensor(numbers))

    def speaking_thresholds(self) -> dict[str, tuple[float, float]]:
        """Return for each finding the probabilities from which it is called possible and stated; above 1: never."""
        possible, stated = (cast(Tensor, getattr(self, name)).tolist() for name in ("possible", "stated"))
        return dict(zip(self.targets.findings, zip(possible, stated, strict=True), strict=True))

    def token_logits(self, features: Features) -> Tensor:
        """Return s, the logits of the findings at each token (B, N, L)."""
        logits: Tensor = self.findings(self.dropout(features.tokens))
        return logits[..., : len(self.targets.findings)].float()

    def logits(self, features: Features) -> Tensor:
        """Return z, the logits of the findings of each study (B, L), before calibration."""
        return pool_tokens(self.token_logits(features), features.mask, "lse", self.sharpness)

    def decode(self, features: Features, targets: Targets) -> Decoded:
        """Return loss finding; no word is learned."""
        assert targets.findings is not None
        z = self.logits(features)
        return Decoded({"finding": self.loss(z, targets.findings)}, z.new_zeros(0, len(self.targets.words)))

    @torch.inference_mode()
    def annotate(self, features: Features, targets: Targets) -> Annotation:
        """Return the calibrated probabilities of the findings of the images. Reports are not read."""
        return Annotation(self._calibrated(self.logits(features)))

    @torch.inference_mode()
    def generate(self, features: Features, settings: GenerationSettings) -> list[Generated]:
        """Return a report of each study. There is one candidate: a template has no second best wording."""
        s = self.token_logits(features)  # (B, N, L)
        probabilities = self._calibrated(pool_tokens(s, features.mask, "lse", self.sharpness))  # (B, L)
        weights = (self.sharpness * s).masked_fill(~features.mask[..., None], -torch.inf).softmax(1)  # a (B, N, L)
        even = features.mask / features.mask.sum(1, keepdim=True).clamp(min=1)  # (B, N)
        return [
            Generated((self._write(p, weights[b], even[b], settings),), findings=p) for b, p in enumerate(probabilities)
        ]

    def drop_files(self) -> None:
        """Forget thresholds and calibration: they do not fit the weights after training."""
        super().drop_files()
        for name, value in SPEECH.items():
            cast(Tensor, getattr(self, name)).fill_(value)

    def _calibrated(self, z: Tensor) -> Tensor:
        return (cast(Tensor, self.scale) * z + cast(Tensor, self.shift)).sigmoid()

    def _write(self, p: Tensor, weights: Tensor, even: Tensor, settings: GenerationSettings) -> Candidate:
        """Return the report of one study from probabilities (L,), weights (N, L) and even weights (N,)."""
        index = {name: self.targets.findings.index(name) for name in self._order}
        stated, possible = (cast(Tensor, getattr(self, name)).tolist() for name in ("stated", "possible"))
        values = p.tolist()
        said = [name for name, k in index.items() if values[k] >= min(stated[k], possible[k])]
        most = self.targets.max_sentences if settings.max_sentences is None else settings.max_sentences
        likeliest = sorted(said, key=lambda name: -values[index[name]])[:most]
        said = [name for name in said if name in likeliest]
        longest = self.targets.max_words if settings.max_words is None else settings.max_words
        rows = [self._sentences[name][values[index[name]] < stated[index[name]]] for name in said]
        regions = torch.stack([weights[:, index[name]] for name in said] or [even])
        score = sum(values[index[name]] for name in said) / len(said) if said else 1.0
        return Candidate(
            tuple(row[:longest] for row in rows or self._sentences[""][:1]),
            float(torch.tensor(score).clamp(min=1e-9).log()),
            Attention("sentence", regions) if settings.attention else None,
        )

    def _phrases_of(self, name: str) -> tuple[str, str]:
        words = name.replace("_", " ").lower()
        stated, possible = self.phrases.get(name, (f"There is {words}.", f"{words} cannot be excluded."))
        return stated, possible

    def _words_of_sentences(self) -> dict[str, tuple[tuple[int, ...], ...]]:
        """Return the ids of the two sentences of each finding; under "" those of a report without findings."""
        texts = {"": (self.nothing,), **{name: self._phrases_of(name) for name in self._order}}
        ids = {word: i for i, word in enumerate(self.targets.words)}
        split = RECIPES["plain"].split
        rows = {name: [[w for s in split(t) for w in s] for t in pair] for name, pair in texts.items()}
        unknown = sorted({w for pair in rows.values() for row in pair for w in row} - set(ids))
        if unknown:
            raise CompositionError(
                f"templates writes words that this model does not have: {', '.join(unknown[:5])}; "
                "the vocabulary must have those of the option phrases, in lower case"
            )
        return {name: tuple(tuple(ids[w] for w in row) for row in pair) for name, pair in rows.items()}


def _checked(phrases: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, str]]:
    """Return the phrases as pairs. Raises OptionError for a finding without exactly two sentences."""
    for name, pair in phrases.items():
        if isinstance(pair, str) or len(pair) != 2 or not all(isinstance(t, str) and t.strip() for t in pair):
            raise OptionError(
                f"phrases[{name!r}] is {pair!r}; give two sentences, one that states the finding and one that calls it "
                'possible: ["There is an effusion.", "An effusion cannot be excluded."]'
            )
    return {name: (pair[0], pair[1]) for name, pair in phrases.items()}
