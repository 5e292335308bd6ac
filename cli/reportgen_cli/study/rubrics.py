"""Define the scales of two papers in which radiologists scored reports.

`densenet-lstm`: the five grades of the paper behind the preset of that name, "Blind evaluation" (its Figure 6): two
radiologists, 100 reports of the model and 100 of radiologists on 200 other scans, shuffled. 4 and above is acceptable.
`cvse`: Ni et al., Learning visual-semantic embeddings for reporting abnormal findings on chest X-rays, §4.4: one
radiologist, 20 images, 1 to 10 for how closely the text relates to the image. The paper names no line of acceptance.
The wording of the grades is ours.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rubric:
    """A scale: the question to the reader, and the meaning of each score, the highest first."""

    name: str
    question: str
    grades: tuple[tuple[int, str], ...]
    acceptable: int | None = None  # this score and above

    @property
    def scores(self) -> tuple[int, ...]:
        """The scores from the lowest to the highest."""
        return tuple(sorted(score for score, _ in self.grades))


RUBRICS = {
    "densenet-lstm": Rubric(
        "densenet-lstm",
        "How good is this report of this radiograph?",
        (
            (5, "All conditions are identified and accurately described."),
            (4, "Major conditions are right; minor things outside the chest are missed: scoliosis, foreign matter …"),
            (3, "Major conditions are right; minor things inside the chest are missed: old lesions, fibrous stripes, "
                "signs of an operation, calcified aorta …"),
            (2, "Major conditions are identified but described inaccurately."),
            (1, "Major conditions are missed or wrong."),
        ),
        acceptable=4,
    ),
    "cvse": Rubric(
        "cvse",
        "How closely does this text relate to this radiograph?",
        ((10, "fully"), *((n, "") for n in range(9, 1, -1)), (1, "not at all")),
    ),
}  # fmt: skip
