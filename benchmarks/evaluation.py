"""`rg eval` on 3,858 pairs, the size of MIMIC-CXR's test set: all NLG metrics, the rule labeler and the intervals.

The texts are Open-i's (findings then impression, from the wheel of torchxrayvision), the predictions other studies'
texts. The whole command is timed, from the shell and back, the first start of Java included.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
from importlib import util
from pathlib import Path

from benchmarks.measure import Row, emit, seconds
from reportgen_core.registries import datasets

PAIRS = 3858
WITHOUT_JAVA = "bleu,rouge-l,cider,chexpert-rules"


def texts() -> list[str]:
    """3,858 reports of Open-i."""
    spec = util.find_spec("torchxrayvision")
    assert spec is not None, "this benchmark reads Open-i's reports from torchxrayvision: pip install --group dev"
    assert spec.origin is not None
    root = Path(spec.origin).parent / "data"
    studies = datasets.create("iu-xray", root, layout="xml", require_images=False).read().studies
    found = [t for s in studies if (t := s.text(("findings", "impression")))]
    return found[:PAIRS]


def write(folder: Path) -> tuple[Path, Path]:
    """References, and as predictions the same texts in another order."""
    references = texts()
    predictions = random.Random(0).sample(references, len(references))
    for name, rows in (("predictions", predictions), ("references", references)):
        lines = (json.dumps({"id": str(i), "text": t}) for i, t in enumerate(rows))
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "predictions.jsonl", folder / "references.jsonl"


def main() -> None:
    with tempfile.TemporaryDirectory() as made:
        predictions, references = write(Path(made))

        def evaluate(*more: str) -> None:
            command = [sys.executable, "-m", "reportgen_cli", "eval", "--predictions", str(predictions)]
            subprocess.run([*command, "--references", str(references), *more], check=True, capture_output=True)

        rows = []
        for what, bar, more in (
            ("rg eval, all", 45, ("--protocol", "coco")),
            ("rg eval, without METEOR", 10, ("--protocol", "coco", "--metrics", WITHOUT_JAVA)),
            ("rg eval, without Java", 10, ("--protocol", "raw", "--metrics", WITHOUT_JAVA)),
        ):
            taken = seconds(lambda more=more: evaluate(*more), repeats=1)  # type: ignore[misc]
            rows.append(Row(f"{what}, {PAIRS} pairs", taken, "s", taken / bar, f"{bar} s", 1.0, at_most=True))
        emit(rows)


if __name__ == "__main__":
    main()
