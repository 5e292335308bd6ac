"""Check what else a package can bring: reporters, presets, manifests of trained models, and commands.

Each check raises AssertionError with one line: what came, the promise, and what would keep it.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from ..discovery import entries
from ..errors import ReportgenError, quoted
from ..models.composition import check_composition
from ..registries import datasets, presets, protocols
from ..registry import Entry, did_you_mean, resolve
from ..scoring.evaluation_set import WritesReports
from ..text.arguments import known_fields
from ..text.spec import TextSpec
from ..training.settings import TrainSettings
from ..types import GenerationSettings, Study, View
from .context import check_reporter_context, required_context
from .promise import first, promise

PRESET_KEYS = {"name", "summary", "compose", "data"}  # those that a preset must have


def check_reporter(reporter: WritesReports, folder: Path) -> None:
    """Check a reporter, or a model: a report for each study, in order, repeatable, alone as in a list.

    `folder` gets the images: noise of 64 x 64 pixels, and one file that is no image.
    """
    studies = required_context(reporter, _noise_studies(folder))
    reports = reporter.report_studies(studies)
    promise(
        [r.study for r in reports] == [s.id for s in studies],
        f"{len(reports)} reports for {len(studies)} studies, or in another order; yield one for each, with its id",
    )
    for report in reports:
        promise(isinstance(report.text, str) and not report.problem, f"study {report.study}: {report.problem}")
        promise(
            report.text == "" or report.sentences, "a report with a text has no sentences; pages and metrics read them"
        )
        bad = [k for values in (report.tags, report.findings) for k, v in values.items() if not 0 <= v <= 1]
        promise(not bad, f"{first(bad)} has no probability; tags and findings are from 0 to 1")
    texts = [r.text for r in reports]
    again = [r.text for r in reporter.report_studies(studies)]
    promise(again == texts, "the same studies get other reports the second time; seed what is drawn, by settings.seed")
    alone = [reporter.report_studies([s])[0].text for s in studies]
    promise(alone == texts, "a study alone gets another report than in a list; let no study depend on the others")
    check_reporter_context(reporter, studies)
    broken = folder / "broken.png"
    broken.write_bytes(b"no image")
    mixed = reporter.report_studies([studies[0], replace(studies[1], id="broken", views=(View(broken),)), studies[1]])
    promise(
        [r.study for r in mixed] == [studies[0].id, "broken", studies[1].id], "a bad study loses its row, or others"
    )
    promise(mixed[1].problem and not mixed[1].text, "an image that cannot be read has a report; say why in `problem`")
    promise([mixed[0].text, mixed[2].text] == texts[:2], "a bad study changes the reports of the others")


def _noise_studies(folder: Path) -> list[Study]:
    folder.mkdir(parents=True, exist_ok=True)
    studies = []
    for n in range(3):
        pixels = np.random.default_rng(n).integers(0, 256, (64, 64)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"noise{n}.png")
        studies.append(Study(f"noise{n}", (View(folder / f"noise{n}.png", "frontal"),)))
    return studies


def check_preset(name: str) -> None:
    """Check a preset: its parts fit together, and every setting of text, training and generation exists."""
    package, _, file = presets[name].target.partition(":")
    preset = _json(resources.files(package) / file, f"preset {name!r}")
    missing = sorted(PRESET_KEYS - set(preset))
    promise(not missing, f"preset {name!r} lacks {first(missing)!r}; it has {', '.join(sorted(PRESET_KEYS))}")
    promise(preset["name"] == name, f"the file of preset {name!r} says name {preset['name']!r}; give both one name")
    where = f"preset {name!r}"
    try:
        text = TextSpec.from_json(preset.get("text", {}))
        check_composition(**{k: v for k, v in preset["compose"].items()}, text=text)
        TrainSettings.of(preset.get("train", {}))
        GenerationSettings(**known_fields(GenerationSettings, preset.get("generation", {}), "generation"))
        dataset = preset["data"].get("dataset")
        promise(dataset in datasets, f"{where} names the dataset {dataset!r}; {did_you_mean(str(dataset), datasets)}")
        if preset.get("protocol"):
            protocols[preset["protocol"]]
    except (ReportgenError, TypeError) as e:
        raise AssertionError(f"{where} cannot be run: {e}") from e
    for row in preset.get("numbers", []):
        odd = [k for k, v in row.get("values", {}).items() if isinstance(v, bool) or not isinstance(v, int | float)]
        promise(
            not odd,
            f"{where}: {row.get('table', 'a table')} has {first(odd)} that is no number; leave out what a paper lacks",
        )


def check_manifest(path: Path) -> None:
    """Check a manifest of trained models: each has files with a size and a sha256, sources, a licence and a probe."""
    manifest = _json(path, f"manifest {path.name}")
    promise(manifest.get("format") == 1, f"the manifest has format {manifest.get('format')!r}; this release reads 1")
    models: Any = manifest.get("models")
    promise(isinstance(models, list) and models, "the manifest has no list `models`; each model is a record in it")
    names = [m.get("name") for m in models]
    promise(
        len(set(names)) == len(names), "two models of the manifest have one name; a name is pulled, so make it unique"
    )
    for model in models:
        _check_record(model)


def _check_record(model: Mapping[str, Any]) -> None:
    name = model.get("name")
    promise(
        isinstance(name, str) and re.fullmatch(r"[\w.+-]+", name),
        f"{name!r} is no name of a model: letters, digits, . _ -",
    )
    promise(model.get("licence"), f"{name} has no licence; without one nobody may use the weights")
    promise(model.get("sources"), f"{name} has no source; give an https address or a folder next to the manifest")
    files = {f.get("path"): f for f in model.get("files", [])}
    for needed in ("config.json", "model.safetensors"):
        promise(needed in files, f"{name} has no file {needed}; a model is a folder, and each of its files is listed")
    for path, file in files.items():
        inside = (
            isinstance(path, str) and not PurePosixPath(path).is_absolute() and ".." not in PurePosixPath(path).parts
        )
        promise(inside, f"{name}: {path!r} leaves the model's folder; give a path inside it")
        sha = file.get("sha256", "")
        promise(
            re.fullmatch(r"[0-9a-f]{64}", str(sha)), f"{name}: {path} has the sha256 {quoted(sha)}; give 64 hex digits"
        )
        size = file.get("bytes")
        promise(
            isinstance(size, int) and size > 0, f"{name}: {path} has {size!r} bytes; a download is bounded by its size"
        )
    promise(model.get("probe"), f"{name} has no probe; a seeded input and its report show that a copy is right")


def check_command(name: str) -> None:
    """Check a command of `rg`: help in words, an example, help for each option, and `--help` without an error."""
    entry: Entry | None = next((e for _, e in entries("register_commands") if e.name == name), None)
    assert entry is not None, f"no plugin registers the command {name!r}; return an Entry from register_commands"
    command: Any = resolve(entry.target)
    promise(
        callable(getattr(command, "main", None)) and hasattr(command, "params"),
        f"{entry.target} is {type(command).__name__}; a command is a click.Command, made by @click.command()",
    )
    text = inspect.cleandoc(command.help or "")
    promise(text, f"rg {name} has no help; the docstring of its function is shown by rg {name} --help")
    promise(
        re.search(rf"Example: rg {re.escape(name)}\b", text),
        f"the help of rg {name} has no line 'Example: rg {name} …'",
    )
    for option in command.params:
        silent = option.param_type_name == "option" and not getattr(option, "help", None)
        promise(not silent, f"{option.opts[0]} of rg {name} has no help; say what it does, its unit and its default")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        try:
            command.main(["--help"], prog_name=f"rg {name}", standalone_mode=False)
        except BaseException as e:
            raise AssertionError(
                f"rg {name} --help raises {type(e).__name__}: {e}; import heavy modules in the function"
            ) from e
    promise("Usage:" in printed.getvalue(), f"rg {name} --help prints no usage; leave --help to click")


def _json(path: Any, what: str) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as e:
        raise AssertionError(f"{what} cannot be read as JSON: {e}") from e
    assert isinstance(content, dict), f"{what} is a {type(content).__name__}; it is an object with settings"
    return content
