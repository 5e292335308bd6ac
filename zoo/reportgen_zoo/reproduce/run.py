"""Trains and scores a published system on a dataset, and compares its scores with the paper's.

`reproduce` composes a preset at a scale, trains it and evaluates it with the functions of the core. A run that was
stopped continues where it stopped. A folder of reproductions:

    encoder/               the encoder that every system starts from at a small scale, trained once
    PRESET/asked.json      the request: another request needs another folder
    PRESET/run/            the training run, its best model in run/best
    PRESET/evaluation/     what `rg eval --out` writes
    PRESET/reproduction.json, reproduction.md
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reportgen_core import Collection, DataError, OptionError, Study
from reportgen_core.files.atomic import atomic_write
from reportgen_core.files.json_files import read_json, write_json
from reportgen_core.scoring.evaluation_folder import save_evaluation
from reportgen_core.text.spec import cut_note

from .preset import Preset, load_preset
from .record import Reproduction, ReproductionRequest, read_reproduction
from .result_tables import markdown
from .scales import VIEWS, Scale, scale_of, scaled
from .training import CLASSIFIER, peak_memory, train_encoder, train_system

if TYPE_CHECKING:
    from reportgen_core import Model
    from reportgen_core.scoring.evaluation import Evaluation

SPLITS = ("train", "val", "test")


def reproduction_request(
    name: str,
    data: str,
    options: Mapping[str, Any],
    *,
    scale: str,
    epochs: int | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> ReproductionRequest:
    """Return the request for a preset on a dataset. `options` of the dataset are added to the default ones.

    These are the preset's for its own dataset at scale paper, else the scale's, with as many views as the preset's
    encoder sees. Raises UnknownName, OptionError.
    """
    defaults: Mapping[str, Any] = scale_of(scale).data.get(data, {})
    preset = load_preset(name)
    if VIEWS in defaults:
        defaults = {**defaults, VIEWS: max(defaults[VIEWS], preset.compose.encoder_options.get(VIEWS, 1))}
    if scale == "paper" and preset.data.dataset == data:
        defaults = preset.data.options
    return ReproductionRequest(data, {**defaults, **options}, scale, epochs, limit, seed)


def finished(name: str, request: ReproductionRequest, out: Path) -> Reproduction | None:
    """Return the finished reproduction of this preset in `out`, None if there is none.

    Raises OptionError if `out` has one of another request.
    """
    _check_same(out / name / "asked.json", _request_values(name, request), out)
    path = out / name / "reproduction.json"
    return read_reproduction(path) if path.exists() else None


def reproduce(
    name: str,
    collection: Collection,
    request: ReproductionRequest,
    *,
    out: Path,
    device: str = "cpu",
    cache: Path | None = None,
    watch: Callable[[Mapping[str, Any]], None] | None = None,
    on_evaluation: Callable[[Evaluation, Path], None] | None = None,
) -> Reproduction:
    """Train and evaluate a preset on a collection, and write the reproduction to `out`.

    A finished reproduction in `out` is read instead; one that was stopped continues. `on_evaluation` is called with the
    evaluation and its folder, and may write more into it. Raises OptionError if the preset
    writes no reports, or if `out` has a reproduction of another request.
    """
    if (earlier := finished(name, request, out)) is not None:
        return earlier
    if not writes_reports(load_preset(name)):
        raise OptionError(f"{name} writes no report: rg train --preset {name} trains it, rg annotate labels with it")
    scale = scale_of(request.scale)
    preset, notes = _for_data(scaled(load_preset(name), scale), collection)
    folder = out / name
    studies, left = _splits(collection, preset, request.limit)
    start = _trained_encoder(scale, collection, request, out, cache, watch)
    _write(folder / "asked.json", _request_values(name, request))
    started = time.perf_counter()
    model, settings = _train(preset, request, studies, start, folder / "run", cache, watch)
    trained = time.perf_counter()
    evaluation = _evaluate(model.to(device), preset, request, studies, cache)
    done = time.perf_counter()
    save_evaluation(evaluation, folder / "evaluation")
    if on_evaluation is not None:
        on_evaluation(evaluation, folder / "evaluation")
    record = Reproduction(
        name, preset.paper, request, preset.numbers, evaluation.card, evaluation.systems,
        {split: len(studies[split]) for split in SPLITS},
        f"{preset.compose.encoder} × {preset.compose.decoder or preset.compose.retriever}",
        settings, {"train": round(trained - started, 1), "evaluate": round(done - trained, 1)}, peak_memory(), device,
        (*notes, *left, *([] if start else _unstarted(scale)), *evaluation.notes),
        sum(weights.numel() for weights in model.parameters()),
    )  # fmt: skip
    atomic_write(folder / "reproduction.md", markdown(record))
    _write(folder / "reproduction.json", record.to_json())
    return record


def _request_values(name: str, request: ReproductionRequest) -> dict[str, Any]:
    """Return everything that the scores depend on, as JSON values."""
    preset = scaled(load_preset(name), scale_of(request.scale))
    return _json_values({**asdict(request), "preset": asdict(replace(preset, numbers=(), notes=()))})


def _check_same(path: Path, request: Mapping[str, Any], out: Path) -> None:
    """Raise OptionError if the file has another request."""
    if not path.exists():
        return
    saved = read_json(path, DataError, hint=f"another --out than {out} begins anew")
    for key in request:
        if saved.get(key) != request[key]:
            raise OptionError(
                f"{path.parent} was made with {key}={json.dumps(saved.get(key))}, and {json.dumps(request[key])} is "
                f"asked for; another --out than {out} keeps both"
            )


def _json_values(value: object) -> dict[str, Any]:
    return json.loads(json.dumps(value))  # type: ignore[no-any-return]  # json's


def _write(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, value, sort=False)


def _for_data(preset: Preset, collection: Collection) -> tuple[Preset, list[str]]:
    """Return the preset with a text recipe for the language of the reports, and a note if it changed."""
    sections = preset.text_spec().sections
    texts = (s.text(sections) for s in collection.split("train"))
    if preset.text.get("recipe") == "chinese" and not any("\u4e00" <= c <= "\u9fff" for t in texts for c in t):
        changed = replace(preset, text={**preset.text, "recipe": "plain"}, protocol="")
        return changed, ["these reports are not Chinese: text recipe plain in place of chinese"]
    return preset, []


def _splits(
    collection: Collection, preset: Preset, limit: int | None
) -> tuple[dict[str, tuple[Study, ...]], list[str]]:
    """Return the studies of each split that have the preset's sections, and notes about studies and words left out.

    Raises DataError if a split has no such study.
    """
    sections = preset.text_spec().sections
    chosen, left = {}, 0
    for split in SPLITS:
        all_of = collection.split(split)
        with_text = tuple(s for s in all_of if s.text(sections))
        left += len(all_of) - len(with_text)
        if not with_text:
            available = sorted({k for s in collection.studies for k, text in s.sections.items() if text})
            hint = "; rg data abnormal makes a table with that section" if "abnormal" in sections else ""
            raise DataError(
                f"{preset.name} reads section {' and '.join(sections)}, and no study of split {split!r} has it; there "
                f"are: {', '.join(available) or 'none'}{hint}"
            )
        chosen[split] = with_text[:limit]
    words = f"{left} studies without section {' or '.join(sections)} are left out" if left else ""
    learnt = [s.text(sections) for s in chosen["train"]] if preset.compose.decoder else []
    return chosen, [note for note in (words, cut_note(learnt, preset.text_spec())) if note]


def _train(
    preset: Preset, request: ReproductionRequest, studies: Mapping[str, Sequence[Study]], start: Path | None, run: Path,
    cache: Path | None, watch: Callable[[Mapping[str, Any]], None] | None,
) -> tuple[Model, Mapping[str, Any]]:  # fmt: skip
    model, settings = train_system(
        preset, studies["train"], studies["val"], run, start=start, seed=request.seed, epochs=request.epochs,
        cache=cache, watch=watch, domain=request.data,
    )  # fmt: skip
    return model, _json_values(asdict(settings))


def _evaluate(
    model: Model,
    preset: Preset,
    request: ReproductionRequest,
    studies: Mapping[str, Sequence[Study]],
    cache: Path | None,
) -> Evaluation:
    from reportgen_core import Audit, GenerationSettings, evaluate
    from reportgen_core.registries import metrics
    from reportgen_core.scoring.evaluation import METRICS
    from reportgen_core.scoring.evaluation_set import background_of

    every = tuple(s for split in SPLITS for s in studies[split])
    collection = Collection(every, Audit(request.data, len(every), sum(len(s.views) for s in every)))
    sections, size = preset.text_spec().sections, 32
    features = model.pooled_features((*studies["train"], *studies["test"]), batch_size=size, cache=cache)
    printed = (k for row in preset.numbers for k in row.values if k in metrics and k not in METRICS)
    scored = tuple(dict.fromkeys((*(scale_of(request.scale).metrics or METRICS), *printed)))
    background = replace(background_of(collection, studies["test"], sections), features=features)
    return evaluate(
        model, collection, split="test", metrics=scored, sections=sections, protocol=preset.protocol or None,
        dataset=request.data, background=background, seed=request.seed, name=preset.name, batch_size=size, cache=cache,
        settings=GenerationSettings(**preset.generation),
    )  # fmt: skip


def _trained_encoder(
    scale: Scale, collection: Collection, request: ReproductionRequest, out: Path, cache: Path | None,
    watch: Callable[[Mapping[str, Any]], None] | None,
) -> Path | None:  # fmt: skip
    """Return the folder of the model whose encoder every system starts from, after training it if necessary.

    Return None if the scale trains no encoder or no training study has finding labels.
    """
    train_studies, val = (collection.split(name)[: request.limit] for name in ("train", "val"))
    if not scale.first or not any(s.labels for s in train_studies):
        return None
    from reportgen_core import TrainSettings

    folder = out / "encoder"
    schooling = dict(scale.first)
    if request.epochs is not None:  # a shorter run is shorter here, too
        schooling["epochs"] = min(request.epochs, TrainSettings.of(schooling).epochs)
    own = {"first": schooling, "head": scale.head, "encoder": scale.encoder_options}
    options = {key: value for key, value in request.options.items() if key != VIEWS}  # it learns from frontal images
    values = _json_values({**asdict(replace(request, epochs=None, options=options)), **own})
    _check_same(folder / "asked.json", values, out)
    if not (folder / "finished.json").exists():
        _write(folder / "asked.json", values)
        started = time.perf_counter()
        train_encoder(
            scale, train_studies, val, folder / "run", settings={**schooling, "seed": request.seed}, cache=cache,
            watch=watch,
        )  # fmt: skip
        _write(folder / "finished.json", {"seconds": round(time.perf_counter() - started, 1), "memory": peak_memory()})
    return folder / "run" / "best"


def _unstarted(scale: Scale) -> list[str]:
    return ["the encoder starts from random weights: no training study has finding labels"] if scale.first else []


def presets_that_write(names: Sequence[str]) -> list[str]:
    """Return the names of presets that write reports; the others only predict findings."""
    return [n for n in names if writes_reports(load_preset(n))]


def writes_reports(preset: Preset) -> bool:
    """Return whether the preset writes reports."""
    return preset.compose.decoder != CLASSIFIER and preset.compose.decoder_options.get("writes", True) is not False
