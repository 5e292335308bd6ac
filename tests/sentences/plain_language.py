"""A language of six findings, so small that a tiny random transformer learns it in seconds."""

from __future__ import annotations

import random

from reportgen_core.sentences.parts import LabelledSentence

NORMAL = ("no {} .", "the lungs show no {} .", "{} is absent .")
ABNORMAL = ("there is {} .", "large {} in the left lung .", "{} has worsened .")
FINDINGS = ("effusion", "nodule", "edema", "fracture", "mass", "scar")


def labelled(n: int = 240) -> list[LabelledSentence]:
    """`n` sentences of n / 4 studies; which of the two kinds follows from the wording alone."""
    draw = random.Random(0)
    sentences = []
    for i in range(n):
        abnormal = draw.random() < 0.5
        text = draw.choice(ABNORMAL if abnormal else NORMAL).format(draw.choice(FINDINGS))
        sentences.append(LabelledSentence(text, abnormal, f"s{i // 4}"))
    return sentences
