"""`pointing`: how often the attention of a model is highest where the finding is.

The pointing game of Zhang et al., Top-down Neural Attention by Excitation Backprop, ECCV 2016: a hit where the centre
of the most attended cell lies inside a box of the finding. Attention is that of the sentences that mention the finding,
read by our rules (ChestX-ray14's classes). A box whose finding the report does not mention is counted apart, and is no
miss; one whose finding these rules cannot name is not in the game. `by chance` is what a point at random would hit: the
mean area of the boxes; `centre` is the middle of the image. Attention by word is averaged over the words of those
sentences. Boxes are shares of the image, and attention is over what the encoder saw of it. If it crops or pads, the
boxes are brought to what it saw, and what it did not see of a box is no place to hit. A report with boxes of its own
points with the middle of the first box of those sentences, and one without a box for a finding that it mentions misses
it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from reportgen_core import Box, Report, Study
from reportgen_core.data.fitting import WHOLE, to_window
from reportgen_core.metric import Metric
from reportgen_core.scoring.abilities.metrics import ModelOutputs
from reportgen_core.scoring.uncertainty import bootstrap, unit_numbers
from reportgen_core.types import Score, ScoreLine

from .labeler.labeler import Labeler
from .model_only import refuse_texts

Floats = NDArray[np.float64]
Grid = tuple[int, int, int]  # views, rows and columns of an encoder's tokens
PARTS = ("pointing hit", "pointing centre", "pointing by chance", "pointing mentioned")


class Pointing(Metric):
    """The share of mentioned findings for which the most attended cell lies inside a box of the finding."""

    version = "5"

    def compute(self, reports: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
        refuse_texts("pointing", "where a model looks")

    def score_outputs(self, outputs: ModelOutputs) -> list[ScoreLine]:
        """Return the share of mentioned findings with a hit, and what the centre and a random point would hit."""
        boxed = any(any(report.boxes) for report in outputs.reports)  # then a report without a box misses
        if outputs.grid is None and not boxed:
            return []
        labeler = Labeler(scheme="chestxray14")
        pairs = zip(outputs.reports, outputs.studies, strict=True)
        patients = unit_numbers([s.patient for s in outputs.studies])
        games, units = [], []
        for (report, study), patient in zip(pairs, patients, strict=True):
            rows_of_study = play(report, study, outputs.grid, labeler) if boxed or _has_regions(report) else []
            games += rows_of_study
            units += [patient] * len(rows_of_study)
        if not games:
            return []
        rows = np.array(games)  # one for each study and finding: mentioned, hit, centre, area, 1
        values = _shares(rows.sum(0))
        draws = {"resamples": outputs.resamples, "seed": outputs.seed}
        ends = bootstrap(rows, _shares, units=np.array(units), **draws) if outputs.resamples else {}
        low, high = ends.get(PARTS[0], (None, None))
        hit = ScoreLine(PARTS[0], float(values[PARTS[0]]), low, high, True, "pointing", self.version)
        return [hit, *(ScoreLine(k, float(values[k]), None, None, None, "pointing", self.version) for k in PARTS[1:])]


def _has_regions(report: Report) -> bool:
    """Return whether the report has attention over image regions; attention over tags alone does not count."""
    return report.attention is not None and report.attention.regions is not None


def _shares(totals: Floats) -> dict[str, Floats]:
    mentioned = np.maximum(totals[..., 0], 1e-12)
    return dict(
        zip(PARTS, (*(totals[..., i] / mentioned for i in (1, 2, 3)), totals[..., 0] / totals[..., 4]), strict=True)
    )


def play(report: Report, study: Study, grid: Grid | None, labeler: Labeler) -> list[tuple[float, ...]]:
    """Return a row for each finding that has boxes: mentioned, hit, hit by the centre, area of its boxes, and 1."""
    rows: list[tuple[float, ...]] = []
    for label in dict.fromkeys(b.label for b in study.boxes if b.label in labeler.labels_of_scheme):
        sentences = _mentions(report, label, labeler)
        attended = peak(report, sentences, grid)
        pointed = attended or box_middle(report, sentences)
        boxes = _as_seen(report, study, label, fitted=attended is not None or not any(report.boxes))
        view, x, y = pointed or (-1, 0.0, 0.0)
        mentioned = float(pointed is not None or (bool(sentences) and not _has_regions(report)))
        hit = float(any(b.view == view and _inside(b, x, y) for b in boxes))
        centre = float(any(_inside(b, 0.5, 0.5) for b in boxes))
        area = min(1.0, sum(b.width * b.height for b in boxes)) / (grid[0] if grid else max(1, len(report.views)))
        rows.append((mentioned, hit, centre * mentioned, area * mentioned, 1.0))
    return rows


def _as_seen(report: Report, study: Study, label: str, *, fitted: bool) -> list[Box]:
    """Return the boxes of a finding in the views of the report, which may be in another order than the study's.

    If `fitted`, they are shares of what the model saw of an image, which may be cropped or padded; else of the image.
    """
    places = {str(view.path): number for number, view in enumerate(study.views)}
    used = {places.get(path, -1): number for number, path in enumerate(report.views)}
    boxes = []
    for box in (b for b in study.boxes if b.label == label):
        view = used.get(box.view, -1) if any(number >= 0 for number in used) else box.view
        window = report.windows[view] if fitted and 0 <= view < len(report.windows) else WHOLE
        seen = to_window(replace(box, view=view), window)
        boxes += [seen] if seen is not None and view >= 0 else []
    return boxes


def _mentions(report: Report, label: str, labeler: Labeler) -> list[int]:
    """Return the numbers of the sentences that state the finding."""
    return [i for i, s in enumerate(report.sentences) if (m := labeler.label(s).get(label)) and m.value == 1]


def box_middle(report: Report, sentences: Sequence[int]) -> tuple[int, float, float] | None:
    """Return the view and the middle (x, y), 0..1, of the first box of these sentences; None if they have none."""
    boxes = [box for i in sentences if i < len(report.boxes) for box in report.boxes[i]]
    return (boxes[0].view, boxes[0].left + boxes[0].width / 2, boxes[0].top + boxes[0].height / 2) if boxes else None


def peak(report: Report, mentions: Sequence[int], grid: Grid | None) -> tuple[int, float, float] | None:
    """Return the view of the most attended cell of these sentences and its centre (x, y), 0..1 of width and height.

    Return None if there is no sentence or the report has no attention over regions.
    """
    attention = report.attention
    if not mentions or attention is None or attention.regions is None or grid is None:
        return None
    weights = attention.regions.float().cpu().numpy()  # (rows, N)
    rows = [row for i in mentions for row in report.attention_rows(i) if row < len(weights)]
    if not rows:
        return None
    best = int(weights[rows].mean(0).argmax())
    view, row, column = np.unravel_index(best, grid)
    return int(view), (float(column) + 0.5) / grid[2], (float(row) + 0.5) / grid[1]


def _inside(box: Box, x: float, y: float) -> bool:
    return box.left <= x <= box.left + box.width and box.top <= y <= box.top + box.height
