"""The log of a training run, with one JSON object in each line, and a picture of its curves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..files.atomic import atomic_file, atomic_write


class RunLog:
    """RUN/log.jsonl. Resuming cuts it back to the batches that are in the resumed weights."""

    def __init__(self, path: Path, total: int) -> None:
        self.path = path
        records = [r for r in read_log(path) if r["total"] <= total] if total else []
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
    """Draw training and validation loss by epoch as a PNG, and mark the epoch of the best model."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    records = read_log(log)
    steps = [r for r in records if r["kind"] == "step"]
    epochs = [r for r in records if r["kind"] == "epoch"]
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    if steps:
        axes.plot(
            [r["at"] for r in steps],
            [r["loss"] for r in steps],
            lw=0.8,
            alpha=0.4,
            color="C0",
            label="training, by step",
        )
    shown = [(r["epoch"] + 1, r) for r in epochs]
    axes.plot(
        [e for e, _ in shown],
        [r["train_loss"] for _, r in shown],
        color="C0",
        marker=".",
        label="training, epoch's mean",
    )
    validated = [(e, r) for e, r in shown if r.get("val_loss") is not None]
    if validated:
        losses = [r["val_loss"] for _, r in validated]
        axes.plot([e for e, _ in validated], losses, color="C1", marker="o", label="validation")
        best = [(e, r) for e, r in validated if r["best"]]
        if best:
            axes.axvline(best[-1][0], color="0.6", ls=":", label=f"best, epoch {best[-1][0]}")
    values = sorted(r["loss"] for r in steps)
    if values:  # the first steps would flatten all the rest
        axes.set_ylim(0, 1.1 * max([values[int(0.98 * (len(values) - 1))], *(r["val_loss"] for _, r in validated)]))
    axes.set(xlabel="epoch", ylabel="weighted loss a study (nats)")
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    with atomic_file(picture, "wb") as file:
        figure.savefig(file, dpi=120, format="png")
