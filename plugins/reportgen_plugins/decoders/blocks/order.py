"""Shuffle the sentences of a report for training.

Ni, Hsu, Gentili, McAuley: Learning Visual-Semantic Embeddings for Reporting Abnormal Findings on Chest X-rays, 2020,
arXiv:2010.02467, section 4.1: input order affects what an encoder-decoder learns, so one of their baselines trains on
reports whose sentences are shuffled. The paper does not say how. Here each report gets a new order each time it is
read, drawn from torch's random state, which training seeds for each step. So the same seed gives the same orders.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from reportgen_core import Targets
from reportgen_core.text.spec import PAD


def shuffled(targets: Targets) -> Targets:
    """Return the same reports with sentences (B, S, W) and switches (B, S) in a random order; absent ones stay last."""
    assert targets.sentences is not None
    absent = targets.sentences[..., 0] == PAD  # (B, S)
    order = (torch.rand(absent.shape, device=absent.device) + absent).argsort(1)
    sentences = targets.sentences.gather(1, order[..., None].expand_as(targets.sentences))
    switches = None if targets.switches is None else targets.switches.gather(1, order)
    return replace(targets, sentences=sentences, switches=switches)
