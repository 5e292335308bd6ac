"""Tags as a decoder's second modality: predict them, take the likeliest, embed them.

Jing, Xie, Xing: On the Automatic Generation of Medical Imaging Reports, ACL 2018, arXiv:1711.08195, section 3.2 and the
tag loss of 3.6. The paper's classifier is one softmax over all tags against l / ||l||_1 (it says so twice), not a
sigmoid a tag; that is followed. A study without tags has no tag loss (l / ||l||_1 is 0/0).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reportgen_core import Features, FeatureSpec


class TagPredictor(nn.Module):
    """Tag logits (B, Q, K) and the embeddings (B, Q·M, E) of the M likeliest of each classifier.

    Q is 1 with a classifier of its own on the pooled vector, eq. 1; where the encoder brings classifiers of its own
    (`FeatureSpec.tag_heads`), those are used and their losses are the encoder's. Without an `embedding` width tags are
    predicted and nothing else.
    """

    def __init__(self, features: FeatureSpec, tags: int, embedding: int | None, used: int) -> None:
        super().__init__()
        self.used = min(used, tags)  # M; data with fewer tags than M uses all of them
        self.own = nn.Linear(features.pooled, tags) if not features.tag_heads else None
        self.embedding = nn.Embedding(tags, embedding) if embedding else None

    def logits(self, features: Features) -> Tensor:
        """(B, Q, K), eq. 1 before the softmax."""
        if self.own is None:
            assert features.tags is not None
            return features.tags
        logits: Tensor = self.own(features.pooled)
        return logits[:, None].float()

    def semantic(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """The M likeliest tags of each classifier: embeddings (B, Q·M, E), ids (B, Q·M). The choice has no gradient."""
        assert self.embedding is not None
        ids = logits.detach().topk(self.used, -1).indices.flatten(1)  # (B, Q, M) -> (B, Q·M)
        embedded: Tensor = self.embedding(ids)
        return embedded, ids


def tag_loss(logits: Tensor, tags: Tensor) -> Tensor:
    """Cross entropy between softmax(logits) (B, K) and l / ||l||_1, l (B, K) in {0, 1}; 0 for a study without tags."""
    target = tags / tags.sum(-1, keepdim=True).clamp(min=1)
    return -(target * logits.float().log_softmax(-1)).sum(-1).mean()


def probabilities(logits: Tensor) -> Tensor:
    """(B, Q, K) -> (B, K): eq. 1, the mean over the classifiers."""
    return torch.softmax(logits.float(), -1).mean(1)
