"""Measure what self-critical training does to scores and texts, on the crowded phantom.

A model that learned by cross entropy goes on with each reward for some epochs on the same studies: rate 2e-4, batch 16,
encoder fixed. The reports of held-out studies, by greedy search, are then scored with 95 % intervals over studies, and
read: how long they are, how many sentences they repeat, and the errors that the audit counts in a report.

    OMP_NUM_THREADS=1 python -m benchmarks.rewards --out DIR [--model MODEL] [--epochs 6] [--studies 960] [--test 300]

What is finished in DIR is not trained again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from reportgen_core import Model, Study, TrainSettings, load, train
from reportgen_core.registries import datasets, metrics
from reportgen_core.scoring.evaluation import evaluate
from reportgen_core.scoring.evaluation_set import EvaluationRequest
from reportgen_core.text import split_sentences

MODEL = "resnet10t-soft-att.phantom_v3"
PHANTOM = {"n": 2000, "size": 128, "views": 1, "normal": 0.0, "abundance": 2.5}
REWARDS: Mapping[str, Mapping[str, float]] = {
    "before": {},
    "cider": {"cider": 1.0},
    "chexpert-rules": {"chexpert-rules": 1.0},
}
SCORES = ("cider", "chexpert-rules micro-14 f1", "bleu-4")
ERRORS = ("errors", "errors missed", "errors invented")


def learn(model: Model, studies: Sequence[Study], out: Path, reward: Mapping[str, float], epochs: int) -> Model:
    """Train a model by a reward in the folder `out`, and return it as it is after the last epoch."""
    settings = TrainSettings(
        epochs=epochs, batch_size=16, lr=2e-4, reward=reward, freeze_encoder=True, keep_features=True, clip=5.0
    )
    return train(model, studies, (), out=out, settings=settings, resume=True)


def score(model: Model, studies: Sequence[Study]) -> dict[str, str]:
    """Return the cells of a row: scores with intervals, and what the texts are like."""
    request = EvaluationRequest(
        metrics=("bleu", "cider", "chexpert-rules"), sections=model.text.sections, baselines=False
    )
    texts = [report.text for report in model.report_studies(studies)]
    evaluation = evaluate(dict(zip([s.id for s in studies], texts, strict=True)), studies, request)
    system = evaluation.systems[0]
    cells = {}
    for name in SCORES:
        line = system.line(name)
        if line is None:
            raise SystemExit(f"there is no score {name}: {evaluation.problems}")
        cells[name] = f"{line.value:.3f}" + ("" if line.low is None else f" ({line.low:.3f}-{line.high:.3f})")
    sentences = [[s.strip(" .") for s in split_sentences(text)] for text in texts]
    cells["words"] = f"{sum(len(text.split()) for text in texts) / len(texts):.1f}"
    cells["repeated sentences"] = f"{sum(len(s) - len(set(s)) for s in sentences) / len(sentences):.2f}"
    references = [[s.text(model.text.sections)] for s in studies]
    counted = metrics.create("errors").compute(texts, references)
    values = {"errors": counted.value, **counted.parts}
    return cells | {name: f"{values[name]:.2f}" for name in ERRORS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the images and the models")
    parser.add_argument("--model", default=MODEL, help="what goes on")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--studies", type=int, default=960, help="to learn from")
    parser.add_argument("--test", type=int, default=300, help="to score")
    given = parser.parse_args()
    collection = datasets.create("phantom", given.out / "phantom", **PHANTOM).read()
    studies, kept_back = collection.split("train")[: given.studies], collection.split("test")[: given.test]
    rows = {}
    for name, reward in REWARDS.items():
        model = load(given.model)
        if not isinstance(model, Model):
            raise SystemExit(f"{given.model} is no model that can be trained")
        if reward:
            model = learn(model, studies, given.out / name, reward, given.epochs)
        rows[name] = score(model, kept_back)
        print(json.dumps({name: rows[name]}), flush=True)
    titles = list(next(iter(rows.values())))
    print(f"\n| reward | {' | '.join(titles)} |\n|---|{'---:|' * len(titles)}")
    for name, cells in rows.items():
        print(f"| {name} | {' | '.join(cells.values())} |")


if __name__ == "__main__":
    main()
