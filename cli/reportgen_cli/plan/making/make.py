"""Make a plan: look at the data, refuse what cannot work, settle the settings, judge the presets and measure them."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from reportgen_core import Collection, DataError, OptionError
from reportgen_core.data.images import default_cache
from reportgen_core.registries import datasets
from reportgen_core.text.spec import TextSpec

from ...dataset_input import meant_dataset
from ...terminal.progress import Heartbeat
from ..advice import warnings_of
from ..fingerprint import Fingerprint, take_fingerprint
from ..settled.digests import study_digests
from ..settled.plan_file import Candidate, Cost, Plan, PlanData, Tried, write_plan
from ..settled.presets import plan_scale
from ..settled.studies import UsableStudies, labelled_studies, read_collection, save_studies, usable_studies
from ..settled.weights import weights_file
from .calibrate import Calibration, measure_encoder, measure_preset
from .judge import Learner, judge_presets, wraps_encoder
from .machine import this_machine, usable_memory
from .refuse import cache_bytes, refuse_data, refuse_disk
from .rules import LABELER, Wishes, batch_rule, choose_labels, choose_sections, settle

SAMPLE = 200  # images that are decoded for their sizes
DRAWN = {"val": 0.15, "test": 0.15}  # shares, if the data have no split
UNKNOWN = Cost(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0)
WEIGHT_BYTES = 16  # of a parameter: the weights of the best and the last epoch, and two moments


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeRequest:
    """The options of `rg plan make`."""

    name: str
    root: Path | None
    options: Mapping[str, Any]
    wishes: Wishes
    presets: Sequence[str] = ()  # the only ones that are judged; (): all
    measured: int = 6  # presets that are measured, the first ones that can learn
    allow_leaks: bool = False
    out: Path = field(default_factory=lambda: Path("plan.json"))


def make_plan(request: MakeRequest, progress: Heartbeat) -> Plan:
    """Return the plan for a dataset. Raises ReportgenError for data that no training should begin on."""
    progress.say("reading the dataset")
    data, collection, drawn = _read(request)
    sections, why_sections = choose_sections(collection.studies, request.wishes.sections)
    fingerprint = take_fingerprint(
        request.name, collection, TextSpec(sections=sections or ("findings",)), LABELER, SAMPLE, progress
    )
    sections = sections if fingerprint.texts is not None else ()
    usable = usable_studies(collection.studies, sections)
    refuse_data(fingerprint, usable, sections, request.allow_leaks)
    labels, why_labels = choose_labels(fingerprint, request.wishes.labels)
    if not sections and labels != "data":
        raise DataError(f"{request.name} has no reports, so that labels must be its own; leave out --labels {labels}")
    data = replace(data, sections=sections, labels=labels)
    draft, learners = _draft(request, data, fingerprint, usable, progress)
    draft = replace(draft, why={**draft.why, "sections": why_sections, "labels": why_labels, "splits": drawn})
    refuse_disk(
        default_cache(), cache_bytes(usable.studies, draft.rules.image_size, draft.rules.views), "the cache of images"
    )
    refuse_disk(request.out.parent, _run_bytes(learners, draft), "a run of the plan")
    return _measured(draft, learners, usable, request.measured, progress)


def _read(request: MakeRequest) -> tuple[PlanData, Collection, str]:
    """Return the dataset; splits are drawn if it has none and can draw some."""
    registered, _ = meant_dataset(request.name, request.root)
    root = str(request.root.absolute()) if request.root is not None else None
    path = Path(request.name).absolute() if registered != request.name and Path(request.name).exists() else None
    data = PlanData(str(path or request.name), root, dict(request.options), (), "", request.allow_leaks)
    collection = read_collection(data)
    options = datasets.options(registered)
    if any(s.split for s in collection.studies) or not set(DRAWN) <= set(options):
        return data, collection, "The splits are those of the dataset."
    data = replace(data, options={**DRAWN, **data.options})
    return data, read_collection(data), "The dataset has no splits: 15 % each are drawn for val and test, by patient."


def _draft(
    request: MakeRequest, data: PlanData, fingerprint: Fingerprint, usable: UsableStudies, progress: Heartbeat
) -> tuple[Plan, dict[str, Learner]]:
    """Return the plan before anything was measured, and the presets that can learn."""
    machine = this_machine()
    goal = "reports" if data.sections else "findings"
    fixed, rules, why = settle(fingerprint, usable.counts, goal, data.labels, request.wishes, machine)
    plan = Plan(
        data, fixed, rules, Tried(()), why, {}, {}, usable.counts, machine,
        warnings=(*warnings_of(fingerprint), *usable.notes),
    )  # fmt: skip
    progress.say("judging presets")
    scale = plan_scale(plan, weights_file(rules.weights))
    learned = [s for s in labelled_studies(usable, data).studies if s.split == "train"]
    learners, left = judge_presets(scale, learned, data.sections, request.presets)
    if request.wishes.encoder and "frozen" not in rules.encoder_options:
        for name in [n for n, learner in learners.items() if wraps_encoder(learner.preset)]:
            left[name] = f"it wraps {rules.encoder}, which has no option that keeps it fixed"
            del learners[name]
    if not learners:
        raise DataError(_nothing_learns(request, left))
    batch, why["batch_size"] = batch_rule(usable.counts["train"])
    candidates = {n: Candidate(learner.preset.text, batch, UNKNOWN) for n, learner in learners.items()}
    return replace(plan, presets=candidates, left_out=left, tried=Tried(tuple(candidates)), why=why), learners


def _nothing_learns(request: MakeRequest, left: Mapping[str, str]) -> str:
    if request.presets:
        return "; ".join(f"{name}: {why}" for name, why in left.items())
    reasons = "; ".join(f"{name}: {why}" for name, why in list(left.items())[:3])
    return f"no preset can learn from {request.name}: {reasons}"


def _run_bytes(learners: Mapping[str, Learner], plan: Plan) -> int:
    """Return the bytes of the largest runs that a plan trains."""
    sizes = sorted((learner.parameters for learner in learners.values()), reverse=True)
    return WEIGHT_BYTES * sum(sizes[: plan.rules.most_presets])


def _measured(
    plan: Plan, learners: Mapping[str, Learner], usable: UsableStudies, most: int, progress: Heartbeat
) -> Plan:
    """Return the plan with what its first presets cost. Those that fail are left out, and say why."""
    with tempfile.TemporaryDirectory(prefix="rg-plan-") as folder:
        studies = Path(folder) / "studies.jsonl"
        save_studies(labelled_studies(usable, plan.data).studies, studies)
        machine = plan.machine
        calibration = Calibration(Path(folder), studies, usable_memory(machine), machine.gpu_memory, lambda line: None)
        if plan.rules.schooling:
            progress.say("measuring the schooling of the encoder, 21 steps")
            cost = measure_encoder(plan, calibration)
            if isinstance(cost, str):
                raise OptionError(f"the encoder cannot be taught the labels: {cost}; --labels none leaves that out")
            plan = replace(plan, encoder_cost=cost)
        chosen: dict[str, Candidate] = {}
        left = dict(plan.left_out)
        unmeasured: list[str] = []
        for name in plan.presets:
            if len(chosen) == most:
                unmeasured.append(name)
                continue
            progress.say(f"measuring {name}, {len(chosen) + 1} of {min(most, len(learners))}, 21 steps")
            candidate = measure_preset(plan, name, learners[name].features, calibration)
            if isinstance(candidate, str):
                left[name] = f"its measurement failed: {candidate}"
            else:
                chosen[name] = candidate
    if not chosen:
        raise OptionError(f"no preset could be trained here: {'; '.join(f'{n}: {w}' for n, w in left.items())}")
    cut = {name: f"{100 * learners[name].cut:.1f} %" for name in chosen}
    why = {**plan.why, "text": _text_why(cut)}
    return replace(
        plan, presets=chosen, left_out=left, unmeasured=tuple(unmeasured), tried=Tried(tuple(chosen)), why=why,
        studies=study_digests(usable.studies),
    )  # fmt: skip


def _text_why(cut: Mapping[str, str]) -> str:
    shares = ", ".join(f"{name} {share}" for name, share in cut.items())
    return f"Limits that leave about 99 of 100 training reports whole; cut are: {shares}."


def save_plan(plan: Plan, path: Path) -> None:
    """Write the plan to its file."""
    write_plan(plan, path)
