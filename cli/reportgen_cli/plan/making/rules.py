"""Settle the settings of a plan from the data and the machine, each with a sentence that says why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reportgen_zoo.reproduce.scales import SCALES

from reportgen_core import OptionError
from reportgen_core.data.labels import DATA
from reportgen_core.registries import encoders, metrics
from reportgen_core.types import Study

from ..findings import ENGLISH
from ..fingerprint import Fingerprint
from ..settled.plan_file import Fixed, Machine, Rules
from ..settled.weights import PACKAGE, encoder_of_weights, installed_weights
from .machine import best_precision, free_threads
from .refuse import section_counts

LABELER = "chexpert-rules"
SIZES = (64, 96, 128, 160, 192, 224, 256, 320, 384, 448, 512)  # pixels
MOST_PIXELS = {False: 128, True: 224}  # without and with a GPU
TWO_VIEWS = 0.8  # share of the studies with two images from which two are used
STEPS, SCHOOL_STEPS = 2000, 1500  # of a training, and of the schooling of the encoder
FEW_MENTIONS = 20  # validation reports that state a finding: with fewer, no score of findings chooses
MOST_PRESETS = 4
BATCHES = ((2000, 8), (20_000, 16))  # training studies below which a batch is so large; 32 above
FINDING_F1, CIDER, AUC = f"{LABELER} micro-14 f1", "cider", "findings mean auc"
FIXED_WHY = {
    "optimizer": "The optimizer of nearly all presets.",
    "schedule": "It ends with small steps, whatever the number of epochs.",
    "lr": "A rate at which all decoders of the presets learn on a fixed encoder; it fits batches of 8 to 32.",
    "clip": "A bound on the gradient, as recurrent decoders need it.",
    "seed": "The same plan gives the same weights.",
    "metrics": "Words (bleu, rouge-l), rare phrases (cider) and findings (chexpert-rules), none of which takes long.",
    "presets": "No rule says which decoder suits data best: each is trained, and validation reports choose.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the user asks for; an empty value leaves a setting to its rule."""

    sections: tuple[str, ...] = ()
    labels: str = ""
    size: int = 0
    encoder: str = ""
    encoder_options: Mapping[str, Any] = field(default_factory=dict)
    weights: str = ""
    seed: int = 0


def choose_sections(studies: Sequence[Study], wanted: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """Return the sections that are the report, and why; () if no study has a text."""
    if wanted:
        return tuple(wanted), "Asked for."
    counts = section_counts(studies)
    report = {name: n for name, n in counts.items() if name not in ("indication", "comparison", "history", "notes")}
    if not report:
        return (), "No study has a report."
    for name in ("findings", "impression"):
        if counts.get(name, 0) >= len(studies) / 2:
            return (name,), f"{counts[name]} of {len(studies)} studies have it."
    name = max(report, key=lambda n: report[n])
    return (name,), f"It is the section that most studies have: {report[name]} of {len(studies)}."


def choose_labels(fingerprint: Fingerprint, wanted: str) -> tuple[str, str]:
    """Return where finding labels come from, and why."""
    if wanted:
        return ("" if wanted == "none" else wanted), "Asked for."
    if fingerprint.given is not None and any(f.in_training for f in fingerprint.given.findings):
        return DATA, f"{fingerprint.given.labelled} studies bring labels of their own."
    english = fingerprint.languages.get(ENGLISH, 0)
    if fingerprint.read is not None and english > sum(fingerprint.languages.values()) / 2 and LABELER in metrics:
        return LABELER, "The dataset brings no labels; the labeler reads them off the reports, which are English."
    return "", "The dataset brings no labels, and there is no labeler for its reports."


def settle(
    fingerprint: Fingerprint, counts: Mapping[str, int], goal: str, labels: str, wishes: Wishes, machine: Machine
) -> tuple[Fixed, Rules, dict[str, str]]:
    """Return the settings of a plan and the reason of each. Raises OptionError for wishes that do not go together."""
    why = dict(FIXED_WHY)
    size, why["image_size"] = _image_size(fingerprint, wishes.size, machine)
    views, why["views"] = _views(fingerprint)
    encoder, options, weights, why["encoder"] = _encoder(wishes, machine)
    why["encoder_options"] = "One level before the last: the places of small findings are still apart there."
    why["weights"] = _weights_why(weights)
    learns, why["encoder_learns"] = _encoder_learns(goal, labels, weights, options, machine)
    if learns:
        options = {k: v for k, v in options.items() if k != "frozen"}
    school, why["schooling"] = _schooling(goal, labels, counts["train"])
    precision, why["precision"] = best_precision(machine)
    threads, why["threads"] = free_threads(machine)
    batch, _ = batch_rule(counts["train"])
    steps = -(-counts["train"] // batch)
    epochs = max(10, min(60, round(STEPS / steps)))
    why["epochs"] = f"About {STEPS} steps of {batch} studies, but 10 to 60 epochs; a run with less time has fewer."
    why["least_epochs"] = "With fewer than half of its epochs a preset shows little; then fewer presets are trained."
    why["most_presets"] = "More presets in the same time would all learn less."
    why["warmup"] = "A twentieth of the steps, so that the first ones do no harm."
    sizes = dict(SCALES["small"].sizes) if not machine.gpu else {}
    why["sizes"] = "Widths that a processor trains in minutes." if sizes else "Each preset has the widths of its paper."
    decide, then, why["decide"], why["then"] = _scores(fingerprint, goal, counts["val"])
    rules = Rules(
        goal=goal, image_size=size, views=views, encoder=encoder, encoder_options=options, weights=weights,
        schooling=school, encoder_learns=learns, sizes=sizes, precision=precision,
        threads=threads,
        warmup=max(5, round(steps * epochs / 20)), epochs=epochs, least_epochs=max(epochs // 2, 1),
        most_presets=MOST_PRESETS, decide=decide, then=then,
    )  # fmt: skip
    return Fixed(seed=wishes.seed), rules, {"goal": _goal_why(goal), **why}


def batch_rule(studies: int) -> tuple[int, str]:
    """Return the studies of a batch for so many training studies, and why."""
    size = next((size for below, size in BATCHES if studies < below), 32)
    return size, f"{studies} training studies make {-(-studies // size)} steps an epoch."


def _goal_why(goal: str) -> str:
    return "There are reports to learn from." if goal == "reports" else "There are labels, and no reports."


def _image_size(fingerprint: Fingerprint, wanted: int, machine: Machine) -> tuple[int, str]:
    if wanted:
        return wanted, "Asked for."
    sides = sorted(
        min(map(int, size.split(" x "))) for size, n in fingerprint.images.sample_sizes.items() for _ in range(n)
    )
    middle = sides[len(sides) // 2] if sides else SIZES[0]
    most = MOST_PIXELS[bool(machine.gpu)]
    size = max((s for s in SIZES if s <= min(middle, most)), default=SIZES[0])
    where = machine.gpu or "a machine without a GPU"
    return size, f"The median image has {middle} pixels on its shorter side, and {where} is given {most} at most."


def _views(fingerprint: Fingerprint) -> tuple[int, str]:
    counts = fingerprint.studies.views
    two, whole = sum(n for name, n in counts.items() if int(name) > 1), sum(counts.values())
    share = f"{two} of {whole} studies have two images or more"
    return (2, f"{share}: both are read.") if two >= TWO_VIEWS * whole else (1, f"{share}: one is read, frontal first.")


def _encoder(wishes: Wishes, machine: Machine) -> tuple[str, dict[str, Any], str, str]:
    """Return the encoder, its options, its weights, and why."""
    small = SCALES["small"]
    options = {k: v for k, v in small.encoder_options.items() if k not in ("size", "model_args")}
    if wishes.encoder:
        name = encoders.find(wishes.encoder)
        known = encoders.options(name)
        own = {k: v for k, v in options.items() if k in known} | dict(wishes.encoder_options)
        weights = wishes.weights
        if weights and not weights.startswith(PACKAGE):
            weights = str(Path(weights).absolute())
        return name, own, weights, "Asked for."
    if wishes.weights and not wishes.weights.startswith(PACKAGE):
        raise OptionError(f"--weights {wishes.weights} needs --encoder NAME, the network that they are of")
    packages = [wishes.weights] if wishes.weights else installed_weights()
    if packages:
        weights = packages[-1 if machine.gpu else 0]
        name = encoder_of_weights(weights)
        return name, options, weights, "It is the network whose ImageNet weights are installed here."
    if machine.gpu:
        return "timm/resnet18", options, "", "A small network, as it starts from random weights."
    return (
        small.encoder, {**options, "model_args": small.encoder_options["model_args"]}, "",
        "A network so small that a processor trains it, as it starts from random weights.",
    )  # fmt: skip


def _weights_why(weights: str) -> str:
    if not weights:
        return "No weights were named, and no package of weights is installed: it starts from random ones."
    return (
        "An installed package has them." if weights.startswith(PACKAGE) else "Asked for."
    ) + " Weights of photographs are a better start than random ones."


def _encoder_learns(
    goal: str, labels: str, weights: str, options: Mapping[str, Any], machine: Machine
) -> tuple[bool, str]:
    """Return whether the encoder learns with each system, and why."""
    if goal == "findings":
        return True, "It learns the labels, which is all that there is to learn."
    if labels:
        return False, "It is taught the labels once, for all presets; then each study is encoded once only."
    if weights and not machine.gpu:
        return False, "Without labels it keeps its weights: each study is encoded once only, which a processor can do."
    return True, "Without labels nothing else teaches it."


def _schooling(goal: str, labels: str, studies: int) -> tuple[dict[str, Any], str]:
    """Return the settings of the encoder's own training, and why; {} for none."""
    if goal == "findings":
        return {}, "The preset itself learns the labels."
    if not labels:
        return {}, "There are no labels to teach it."
    batch = int(SCALES["small"].first["batch_size"])
    steps = -(-studies // batch)
    epochs = max(12, min(60, round(SCHOOL_STEPS / steps)))
    values = {"batch_size": batch, "epochs": epochs, "lr": 1e-3, "warmup": max(5, round(steps * epochs / 20))}
    return values, f"The labels ({labels}) teach it what to look for: about {SCHOOL_STEPS} steps, but 12 to 60 epochs."


def _scores(fingerprint: Fingerprint, goal: str, val: int) -> tuple[str, str, str, str]:
    """Return the score that chooses and the one that chooses among equals, each with its reason."""
    if goal == "findings":
        return AUC, AUC, "How well probabilities rank studies, for all findings alike.", "There is no other score."
    read = fingerprint.read
    stated = sum(f.present for f in read.findings) if read is not None and read.source == LABELER else 0
    whole = read.labelled + read.unlabelled if read is not None else 1
    stated = round(stated * val / max(whole, 1))
    if stated >= FEW_MENTIONS:
        why = f"What matters in a report is what it finds; about {stated} findings are stated on validation."
        return FINDING_F1, CIDER, why, "Among presets that find equally much, the wording counts."
    why = f"Validation states about {stated} findings that a labeler reads, too few to choose by."
    return CIDER, FINDING_F1, why, "Among presets that word equally well, the findings count."
