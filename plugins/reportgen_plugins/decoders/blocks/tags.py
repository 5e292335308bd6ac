"""Predict tags, choose the likeliest, and embed them as a decoder's second modality.

Jing, Xie, Xing: On the Automatic Generation of Medical Imaging Reports, ACL 2018, arXiv:1711.08195, section 3.2 and the
tag loss of 3.6. The paper's classifier is one softmax over all tags against l / ||l||_1 (the paper says so twice),
not one sigmoid for each tag; so is this one. A study without tags has no tag loss, because l / ||l||_1 is 0/0.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reportgen_core import Features, FeatureSpec


class TagPredictor(nn.Module):
    """Predict tag logits (B, Q, K), and embed the M likeliest tags of each classifier, (B, Q·M, E).

    Q is the number of classifiers. It is 1 for the classifier of this module on the pooled vector, eq. 1. If the
    encoder has classifiers (`FeatureSpec.tag_heads`), they are used instead, and their losses belong to the encoder.
    If `embedding`, the width, is None, tags are predicted but not embedded.
    """

    def __init__(self, features: FeatureSpec, tags: int, embedding: int | None, used: int) -> None:
        super().__init__()
        self.used = min(used, tags)  # M; data with fewer tags than M uses all of them
        self.own = nn.Linear(features.pooled, tags) if not features.tag_heads else None
        self.embedding = nn.Embedding(tags, embedding) if embedding else None

    def logits(self, features: Features) -> Tensor:
        """Return the tag logits (B, Q, K), eq. 1 before the softmax."""
        if self.own is None:
            assert features.tags is not None
            return features.tags
        logits: Tensor = self.own(features.pooled)
        return logits[:, None].float()

    def semantic(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Return embeddings (B, Q·M, E) and ids (B, Q·M) of each classifier's M likeliest tags."""
        assert self.embedding is not None
        ids = logits.detach().topk(self.used, -1).indices.flatten(1)  # (B, Q, M) -> (B, Q·M)
        embedded: Tensor = self.embedding(ids)
        return embedded, ids


def tag_loss(logits: Tensor, tags: Tensor) -> Tensor:
    """Return the mean over B of the cross entropy of softmax(logits) (B, K) and l / ||l||_1, in nats.

    `tags` l (B, K) is 0 or 1. The loss of a study without tags is 0.
    """
    target = tags / tags.sum(-1, keepdim=True).clamp(min=1)
    return -(target * logits.float().log_softmax(-1)).sum(-1).mean()


def probabilities(logits: Tensor) -> Tensor:
    """Return the tag probabilities (B, K), eq. 1, of logits (B, Q, K): the mean over the Q classifiers."""
    return torch.softmax(logits.float(), -1).mean(1)
