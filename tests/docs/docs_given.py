"""The files that the blocks of the documents take as given: an image, tables of reports, small trained models."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import sys
from importlib import resources
from pathlib import Path

NORMAL = ["The heart is normal in size.", "The lungs are clear.", "No pleural effusion.", "No pneumothorax."]
ABNORMAL = [
    "Small left pleural effusion.",
    "Large right pleural effusion.",
    "Mild cardiomegaly.",
    "A nodule in the left lung.",
]
FINDINGS = {"Effusion": 0, "Cardiomegaly": 2, "Nodule": 3}  # the first abnormal sentence of each
SIZE = {"size": 64}


def reports(count: int = 40, seed: int = 0) -> list[tuple[str, list[str], list[int]]]:
    """Return ids, sentences, and which abnormal sentences each report has."""
    draw = random.Random(seed)
    rows = []
    for n in range(count):
        chosen = draw.sample(range(len(ABNORMAL)), n % 3)
        rows.append((f"s{n}", [*(ABNORMAL[i] for i in chosen), *draw.sample(NORMAL, 2)], chosen))
    return rows


def write_csv(path: Path, head: list[str], rows: list[list[object]]) -> None:
    """Write a table."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([head, *rows])


def write_lines(path: Path, rows: list[dict[str, object]]) -> None:
    """Write JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def image_files(folder: Path) -> None:
    """Write chest.png, two folders of images, a DICOM study, and a copy of covid-chestxray."""
    chest = Path(str(resources.files("reportgen_zoo") / "images" / "chest.jpg"))
    shutil.copy(chest, folder / "chest.png")  # content decides
    for name in ("images", "folder", "covid-chestxray/images"):
        (folder / name).mkdir(parents=True)
    shutil.copy(chest, folder / "images" / "a.jpg")
    sys.path.insert(0, str(Path(__file__).parents[1] / "cli"))
    from radiographs import radiograph

    radiograph(folder / "study" / "chest.dcm")
    for name in ("b", "c", "d"):
        shutil.copy(chest, folder / "folder" / f"{name}.jpg")
    head = ["patientid", "finding", "view", "modality", "folder", "filename", "clinical_notes", "license"]
    rows: list[list[object]] = []
    for n in range(20):
        shutil.copy(chest, folder / "covid-chestxray" / "images" / f"{n}.jpg")
        note = f"Chest radiograph shows {'opacity' if n % 2 else 'clear lungs'} and no effusion."
        rows.append([n, "Pneumonia", "PA", "X-ray", "images", f"{n}.jpg", note, "CC BY"])
    write_csv(folder / "covid-chestxray" / "metadata.csv", head, rows)


def table_files(folder: Path) -> None:
    """Write tables of reports, references, predictions and labels."""
    drawn, guessed = reports(), reports(seed=1)
    texts = [[name, " ".join(sentences)] for name, sentences, _ in drawn]
    labels = {name: [f for f, i in FINDINGS.items() if {i, i + (f == "Effusion")} & set(c)] for name, _, c in drawn}
    write_csv(folder / "references.csv", ["id", "report"], texts)
    write_csv(folder / "cohort.csv", ["id", "report", "sex", "age", "scanner"], [
        [*row, "FM"[n % 2], 30 + n, "AB"[n % 2]] for n, row in enumerate(texts)
    ])  # fmt: skip
    write_csv(folder / "reports.csv", ["id", "report"], [[name, " ".join(s)] for name, s, _ in guessed])
    for name in ("train.csv", "validation.csv"):
        write_csv(folder / name, ["id", "report"], [[name + row[0], row[1]] for row in texts])
    for name in ("val.csv", "test.csv"):
        rows: list[list[object]] = [[*row, *(int(f in labels[row[0]]) for f in FINDINGS)] for row in texts]
        write_csv(folder / name, ["id", "report", *FINDINGS], rows)
    write_lines(folder / "reports.jsonl", [
        {"id": name, "text": " ".join(s), "findings": " ".join(s), "labels14": labels[name], "mesh": labels[name] or ["normal"]}
        for name, s, _ in drawn
    ])  # fmt: skip
    write_lines(folder / "studies.jsonl", [
        {"id": n, "findings": t, "image": "chest.png", "labels": labels[n],
         "split": "test" if int(n[1:]) % 4 == 0 else "train"} for n, t in texts
    ])  # fmt: skip
    rexrank = {
        n: {"report": t, "section_findings": t, "model_prediction": f"{t} The lungs are clear."} for n, t in texts
    }
    (folder / "test.json").write_text(json.dumps(rexrank))
    (folder / "sentences.txt").write_text("\n".join([*ABNORMAL, *NORMAL] * 8) + "\n")
    write_lines(folder / "more.jsonl", [{"id": f"m{n}", "text": text} for n, text in enumerate(NORMAL)])
    write_lines(folder / "labelled.jsonl", [
        {"id": n, "sentence_abnormal": {"split": "dev" if int(n[1:]) % 4 == 0 else "train", "sents": s,
                                        "abnormal": [t in ABNORMAL for t in s]}}
        for n, s, _ in drawn
    ])  # fmt: skip
    facts = {"summary": "a small model of a test", "licence": "Apache-2.0"}
    (folder / "facts.json").write_text(json.dumps(facts))


def model_folders(folder: Path) -> None:
    """Train a model of images and one of reports for an epoch, and put them where the pages have theirs."""
    from reportgen_core import TrainSettings, compose, datasets, train

    once = TrainSettings(epochs=1)
    drawn = datasets.load("phantom")(folder / "phantom", n=40, **SIZE).read()
    sections = {"encoder_options": SIZE, "decoder_options": {"hidden": 16, "embedding": 16}}
    model = compose("timm/resnet18", "hier-lstm", **sections)
    train(model, drawn.split("train"), drawn.split("val"), out=folder / "kept" / "image", settings=once)
    table = datasets.load("table")(
        folder / "reports.jsonl", labels="labels14", complete=True, val=0.2, require_images=False
    )
    small = {"hidden": 16, "embedding": 16, "attention_units": 8}
    reader = compose("none", "tienet", decoder_options={**small, "writes": False})
    rows = table.read()
    train(reader, rows.split("train"), rows.split("val"), out=folder / "kept" / "text", settings=once)
    both = compose("timm/resnet18", "tienet", encoder_options=SIZE, decoder_options={**small, "writes": False})
    pairs = datasets.load("table")(folder / "studies.jsonl", labels="labels", complete=True).read().studies
    train(both, pairs[:8], pairs[8:12], out=folder / "kept" / "both", settings=once)


PLACES = {"image": ["runs/best", "run/best"], "text": ["runs/tienet-r/best"], "both": ["runs/tienet-ir/best"]}


def make(folder: Path) -> None:
    """Make everything that the pages take as given."""
    os.chdir(folder)
    image_files(folder)
    table_files(folder)
    model_folders(folder)
    for kept, places in PLACES.items():
        for place in places:
            shutil.copytree(folder / "kept" / kept / "best", folder / place)
    shutil.rmtree(folder / "kept")


if __name__ == "__main__":
    make(Path.cwd())
