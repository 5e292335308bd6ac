"""Compute the class-balanced loss of findings, TieNet's equation 6.

Wang et al., TieNet, CVPR 2018, arXiv:1801.04334, section 3.4; the balance of positives and negatives is that of Wang et
al., ChestX-ray8, CVPR 2017, arXiv:1705.02315.

- The numerators of β are garbled in the text. β_P = |N| / (|P| + |N|), β_N = |P| / (|P| + |N|), which balances; |P| and
  |N| are the training studies with and without any disease, constants. Where one of the two is 0, both β are 1/2.
- λ_m = (Q - Q_m) / Q, by the training studies.
- The loss is the sum over the classes of a study, then the mean over the studies. "No Finding" is a class like the
  others, but no disease.
- A finding without a label is absent, as in labels mined from reports, unless `unsaid` is "skip". An uncertain finding
  does not count, nor does a study without any label.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reportgen_core import OptionError, Study

UNSAID = ("absent", "skip")


def is_disease(name: str) -> bool:
    """Return whether the class `name` is a disease: every class except "No Finding" and "normal"."""
    return name.lower().replace("_", " ").replace("-", " ") not in ("no finding", "no findings", "normal", "nofinding")


class BalancedLoss(nn.Module):
    """Eq. 6, with β and λ as buffers that the training studies set. `balanced=False` gives plain cross entropy."""

    def __init__(self, findings: Sequence[str], *, unsaid: str = "absent", balanced: bool = True) -> None:
        super().__init__()
        if unsaid not in UNSAID:
            raise OptionError(f"findings that nobody stated are absent or skip, not {unsaid!r}")
        self.findings, self.unsaid, self.balanced = tuple(findings), unsaid, balanced
        self.register_buffer("beta", torch.tensor([0.5, 0.5] if balanced else [1.0, 1.0]))  # β_P, β_N
        self.register_buffer("rare", torch.ones(len(findings)))  # λ (L,)

    def learn(self, studies: Sequence[Study]) -> None:
        """Set β and λ from the training studies that have labels. Without labels nothing changes."""
        labelled = [s for s in studies if any(name in s.labels for name in self.findings)]
        if not labelled or not self.balanced:
            return
        diseases = [name for name in self.findings if is_disease(name)]
        ill = sum(any(s.labels.get(name) == 1 for name in diseases) for s in labelled) / len(
            labelled
        )  # |P| / (|P|+|N|)
        if 0 < ill < 1:
            self._set("beta", [1 - ill, ill])
        self._set("rare", [1 - sum(s.labels.get(n) == 1 for s in labelled) / len(labelled) for n in self.findings])

    def _set(self, name: str, values: list[float]) -> None:
        buffer = cast(Tensor, getattr(self, name))
        buffer.copy_(torch.tensor(values))

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return L_C in nats, the mean over the studies with labels, of logits and labels (B, L).

        A label is 1 present, 0 absent, -1 uncertain, nan without a label.
        """
        has_label = ~labels.isnan()
        stated = has_label.any(1, keepdim=True)  # (B, 1)
        labels = labels.nan_to_num(0.0)
        counts = (labels >= 0) & (stated if self.unsaid == "absent" else has_label)  # (B, L)
        beta_p, beta_n = cast(Tensor, self.beta)
        nats = beta_p * labels * F.softplus(-logits.float()) + beta_n * (1 - labels) * F.softplus(logits.float())
        losses = (nats * cast(Tensor, self.rare)).masked_fill(~counts, 0.0).sum(1)  # (B,)
        mean: Tensor = losses.sum() / stated.sum().clamp(min=1)
        return mean
