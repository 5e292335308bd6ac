"""The log of a training run, with one JSON object in each line, and a picture of its curves."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..files.atomic import atomic_file, atomic_write


class RunLog:
    """RUN/log.jsonl. Resuming cuts it back to the batches that are in the resumed weights.

    `scale` turns the numbers of the log's batches into those of a run that cuts its studies into other batches.
    """

    def __init__(self, path: Path, total: int, scale: float = 1.0) -> None:
        self.path = path
        numbered = ((math.ceil(r["total"] * scale - 1e-6), r) for r in read_log(path)) if total else ()
        records = [{**r, "total": number} for number, r in numbered if number <= total]
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, "".join(json.dumps(r) + "\n" for r in records))

    def write(self, record: Mapping[str, Any]) -> None:
        """Add one line to the log."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")


def read_log(path: Path) -> list[dict[str, Any]]:
    """Return the records of a log. A last line that a kill cut short is left out."""
    if not path.exists():
        return []
    records = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            records.append(json.loads(line))
        except ValueError:
            break
    return records


def draw_curves(log: Path, picture: Path) -> None:
    """Draw training and validation loss by epoch, and below the score that selects the best model, as PNG or SVG.

    Ticks are at whole epochs, and the epoch of the best model is marked.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    records = read_log(log)
    epochs = [r for r in records if r["kind"] == "epoch"]
    scored = [(r["epoch"] + 1, r["score"]) for r in epochs if r.get("score") is not None]
    own = [r for r in epochs if r.get("score") is not None and r["score"] != r.get("val_loss")]
    with rc_context({"svg.hashsalt": "reportgen"}):
        figure = Figure(figsize=(8, 6.5 if own else 4.5), layout="constrained", facecolor="white")
        panels = figure.subplots(2 if own else 1, 1, sharex=True, squeeze=False)[:, 0]
        _draw_losses(panels[0], records, epochs)
        if own:  # where another score than the loss selects
            panels[1].plot(*zip(*scored, strict=True), color="C2", marker="o", label="score that selects, validation")
            panels[1].set(ylabel="score that selects")
        best = [r["epoch"] + 1 for r in epochs if r["best"]]
        for axes in panels:
            if best and scored:
                axes.axvline(best[-1], color="0.35", ls=":", label=f"best, epoch {best[-1]}")
            axes.grid(alpha=0.25)
            axes.legend(frameon=False)
        panels[-1].set(xlabel="epoch")
        panels[-1].set_xticks(_whole_epochs(max((r["epoch"] + 1 for r in epochs), default=1)))
        kind = picture.suffix.removeprefix(".")
        with atomic_file(picture, "wb") as file:
            figure.savefig(file, dpi=300, format=kind, metadata={"Date": None} if kind == "svg" else {"Software": None})


def _draw_losses(axes: Any, records: Sequence[Mapping[str, Any]], epochs: Sequence[Mapping[str, Any]]) -> None:
    """Draw the loss of each step, and the mean losses of training and validation of each epoch."""
    steps = [(r["at"], r["loss"]) for r in records if r["kind"] == "step"]
    if steps:
        axes.plot(*zip(*steps, strict=True), lw=0.8, alpha=0.5, color="C0", label="training, by step")
    means = [(r["epoch"] + 1, r["train_loss"]) for r in epochs]
    if means:
        axes.plot(*zip(*means, strict=True), color="C0", marker=".", label="training, epoch's mean")
    validated = [(r["epoch"] + 1, r["val_loss"]) for r in epochs if r.get("val_loss") is not None]
    if validated:
        axes.plot(*zip(*validated, strict=True), color="C1", marker="o", label="validation")
    values = sorted(loss for _, loss in steps)
    if values:  # the first steps would flatten all the rest
        axes.set_ylim(0, 1.1 * max([values[int(0.98 * (len(values) - 1))], *(loss for _, loss in validated)]))
    axes.set(ylabel="weighted loss a study (nats)")


def _whole_epochs(last: int) -> list[int]:
    """Return the epochs that get a tick: at most a dozen, the same number apart."""
    return list(range(0, last + 1, max(1, -(-last // 12))))
