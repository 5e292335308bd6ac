"""Read a plan and check it: keys, types and values. Each error is one line that names the place of the fault."""

from __future__ import annotations

from pathlib import Path

from reportgen_zoo.manifest.schema import from_json

from reportgen_core import DataError, OptionError
from reportgen_core.files.json_files import is_format, read_json
from reportgen_core.registries import encoders, presets
from reportgen_core.registry import did_you_mean
from reportgen_core.text.spec import TextSpec
from reportgen_core.training.settings import TrainSettings

from .plan_file import FORMAT, GOALS, Plan
from .presets import school_settings, train_settings

HINT = "rg plan make DATA --out PLAN makes a plan"


def read_plan(path: Path) -> Plan:
    """Read a plan and check it. Raises ReportgenError in one line."""
    values = read_json(path, DataError, hint=HINT)
    if not isinstance(values, dict) or "format" not in values:
        raise DataError(f"{path} is no plan; {HINT}")
    if not is_format(values["format"], FORMAT):
        raise DataError(f"{path} is a plan of format {values['format']!r}; this reportgen reads {FORMAT}: {HINT}")
    plan = from_json(Plan, values, str(path))
    _check(plan, path)
    return plan


def _check(plan: Plan, path: Path) -> None:
    """Raise for a value that no run can use."""
    rules = plan.rules
    if rules.goal not in GOALS:
        raise OptionError(f"{path}.rules.goal: no goal {rules.goal!r}; {did_you_mean(rules.goal, GOALS)}")
    if not 16 <= rules.image_size <= 4096:
        raise OptionError(f"{path}.rules.image_size: {rules.image_size} pixels; give 16 to 4096")
    for name in ("views", "threads", "epochs", "least_epochs", "most_presets"):
        if getattr(rules, name) < 1:
            raise OptionError(f"{path}.rules.{name}: {getattr(rules, name)}; give 1 or more")
    if rules.warmup < 0:
        raise OptionError(f"{path}.rules.warmup: {rules.warmup} steps; give 0 or more")
    if not plan.tried.presets:
        raise OptionError(f"{path}.tried.presets names no preset; there are: {', '.join(plan.presets) or 'none'}")
    for name in plan.tried.presets:
        if name not in presets:
            raise OptionError(f"{path}.tried.presets: no preset {name!r}; {did_you_mean(name, plan.presets)}")
        if name not in plan.presets:
            why = plan.left_out.get(name, f"it was not measured; rg plan make --preset {name} measures it")
            raise OptionError(f"{path}.tried.presets: {name} has no entry under presets: {why}")
    if len(set(plan.tried.presets)) < len(plan.tried.presets):
        raise OptionError(f"{path}.tried.presets names a preset twice")
    if set(plan.counts) != {"train", "val", "test"} or min(plan.counts.values()) < 1:
        raise OptionError(f"{path}.counts: give the studies of train, val and test, each 1 or more")
    encoders.find(rules.encoder)
    for name, candidate in plan.presets.items():
        spec = TextSpec.from_json(candidate.text, what=f"{path}.presets.{name}.text", error=OptionError)
        if min(spec.max_sentences, spec.max_words, spec.length) < 1:
            raise OptionError(f"{path}.presets.{name}.text: a limit is below 1, which leaves no report")
        if candidate.batch_size < 1:
            raise OptionError(f"{path}.presets.{name}.batch_size: {candidate.batch_size}; give 1 or more")
    _check_training(plan, path)


def _check_training(plan: Plan, path: Path) -> None:
    """Raise OptionError for settings that training does not have."""
    try:
        TrainSettings.of({**train_settings(plan), "batch_size": 1})
        if plan.rules.schooling:
            TrainSettings.of(school_settings(plan))
    except OptionError as e:
        raise OptionError(f"{path}: {e}") from e
