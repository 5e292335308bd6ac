"""Compare TieNet on reports alone with TF-IDF and logistic regression, on the same five folds of studies.

    python -m benchmarks.tienet_openi reports.jsonl --vectors vectors.npz --keep folds [--set epochs=12]

The file has one Open-i report a line: `findings`, `impression`, and `labels14`, a list of the classes that are present
(null: not labelled, left out). The model of a fold stops by its own validation studies, a tenth of its training
studies; the fold itself is read once, for the scores. The AUC is that of the probabilities of all five folds together,
over the classes with 20 positives or more. Intervals resample the studies.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from reportgen_cli.option_values import parse_options

from reportgen_core import Study, TrainSettings, compose, train
from reportgen_core.annotation.findings import Annotated, ReportRow, annotate
from reportgen_core.files.atomic import atomic_write
from reportgen_core.text.spec import TextSpec

SYSTEMS = ("tienet-r", "tf-idf + logistic regression")
LEAST = 20  # the fewest positives of a class that is reported
SECTIONS = ("findings", "impression")
TEXT = TextSpec(sections=SECTIONS, min_count=2, max_sentences=50, max_words=100, max_length=500)
DECODER = {"writes": False, "word_dropout": 0.1}
SETTINGS = {
    "epochs": 16, "batch_size": 32, "lr": 2e-3, "schedule": "linear", "optimizer": "adamw", "weight_decay": 1e-4,
    "weights": {"penalty": 0.01}, "bucket": 10,
}  # fmt: skip


def read(path: Path) -> tuple[list[Study], list[str]]:
    """Return the labelled studies, each with a label for every class, and the names of the classes."""
    rows = [r for line in path.open(encoding="utf-8") if (r := json.loads(line))["labels14"] is not None]
    names = sorted({name for r in rows for name in r["labels14"]})
    studies = [
        Study(r["id"], sections={s: r[s] or "" for s in SECTIONS}, labels={n: float(n in r["labels14"]) for n in names})
        for r in rows
    ]
    return studies, names


def tienet(learn: list[Study], held: list[Study], names: Sequence[str], args: argparse.Namespace, fold: int) -> Any:
    """Return probabilities (held, classes) of a tienet-r trained on `learn`."""
    order = np.random.default_rng(fold).permutation(len(learn))
    tenth = len(learn) // 10
    val, rest = [learn[i] for i in order[:tenth]], [learn[i] for i in order[tenth:]]
    options = {**DECODER, **vectors(args.vectors), **parse_options(args.option)}
    model = compose(encoder="none", decoder="tienet", decoder_options=options, text=TEXT, seed=args.seed)
    settings = TrainSettings.of({**SETTINGS, **parse_options(args.set), "seed": args.seed})
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) if args.keep is None else args.keep / f"tienet-r-{fold}"
        watch = None if args.quiet else lambda r: r["kind"] == "epoch" and print(
            f"fold {fold} epoch {r['epoch']} train {r['train_loss']:.4f} val {r['val_loss']:.4f}", flush=True
        )  # fmt: skip
        best = train(model, rest, val, out=folder, settings=settings, watch=watch, resume=args.keep is not None)
    rows = (ReportRow(i, s) for i, s in enumerate(held))
    return np.array([[a.findings[n] for n in names] for a in annotate(best, rows) if isinstance(a, Annotated)])


def vectors(path: Path | None) -> dict[str, Any]:
    """Return the decoder's options for a .npz of word vectors: its path and the width of the vectors."""
    if path is None:
        return {}
    with np.load(path, allow_pickle=False) as file:
        return {"vectors": str(path), "embedding": int(file["vectors"].shape[1])}


def tfidf(learn: list[Study], held: list[Study], names: Sequence[str]) -> Any:
    """Return probabilities (held, classes) of TF-IDF over words and pairs of words, a logistic regression a class."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    x = words.fit_transform([s.text(SECTIONS) for s in learn])
    x_held = words.transform([s.text(SECTIONS) for s in held])
    columns = []
    for name in names:
        y = [s.labels[name] for s in learn]
        classifier = LogisticRegression(C=10, class_weight="balanced", max_iter=2000).fit(x, y) if any(y) else None
        columns.append(np.zeros(len(held)) if classifier is None else classifier.predict_proba(x_held)[:, 1])
    return np.array(columns).T


def both(learn: list[Study], held: list[Study], names: Sequence[str], args: argparse.Namespace, fold: int) -> Any:
    """Return probabilities (held, classes) of the two systems by name."""
    return dict(zip(SYSTEMS, (tienet(learn, held, names, args, fold), tfidf(learn, held, names)), strict=True))


def once(folder: Path | None, fold: int, make: Callable[[], Any]) -> Any:
    """Return the probabilities that `make` gives. With a folder they are saved, and read from there the next time."""
    if folder is None:
        return make()
    path = folder / f"fold{fold}.json"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        atomic_write(path, json.dumps({system: scores.tolist() for system, scores in make().items()}))
    return {system: np.array(scores) for system, scores in json.loads(path.read_text()).items()}


def auc(scores: Any, true: Any) -> float:
    """Return the AUC by ranks; a tie counts half."""
    from scipy.stats import rankdata

    ranks, n = rankdata(scores), true.sum()
    return float((ranks[true].sum() - n * (n + 1) / 2) / (n * (len(true) - n)))


def means(scores: Any, gold: Any, chosen: Sequence[int], rows: Any) -> tuple[float, float]:
    """Return the mean AUC over the classes, and that weighted by their positives (#wAVG)."""
    pairs = [(auc(scores[rows, k], gold[rows, k]), gold[rows, k].sum()) for k in chosen if gold[rows, k].any()]
    values, counts = np.array(pairs).T
    return float(values.mean()), float((values * counts).sum() / counts.sum())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("reports", type=Path)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--only", type=int, help="run so many of the folds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], metavar="K=V")
    parser.add_argument("--option", action="append", default=[], metavar="K=V")
    parser.add_argument("--vectors", type=Path, help="a .npz of word vectors to start from")
    parser.add_argument("--resamples", type=int, default=500)
    parser.add_argument(
        "--keep", type=Path, help="a folder for each fold's model and figures; a run that was killed is resumed"
    )
    parser.add_argument("--quiet", action="store_true")
    args = parser.parse_args()
    studies, names = read(args.reports)
    fold_of = np.random.default_rng(0).permutation(len(studies)) % args.folds
    gold = np.array([[s.labels[n] == 1 for n in names] for s in studies])
    scores = {system: np.full(gold.shape, np.nan) for system in SYSTEMS}
    start = time.perf_counter()
    for fold in range(args.only or args.folds):
        learn = [s for s, f in zip(studies, fold_of, strict=True) if f != fold]
        held = [s for s, f in zip(studies, fold_of, strict=True) if f == fold]
        fold_scores = once(args.keep, fold, lambda: both(learn, held, names, args, fold))  # noqa: B023
        for system, values in fold_scores.items():
            scores[system][fold_of == fold] = values
        show(scores, gold, names, np.flatnonzero(fold_of <= fold), 0)
    print(f"{time.perf_counter() - start:.0f} s for everything")
    rows = np.flatnonzero(fold_of < (args.only or args.folds))
    print(json.dumps(show(scores, gold, names, rows, args.resamples)))


def show(by_system: Mapping[str, Any], gold: Any, names: Sequence[str], rows: Any, resamples: int) -> dict[str, Any]:
    """Print the table of scores and return its values."""
    chosen = [k for k in range(len(names)) if gold[:, k].sum() >= LEAST and names[k] != "normal"]
    out: dict[str, Any] = {}
    every: list[list[float]] = []  # the means of each system, on the same draws
    for system, scores in by_system.items():
        mean, weighted = means(scores, gold, chosen, rows)
        draw = np.random.default_rng(0)
        drawn = [means(scores, gold, chosen, draw.choice(rows, len(rows)))[0] for _ in range(resamples)]
        every.append(drawn)
        ends = [round(float(q), 4) for q in np.quantile(drawn, (0.025, 0.975))] if drawn else []
        each = {names[k]: round(auc(scores[rows, k], gold[rows, k]), 4) for k in chosen if gold[rows, k].any()}
        out[system] = {"mean": round(mean, 4), "interval": ends, "weighted": round(weighted, 4), "auc": each}
        print(
            f"{system:30} mean AUC {mean:.4f} {ends or ''} weighted {weighted:.4f} on {len(rows)} studies", flush=True
        )
    if resamples:
        gain = [a - b for a, b in zip(*every, strict=True)]
        low, high = (round(float(q), 4) for q in np.quantile(gain, (0.025, 0.975)))
        out["difference"] = {
            "mean": round(out[SYSTEMS[0]]["mean"] - out[SYSTEMS[1]]["mean"], 4),
            "interval": [low, high],
        }
        print(f"{SYSTEMS[0]} - {SYSTEMS[1]}: {out['difference']['mean']:.4f} [{low}, {high}]")
        for name in (names[k] for k in chosen):
            row = "  ".join(f"{out[system]['auc'].get(name, float('nan')):.4f}" for system in SYSTEMS)
            print(f"{name:20} {int(gold[:, names.index(name)].sum()):5}  {row}")
        left = [f"{n} ({int(gold[:, k].sum())})" for k, n in enumerate(names) if k not in chosen and n != "normal"]
        print(f"left out of the means, under {LEAST} positives: {', '.join(left) or 'none'}")
    return out


if __name__ == "__main__":
    main()
