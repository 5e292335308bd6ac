"""Figures of the rule labeler against the coders of Open-i, and its speed.

    python benchmarks/labeler.py reports.jsonl [--markdown]
    python benchmarks/labeler.py reports.jsonl --synthetic FOLDER     and of CheXpert's labels, on synthetic reports
    python benchmarks/labeler.py reports.jsonl --bare                 of the same texts without punctuation
    python benchmarks/labeler.py reports.jsonl --against CHECKOUT     time in turns with the labeler of another checkout

The file holds one JSON object a line with `id`, `findings`, `impression` and `labels14`: the ChestX-ray14 classes and
"normal" that coders gave the report (null where unknown). Phrases were written looking at the half of the ids whose
SHA-256 is even; the other half is the check, whose errors were never looked at. FOLDER holds `reports.jsonl` (id, text)
and `labels.json` (by id, finding: "definitely present", "uncertain" or "definitely absent").
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from reportgen_plugins.metrics.labeler.labeler import LABELS, Labeler

CLASSES = [k for k in LABELS["chestxray14"] if k != "No Finding"]
TURNS = 7
Counts = tuple[int, int, int]  # true positives, false positives, false negatives

CHEXPERT = {  # the findings of the synthetic reports that make up a label
    "Atelectasis": ("atelectasis", "lobar_segmental_collapse", "whole_lung_or_majority_collapse"),
    "Cardiomegaly": ("cardiomegaly",),
    "Consolidation": ("consolidation",),
    "Edema": ("pulmonary_edema", "pulmonary_congestion_pulmonary_venous_congestion"),
    "Enlarged Cardiomediastinum": ("enlarged_cardiomediastinum",),
    "Fracture": ("acute_rib_fracture", "fracture_generic", "non_acute_rib_fracture"),
    "Lung Lesion": ("lung_lesion", "lung_nodule_or_mass"),
    "Lung Opacity": (
        "air_space_opacity", "lung_opacity", "infiltration", "ground_glass_opacity", "interstitial_thickening",
    ),
    "Pleural Effusion": ("pleural_effusion",),
    "Pleural Other": ("pleural_thickening", "pleural_other"),
    "Pneumonia": ("pneumonia",),
    "Pneumothorax": ("pneumothorax",),
    "Support Devices": (
        "support_devices_generic", "central_venous_catheter", "endotracheal_tube", "enteric_tube", "intercostal_drain",
        "implantable_electronic_device", "pacemaker_electronic_cardiac_device_or_wires", "tracheostomy_tube",
    ),
}  # fmt: skip


def developed_on(key: str) -> bool:
    """Return whether phrases were written looking at this report: the SHA-256 of its id is even."""
    return int(hashlib.sha256(key.encode()).hexdigest(), 16) % 2 == 0


def f1(counts: Counts) -> float:
    """Return F1, 0..1; 0 where nothing was right."""
    tp, fp, fn = counts
    return 2 * tp / (2 * tp + fp + fn) if tp else 0.0


def count(rows: Iterable[Mapping[str, Any]], labels: Mapping[str, Mapping[str, float]]) -> dict[str, Counts]:
    """Count for each class our positive reports against those of the coders."""
    table = {k: [0, 0, 0] for k in CLASSES}
    for row in rows:
        for k in CLASSES:
            ours, gold = labels[row["id"]].get(k) == 1, k in row["labels14"]
            table[k][0] += ours and gold
            table[k][1] += ours and not gold
            table[k][2] += gold and not ours
    return {k: (v[0], v[1], v[2]) for k, v in table.items()}


def count_synthetic(folder: Path, developed: bool) -> dict[str, Counts]:
    """Count on one half of the synthetic reports present or uncertain against the rest, as CheXpert's labels."""
    gold = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
    rows = [json.loads(line) for line in (folder / "reports.jsonl").open(encoding="utf-8")]
    rows = [r for r in rows if developed_on(r["id"]) == developed]
    labels = Labeler().labels(r["text"] for r in rows)
    table: dict[str, Counts] = {}
    for label, findings in CHEXPERT.items():
        reference = [
            any(gold.get(r["id"], {}).get(f, "definitely absent") != "definitely absent" for f in findings)
            for r in rows
        ]
        ours = [values.get(label, 0) != 0 for values in labels]
        pairs = list(zip(ours, reference, strict=True))
        table[label] = (pairs.count((True, True)), pairs.count((True, False)), pairs.count((False, True)))
    return table


def summary(table: Mapping[str, Counts], classes: Sequence[str]) -> str:
    """Return micro F1, precision, recall and macro F1 over `classes` as one line."""
    tp, fp, fn = (sum(table[k][i] for k in classes) for i in range(3))
    macro = sum(f1(table[k]) for k in classes) / len(classes)
    return f"micro F1 {f1((tp, fp, fn)):.3f} (P {tp / (tp + fp):.3f}, R {tp / (tp + fn):.3f}), macro F1 {macro:.3f}"


def without_punctuation(text: str) -> str:
    """Return a text in small letters without stops, commas and line ends."""
    return re.sub(r"[.,;:!?\s]+", " ", text).lower()


TIMED = """
import json, sys, time
from reportgen_plugins.metrics.labeler.labeler import Labeler
texts = json.load(sys.stdin)
labeler = Labeler(scheme="chestxray14")
labeler.labels(["warm up"])
start = time.process_time()
labeler.labels(texts)
print(time.process_time() - start)
"""


def seconds(checkout: Path, texts: Sequence[str]) -> float:
    """Return the processor time, in seconds, that the labeler of a checkout takes for texts that it has not read."""
    folders = [str(checkout / part) for part in (".", "plugins", "zoo", "cli")]
    done = subprocess.run(
        [sys.executable, "-c", TIMED], input=json.dumps(texts), text=True, capture_output=True, check=True,
        cwd=checkout, env={**os.environ, "PYTHONPATH": os.pathsep.join(folders), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    return float(done.stdout)


def compare_time(other: Path, texts: Sequence[str]) -> None:
    """Print how long this labeler takes compared with that of another checkout, measured in turns."""
    ratios = []
    for _ in range(TURNS):
        before, now = seconds(other, texts), seconds(Path(__file__).parents[1], texts)
        ratios.append(now / before)
        print(f"{before:.2f} s before, {now:.2f} s now")
    print(f"{statistics.median(ratios):.2f} times, {min(ratios):.2f} to {max(ratios):.2f} in {TURNS} turns")


def speed(texts: Sequence[str]) -> float:
    """Return the reports for each second of processor time, by a labeler that has read none of them."""
    from reportgen_plugins.metrics.labeler import rules

    rules.reader.cache_clear()
    began = time.process_time()
    Labeler(scheme="chestxray14").labels(texts)
    return len(texts) / (time.process_time() - began)


def draw(parts: Mapping[str, Mapping[str, Counts]], classes: Sequence[str], markdown: bool) -> None:
    """Print F1 by class and part."""
    edge, cell = ("| ", " | ") if markdown else ("", "  ")
    print(edge + cell.join([f"{'class':26s}", "positives", *(f"{p:>12s}" for p in parts)]) + edge[::-1])
    if markdown:
        print("|---|---:" + "|---:" * len(parts) + "|")
    for k in classes:
        tables = [t[k] for name, t in parts.items() if name != "all"]
        n = sum(tp + fn for tp, _, fn in tables)
        scores = [f"{f1(t[k]):12.3f}" if n else f"{'-':>12s}" for t in parts.values()]
        print(edge + cell.join([f"{k:26s}", f"{n:9d}", *scores]) + edge[::-1])


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("reports", type=Path)
    parse.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    parse.add_argument("--synthetic", type=Path, help="folder of synthetic reports with CheXpert-like labels")
    parse.add_argument("--bare", action="store_true", help="take the punctuation out of the texts first")
    parse.add_argument("--against", type=Path, metavar="CHECKOUT", help="measure the time only, in turns with this one")
    options = parse.parse_args()
    rows = [r for line in options.reports.open(encoding="utf-8") if (r := json.loads(line))["labels14"] is not None]
    texts = [f"{r['findings']}\n{r['impression']}" for r in rows]
    if options.bare:
        texts = [without_punctuation(t) for t in texts]
    if options.against:
        compare_time(options.against, texts)
        return
    show_gold(rows, texts, options.markdown)
    if options.synthetic:
        show_synthetic(options.synthetic, options.markdown)


def show_gold(rows: Sequence[Mapping[str, Any]], texts: Sequence[str], markdown: bool) -> None:
    """Print the figures against the coders of Open-i."""
    Labeler(scheme="chestxray14").labels(["warm up"])
    reports_a_second = speed(texts)
    labels = dict(zip((r["id"] for r in rows), Labeler(scheme="chestxray14").labels(texts), strict=True))
    parts = {
        "all": count(rows, labels),
        "developed on": count([r for r in rows if developed_on(r["id"])], labels),
        "check": count([r for r in rows if not developed_on(r["id"])], labels),
    }
    totals = parts["all"]
    counted = [k for k in CLASSES if totals[k][0] + totals[k][2] >= 10]
    draw(parts, CLASSES, markdown)
    print()
    for name, table in parts.items():
        diseases = [k for k in counted if k != "normal"]
        print(f"{name}, {len(counted)} classes of 10 or more positives: {summary(table, counted)}")
        print(f"{name}, without normal: {summary(table, diseases)}")
    print(f"{len(rows)} reports, {reports_a_second:.0f} reports a second on one core")


def show_synthetic(folder: Path, markdown: bool) -> None:
    """Print the figures of CheXpert's labels on synthetic reports."""
    halves = {name: count_synthetic(folder, name != "check") for name in ("developed on", "check")}
    halves["all"] = {k: tuple(map(sum, zip(*(half[k] for half in halves.values()), strict=True))) for k in CHEXPERT}
    print()
    draw(halves, list(CHEXPERT), markdown)
    print()
    for name, table in halves.items():
        print(f"synthetic, {name}: {summary(table, list(CHEXPERT))}")


if __name__ == "__main__":
    main()
