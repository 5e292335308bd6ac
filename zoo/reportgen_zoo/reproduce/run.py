"""A published system, trained and scored on somebody's data, with the paper's figures beside ours.

`reproduce` composes a preset at a scale, trains it and evaluates it by the machinery that everything else uses; a run
that is killed goes on where it stopped. A folder of reproductions:

    encoder/               what every system starts from at a small scale, trained once
    PRESET/asked.json      what was asked for: another question needs another folder
    PRESET/run/            the training run, its best model in run/best
    PRESET/evaluation/     what `rg eval --out` writes
    PRESET/reproduction.json, reproduction.md
"""

from __future__ import annotations

import json
import resource
import sys
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
from .record import Asked, Reproduction, read_reproduction
from .scales import WRAPPED, Scale, scale_of, scaled

if TYPE_CHECKING:
    from reportgen_core import Model
    from reportgen_core.scoring.evaluation import Evaluation

CLASSIFIER = "chestxray8"  # what an encoder is trained with before the systems are
SPLITS = ("train", "val", "test")


def asked_for(name: str, data: str, options: Mapping[str, Any], *, scale: str, **how: Any) -> Asked:
    """What is asked for by default: at paper scale the preset's own options of its own dataset, else the scale's."""
    known: Mapping[str, Any] = scale_of(scale).data.get(data, {})
    recipe = load_preset(name).data
    if scale == "paper" and recipe.dataset == data:
        known = recipe.options
    return Asked(data, {**known, **options}, scale, **how)


def finished(name: str, asked: Asked, out: Path) -> Reproduction | None:
    """The reproduction of this preset that is there already. Raises OptionError where another one was asked for."""
    _same(out / name / "asked.json", _question(name, asked), out)
    path = out / name / "reproduction.json"
    return read_reproduction(path) if path.exists() else None


def reproduce(
    name: str,
    collection: Collection,
    asked: Asked,
    *,
    out: Path,
    device: str = "cpu",
    cache: Path | None = None,
    watch: Callable[[Mapping[str, Any]], None] | None = None,
) -> Reproduction:
    """Train and evaluate a preset on a collection; what is finished in `out` is read, what was stopped goes on."""
    if (there := finished(name, asked, out)) is not None:
        return there
    if not writes(load_preset(name)):
        raise OptionError(f"{name} writes no report: rg train --preset {name} trains it, rg annotate labels with it")
    scale = scale_of(asked.scale)
    preset, notes = _for_data(scaled(load_preset(name), scale), collection)
    folder = out / name
    studies, left = _splits(collection, preset, asked.limit)
    start = _start(scale, collection, asked, out, cache, watch)
    _keep(folder / "asked.json", _question(name, asked))
    begun = time.perf_counter()
    model, settings = _train(preset, asked, studies, start, folder / "run", cache, watch)
    trained = time.perf_counter()
    found = _evaluate(model.to(device), preset, asked, studies, cache)
    done = time.perf_counter()
    save_evaluation(found, folder / "evaluation")
    made = Reproduction(
        name, preset.paper, asked, preset.numbers, found.card, found.systems,
        {split: len(studies[split]) for split in SPLITS},
        f"{preset.compose.encoder} × {preset.compose.decoder or preset.compose.retriever}",
        settings, {"train": round(trained - begun, 1), "evaluate": round(done - trained, 1)}, peak_memory(), device,
        (*notes, *left, *([] if start else _unstarted(scale)), *found.notes),
    )  # fmt: skip
    from .result_tables import markdown

    atomic_write(folder / "reproduction.md", markdown(made))
    _keep(folder / "reproduction.json", made.to_json())
    return made


def _question(name: str, asked: Asked) -> dict[str, Any]:
    """All that the answer depends on, as JSON values."""
    preset = scaled(load_preset(name), scale_of(asked.scale))
    return _plain({**asdict(asked), "preset": asdict(replace(preset, numbers=(), notes=()))})


def _same(path: Path, question: Mapping[str, Any], out: Path) -> None:
    if not path.exists():
        return
    there = read_json(path, DataError, hint=f"another --out than {out} begins anew")
    for key in question:
        if there.get(key) != question[key]:
            raise OptionError(
                f"{path.parent} was made with {key}={json.dumps(there.get(key))}, and {json.dumps(question[key])} is "
                f"asked for; another --out than {out} keeps both"
            )


def _plain(value: object) -> dict[str, Any]:
    return json.loads(json.dumps(value))  # type: ignore[no-any-return]  # json's


def _keep(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, value, sort=False)


def _for_data(preset: Preset, collection: Collection) -> tuple[Preset, list[str]]:
    """The preset with a text recipe for the language that the reports are in."""
    sections = preset.text_spec().sections
    texts = (s.text(sections) for s in collection.split("train"))
    if preset.text.get("recipe") == "chinese" and not any("\u4e00" <= c <= "\u9fff" for t in texts for c in t):
        changed = replace(preset, text={**preset.text, "recipe": "plain"}, protocol="")
        return changed, ["these reports are not Chinese: text recipe plain in place of chinese"]
    return preset, []


def _splits(
    collection: Collection, preset: Preset, limit: int | None
) -> tuple[dict[str, tuple[Study, ...]], list[str]]:
    """The studies of each split that have a text to learn or to compare with. Raises DataError where one has none."""
    sections = preset.text_spec().sections
    found, left = {}, 0
    for split in SPLITS:
        all_of = collection.split(split)
        with_text = tuple(s for s in all_of if s.text(sections))
        left += len(all_of) - len(with_text)
        if not with_text:
            known = sorted({k for s in collection.studies for k, text in s.sections.items() if text})
            how = "; rg data abnormal makes a table with that section" if "abnormal" in sections else ""
            raise DataError(
                f"{preset.name} reads section {' and '.join(sections)}, and no study of split {split!r} has it; there "
                f"are: {', '.join(known) or 'none'}{how}"
            )
        found[split] = with_text[:limit]
    words = f"{left} studies without section {' or '.join(sections)} are left out" if left else ""
    learnt = [s.text(sections) for s in found["train"]] if preset.compose.decoder else []
    return found, [note for note in (words, cut_note(learnt, preset.text_spec())) if note]


def _train(
    preset: Preset, asked: Asked, studies: Mapping[str, Sequence[Study]], start: Path | None, run: Path,
    cache: Path | None, watch: Callable[[Mapping[str, Any]], None] | None,
) -> tuple[Model, Mapping[str, Any]]:  # fmt: skip
    from reportgen_core import TrainSettings, compose, train

    parts = preset.compose
    model = compose(
        encoder=parts.encoder, encoder_options=parts.encoder_options, decoder=parts.decoder, retriever=parts.retriever,
        decoder_options=parts.decoder_options, text=preset.text_spec(), seed=asked.seed,
    )  # fmt: skip
    if start is not None:
        begin(model, start)
    wish = {**preset.train, "seed": asked.seed, **({} if asked.epochs is None else {"epochs": asked.epochs})}
    settings = TrainSettings.of(wish)
    trained = train(
        model, studies["train"], studies["val"], out=run, settings=settings, resume=True, cache=cache, watch=watch
    )
    return trained, _plain(asdict(settings))


def _evaluate(
    model: Model, preset: Preset, asked: Asked, studies: Mapping[str, Sequence[Study]], cache: Path | None
) -> Evaluation:
    from reportgen_core import Audit, GenerationSettings, evaluate
    from reportgen_core.registries import metrics
    from reportgen_core.scoring.evaluation import METRICS
    from reportgen_core.scoring.evaluation_set import background_of

    every = tuple(s for split in SPLITS for s in studies[split])
    collection = Collection(every, Audit(asked.data, len(every), sum(len(s.views) for s in every)))
    sections, size = preset.text_spec().sections, 32
    features = model.pooled_features((*studies["train"], *studies["test"]), batch_size=size, cache=cache)
    printed = (k for row in preset.numbers for k in row.values if k in metrics and k not in METRICS)
    scored = tuple(dict.fromkeys((*(scale_of(asked.scale).metrics or METRICS), *printed)))
    background = replace(background_of(collection, studies["test"], sections), features=features)
    return evaluate(
        model, collection, split="test", metrics=scored, sections=sections, protocol=preset.protocol or None,
        dataset=asked.data, background=background, seed=asked.seed, name=preset.name, batch_size=size, cache=cache,
        settings=GenerationSettings(**preset.generation),
    )  # fmt: skip


def _start(
    scale: Scale, collection: Collection, asked: Asked, out: Path, cache: Path | None,
    watch: Callable[[Mapping[str, Any]], None] | None,
) -> Path | None:  # fmt: skip
    """The encoder that every system of this folder starts from, trained to name findings where nobody has yet."""
    train_studies, val = (collection.split(name)[: asked.limit] for name in ("train", "val"))
    if not scale.first or not any(s.labels for s in train_studies):
        return None
    from reportgen_core import TrainSettings, compose, train

    folder = out / "encoder"
    own = {"first": scale.first, "head": scale.head, "options": scale.encoder_options}
    question = _plain({**asdict(replace(asked, epochs=None)), **own})
    _same(folder / "asked.json", question, out)
    if not (folder / "finished.json").exists():
        _keep(folder / "asked.json", question)
        model = compose(
            encoder=scale.encoder, encoder_options={**scale.encoder_options, "frozen": 0}, decoder=CLASSIFIER,
            decoder_options=scale.head, seed=asked.seed,
        )  # fmt: skip
        settings = TrainSettings.of({**scale.first, "seed": asked.seed})
        begun = time.perf_counter()
        train(model, train_studies, val, out=folder / "run", settings=settings, resume=True, cache=cache, watch=watch)
        _keep(folder / "finished.json", {"seconds": round(time.perf_counter() - begun, 1), "memory": peak_memory()})
    return folder / "run" / "best"


def _unstarted(scale: Scale) -> list[str]:
    return ["the encoder starts from random weights: no training study has finding labels"] if scale.first else []


def begin(model: Model, start: Path) -> None:
    """Give the encoder, or the one that it wraps, the weights of a trained model's encoder of the same kind."""
    from reportgen_core import load

    known = load(start).encoder.state_dict()
    own = model.encoder.state_dict()
    taken = {k: known[short] for k in own if (short := k.removeprefix(f"{WRAPPED}.")) in known}
    model.encoder.load_state_dict({**own, **taken})


def peak_memory() -> int:
    """The largest resident memory of this process so far, in MiB."""
    unit = 2**20 if sys.platform == "darwin" else 2**10  # bytes there, KiB elsewhere
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit)


def presets_that_write(names: Sequence[str]) -> list[str]:
    """Those of the presets that write reports; the others find findings alone."""
    return [n for n in names if writes(load_preset(n))]


def writes(preset: Preset) -> bool:
    return preset.compose.decoder != CLASSIFIER and preset.compose.decoder_options.get("writes", True) is not False
