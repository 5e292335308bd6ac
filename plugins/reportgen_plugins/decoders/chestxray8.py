"""chestxray8: an image classifier that writes no report. TieNet is compared with it.

Wang et al.: ChestX-ray8: Hospital-scale Chest X-ray Database and Benchmarks on Weakly-Supervised Classification and
Localization of Common Thorax Diseases, CVPR 2017, arXiv:1705.02315, section 4.1: transition layer, global pooling,
prediction layer.

- Pooling is Log-Sum-Exp with sharpness r, eq. 1; `pooling` may be mean or max, its limits.
- Without a transition layer (`transition=0`) the tokens themselves are pooled. An encoder with the same pooling then
  gives decoders the same vector from which the findings were predicted.
- The transition layer and the loss, eq. 6, are those of `tienet`, so that the two models differ in the text alone.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reportgen_core import (
    Annotation,
    Candidate,
    Collection,
    CompositionError,
    Decoded,
    Decoder,
    Features,
    FeatureSpec,
    Generated,
    GenerationSettings,
    Targets,
    TargetSpec,
)

from ..pooling import check_pooling, pool_tokens
from .blocks.balance import BalancedLoss
from .blocks.kept_file import KeepsThresholds, thresholds_file


class ImageClassifier(KeepsThresholds, Decoder):
    """Predict the findings of an image. Its reports are empty.

    Args:
        transition: channels of the transition layer; 0: no such layer.
        pooling: how the regions become one vector: lse, mean or max.
        sharpness: r of lse: large values come near max, small ones near mean.
        dropout: share that is dropped before the last layer in training, 0..1.
        balanced: whether rare findings weigh more in the loss (equation 6 of TieNet).
        unsaid: what a finding that a study does not mention counts as: "absent", or "skip" to leave it out.
    """

    needs = frozenset({"findings"})

    def __init__(
        self,
        features: FeatureSpec,
        targets: TargetSpec,
        *,
        transition: int = 1024,
        pooling: str = "lse",
        sharpness: float = 10.0,
        dropout: float = 0.0,
        balanced: bool = True,
        unsaid: str = "absent",
    ) -> None:
        super().__init__(features, targets)
        self._thresholds = thresholds_file()
        if not features.tokens:
            raise CompositionError("chestxray8 looks at images, and this encoder has no token")
        check_pooling("chestxray8", pooling, sharpness)
        self.pooling, self.sharpness = pooling, sharpness
        self.transition = nn.Linear(features.dim, transition) if transition else None
        self.findings = nn.Linear(transition or features.dim, max(len(targets.findings), 1))
        self.dropout = nn.Dropout(dropout)
        self.loss = BalancedLoss(targets.findings, unsaid=unsaid, balanced=balanced)

    def learn(self, studies: Collection) -> None:
        """Set the weights β and λ of eq. 6 from the training studies."""
        self.loss.learn(studies.studies)

    def logits(self, features: Features) -> Tensor:
        """Return the logits of the findings (B, L)."""
        tokens = features.tokens if self.transition is None else self.transition(features.tokens).relu()
        vector = pool_tokens(tokens, features.mask, self.pooling, self.sharpness)
        logits: Tensor = self.findings(self.dropout(vector))
        return logits[:, : len(self.targets.findings)]

    def decode(self, features: Features, targets: Targets) -> Decoded:
        """Return loss finding, eq. 6."""
        assert targets.findings is not None
        logits = self.logits(features)
        loss = self.loss(logits, targets.findings)
        return Decoded({"finding": loss}, logits.new_zeros(0, len(self.targets.words)))

    @torch.inference_mode()
    def annotate(self, features: Features, targets: Targets) -> Annotation:
        """Return the probabilities of the findings of the images. Reports are not read."""
        return Annotation(self.logits(features).float().sigmoid())

    @torch.inference_mode()
    def generate(self, features: Features, settings: GenerationSettings) -> list[Generated]:
        """Return empty reports with the probabilities of the findings."""
        empty = (Candidate(((),), 0.0),)
        return [Generated(empty, findings=p) for p in self.logits(features).float().sigmoid()]
