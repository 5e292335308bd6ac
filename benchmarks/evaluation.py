"""Time `rg eval` on 3,858 pairs, the size of MIMIC-CXR's test set: all NLG metrics, the rule labeler, the intervals.

The references are Open-i's texts (findings, then impression, from the wheel of torchxrayvision), and the predictions
are texts of other studies. The whole command is timed, with the start of Java. There are three rounds: the bars are
seconds and no ratios, and all metrics take about 20 seconds.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
from importlib import util
from pathlib import Path

from benchmarks.measure import Row, Run, Spread, command, emit, in_turns
from reportgen_core.registries import datasets

PAIRS = 3858
WITHOUT_METEOR = "bleu,rouge-l,cider,chexpert-rules"


def texts() -> list[str]:
    """Return 3,858 reports of Open-i."""
    spec = util.find_spec("torchxrayvision")
    assert spec is not None, "this benchmark reads Open-i's reports from torchxrayvision: pip install --group dev"
    assert spec.origin is not None
    root = Path(spec.origin).parent / "data"
    studies = datasets.create("iu-xray", root, layout="xml", require_images=False).read().studies
    reports = [t for s in studies if (t := s.text(("findings", "impression")))]
    return reports[:PAIRS]


def write(folder: Path) -> tuple[Path, Path]:
    """Write the references, and as predictions the same texts in another order; return the paths of both files."""
    references = texts()
    predictions = random.Random(0).sample(references, len(references))
    for name, rows in (("predictions", predictions), ("references", references)):
        lines = (json.dumps({"id": str(i), "text": t}) for i, t in enumerate(rows))
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "predictions.jsonl", folder / "references.jsonl"


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        predictions, references = write(Path(scratch))

        def evaluate(*options: str) -> Run:
            files = ("--predictions", str(predictions), "--references", str(references))
            return command(sys.executable, "-m", "reportgen_cli", "eval", *files, *options)

        whole, fast = in_turns(
            evaluate("--protocol", "coco"),
            evaluate("--protocol", "coco", "--metrics", WITHOUT_METEOR),
            rounds=3,
            warm_up=False,  # each is a process that starts cold
        )
    what = f"`rg eval`, {PAIRS:,} pairs"
    emit(
        [
            Row(f"{what}, all metrics, intervals", Spread.of(whole), "s", bar=45, at_most=True),
            Row(f"{what}, without METEOR", Spread.of(fast), "s", bar=10, at_most=True),
        ]
    )


if __name__ == "__main__":
    main()
