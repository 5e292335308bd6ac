"""The class-balanced loss of findings, TieNet's equation 6.

Wang et al., TieNet, CVPR 2018, arXiv:1801.04334, section 3.4; the balance of positives and negatives is that of Wang et
al., ChestX-ray8, CVPR 2017, arXiv:1705.02315.

- The numerators of β are garbled in the text. β_P = |N| / (|P| + |N|), β_N = |P| / (|P| + |N|), which balances; |P| and
  |N| are the training studies with and without any disease, constants. Where one of the two is 0, both β are 1/2.
- λ_m = (Q - Q_m) / Q, by the training studies.
- The sum runs over the classes of a case; the mean over cases follows. "No Finding" is a class like the others and no
  disease.
- A finding that nobody stated is absent, as labels mined from reports mean it, unless `unsaid` is "skip"; an uncertain
  one does not count, nor does a study that states none at all.
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
    """Whether the class says that something is there."""
    return name.lower().replace("_", " ").replace("-", " ") not in ("no finding", "no findings", "normal", "nofinding")


class BalancedLoss(nn.Module):
    """Eq. 6, with β and λ as buffers that the training studies set. `balanced=False` leaves plain cross entropy."""

    def __init__(self, findings: Sequence[str], *, unsaid: str = "absent", balanced: bool = True) -> None:
        super().__init__()
        if unsaid not in UNSAID:
            raise OptionError(f"findings that nobody stated are absent or skip, not {unsaid!r}")
        self.findings, self.unsaid, self.balanced = tuple(findings), unsaid, balanced
        self.register_buffer("beta", torch.tensor([0.5, 0.5] if balanced else [1.0, 1.0]))  # β_P, β_N
        self.register_buffer("rare", torch.ones(len(findings)))  # λ (L,)

    def learn(self, studies: Sequence[Study]) -> None:
        """Set β and λ from the training studies that have labels."""
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
        """Logits and labels (B, L) (1, 0, -1 uncertain, nan unsaid) -> L_C, the mean over the studies with labels."""
        said = ~labels.isnan()
        stated = said.any(1, keepdim=True)  # (B, 1)
        labels = labels.nan_to_num(0.0)
        counts = (labels >= 0) & (stated if self.unsaid == "absent" else said)  # (B, L)
        beta_p, beta_n = cast(Tensor, self.beta)
        nats = beta_p * labels * F.softplus(-logits.float()) + beta_n * (1 - labels) * F.softplus(logits.float())
        each = (nats * cast(Tensor, self.rare)).masked_fill(~counts, 0.0).sum(1)  # (B,)
        mean: Tensor = each.sum() / stated.sum().clamp(min=1)
        return mean
