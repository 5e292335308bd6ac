"""The training loop, on accelerate: one CPU, one GPU, or the processes of `accelerate launch`.

A run is a folder: `best/` is the best model so far, `state/` is what resuming needs, and there are `log.jsonl` and
`curves.png`. A run that was killed at any moment resumes to the same weights. The order of an epoch and the dropout of
a step depend only on the seed and on the number of the epoch or step, and folders appear whole or not at all.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import gather_object

from ..data.batches import StudyReader, batches
from ..errors import DataError, OptionError, ReportgenError
from ..files.atomic import sweep
from ..models.abilities import HasTrainingStep
from ..models.composition import seeded
from ..models.loading import load_model, save
from ..models.model import Model
from ..text.spec import TextSpec
from ..types import Batch, Study, TargetSpec
from .domain import write_domain
from .lock import is_main_process, lock_run
from .log import RunLog, draw_curves
from .logs.trackers import track, tracked, tracker_names
from .order import _mix, by_length, epoch_order, share
from .prepare import has_vocabulary, prepare_model, targets_of_studies
from .retriever import fill, learns_nothing, mean_scores, own_scores, teach_texts
from .run import OnRecord as OnRecord
from .run import TrainingRun as TrainingRun
from .run import fixed_modules, prepare_run
from .settings import TrainSettings
from .state import Progress, Resumed, load_state, load_targets, save_state
from .steps.checkpointing import checkpointed
from .steps.gradients import Place, backward, own_step, remembered, reward_step, weighted
from .steps.reward import text_for_metric

__all__ = ["TrainSettings", "train"]


def train(
    model: Model,
    train_studies: Sequence[Study],
    val_studies: Sequence[Study] = (),
    *,
    out: str | Path,
    settings: TrainSettings | None = None,
    resume: bool = False,
    cache: Path | None = None,
    watch: OnRecord | None = None,
    domain: str = "",
) -> Model:
    """Train on studies and return the best model, which is also saved in OUT/best.

    The weights of `model` itself change, too: they are those of the last step, and the result is another object with
    the best. `load` or `copy.deepcopy` gives a model to keep. A model without words takes words, tags and findings from
    the training studies. `resume` continues the run in OUT. `watch` is called with every record of the log. Without
    validation studies the last epoch is the best. `domain` is a word for the images, such as their dataset's name: the
    saved model compares new images with them, and `Report.note` says which are unlike them. Raises DataError,
    OptionError, CheckpointError; among them CheckpointError if another run is training in OUT.
    """
    settings = settings or TrainSettings()
    _check_select(settings, model, val_studies)
    tracker_names(settings.log_with)
    with lock_run(Path(out)), seeded(settings.seed):
        if is_main_process():
            sweep(Path(out) / "best")
            sweep(Path(out) / "state")
        started, notes = _run_targets(Path(out), model, train_studies) if resume else (None, [])
        model = prepare_model(model, train_studies, settings.seed, started)
        teach_texts(model, train_studies)
        if learns_nothing(model):
            fill(model, train_studies, settings.batch_size, cache)
            save(model, Path(out) / "best")
            write_domain(Path(out) / "best", train_studies, val_studies, name=domain, cache=cache)
            return load_model(Path(out) / "best")
        run = prepare_run(model, train_studies, val_studies, Path(out), settings, cache, watch)
        saved = load_state(run.out, run.model, run.optimizer, _frozen(settings), run.origin) if resume else None
        _learn(run, saved or Resumed(Progress(), "", 1.0), notes)
        run.accelerator.wait_for_everyone()
        if run.accelerator.is_main_process:
            write_domain(run.out / "best", train_studies, val_studies, name=domain, cache=cache)
        run.accelerator.wait_for_everyone()
    return load_model(run.out / "best")


def _learn(run: TrainingRun, resumed: Resumed, notes: Sequence[str]) -> None:
    """Train from where a run goes on until its last epoch, or until its patience is at an end."""
    progress, note, scale = resumed
    settings, log = run.settings, None
    if run.accelerator.is_main_process:
        log = RunLog(run.out / "log.jsonl", progress.total, scale)
    with (
        tracked(run.accelerator, asdict(settings), progress.total),
        checkpointed(run.model, settings.checkpoint) as lines,
    ):
        for text in filter(None, (*notes, note, *lines)):
            _log(run, log, {"kind": "note", "total": progress.total, "note": text})
        while progress.epoch < settings.epochs and not _out_of_patience(settings, progress):
            progress = _epoch(run, progress, log)


def _run_targets(
    out: Path, model: Model, studies: Sequence[Study]
) -> tuple[tuple[TextSpec, TargetSpec] | None, list[str]]:
    """Return the text spec, words, tags and findings of the run in `out`, for a model without any of its own.

    Add a note if these studies would give others. (None, []) if there is no such run, or the model has a vocabulary.
    """
    started = None if has_vocabulary(model) else load_targets(out, model.text)
    if started is None:
        return None, []
    text, targets = started
    own = targets_of_studies(studies, text, model.head)
    if (own.words, own.tags, own.findings) == (targets.words, targets.tags, targets.findings):
        return started, []
    old, new = (f"{len(t.words)} words, {len(t.tags)} tags, {len(t.findings)} findings" for t in (targets, own))
    return started, [f"{out} keeps the vocabulary it was started with ({old}); these studies have another ({new})"]


def _frozen(settings: TrainSettings) -> dict[str, Any]:
    """Return the settings that a resumed run must share with the run it continues.

    `workers`, `save_every`, `checkpoint` and `log_with` may differ; with a constant learning rate `epochs` and
    `patience` may differ too. Batch size, accumulation and the number of processes may differ if their product is the
    same.
    """
    values = asdict(settings)
    free = {"workers", "save_every", "checkpoint", "log_with"}
    if settings.schedule == "constant":
        free |= {"epochs", "patience"}
    return {k: v for k, v in values.items() if k not in free}


def _check_select(settings: TrainSettings, model: Model, val: Sequence[Study]) -> None:
    from ..registries import metrics

    if settings.select not in ("loss", "perplexity", *own_scores(model)):
        metrics[settings.select]
    if not val and settings.patience is not None:
        raise OptionError("patience needs validation studies, and there are none; name a split of the data for them")


def _epoch(run: TrainingRun, progress: Progress, log: RunLog | None) -> Progress:
    """Train for one epoch, or for the rest of it, validate, save the state, and return the progress."""
    order = _order(run, progress.epoch)
    mine = share(order, run.settings.batch_size, run.accelerator.process_index, run.accelerator.num_processes)
    reader = StudyReader(run.model.encoder.image, run.model.text, run.model.targets, run.cache)
    losses: list[float] = []
    _train_mode(run)
    due = False
    before = time.perf_counter()
    for batch in batches(run.train, reader, mine[progress.step :], workers=run.settings.workers):
        waited = time.perf_counter() - before
        record = _step(run, batch, progress)
        losses.append(record["loss"])
        progress = replace(progress, step=progress.step + 1, total=progress.total + 1)
        record |= {
            "total": progress.total,
            "waited": round(waited, 4),
            "seconds": round(time.perf_counter() - before, 4),
        }
        _log(run, log, record)
        due = due or bool(run.settings.save_every and progress.total % run.settings.save_every == 0)
        if due and progress.step % run.settings.accumulate == 0 and progress.step < len(mine):
            _save_state(run, progress)  # never between two batches of a step, whose gradients would be lost
            due = False
        before = time.perf_counter()
    return _end_epoch(run, progress, log, sum(losses) / max(len(losses), 1))


def _order(run: TrainingRun, epoch: int) -> list[int]:
    """Return the indices of the studies in the order of an epoch, batch after batch."""
    settings = run.settings
    order = epoch_order(len(run.train), settings.seed, epoch)
    lengths = [len(s.text(run.model.text.sections)) for s in run.train] if settings.bucket else []
    return by_length(order, lengths, run.pace.total, settings.bucket, _mix(settings.seed, epoch))


def _train_mode(run: TrainingRun) -> None:
    run.ready.train()
    for part in fixed_modules(run.model, run.settings):
        part.eval()


def _step(run: TrainingRun, batch: Batch, progress: Progress) -> dict[str, Any]:
    """Train on one batch, with an optimizer step for each group of losses, or one for all, and return its record.

    Raises ReportgenError if a loss is not finite.
    """
    settings, pace, studies = run.settings, run.pace, len(run.train)
    done = progress.epoch * pace.steps(studies) + progress.step // settings.accumulate
    factor = settings.rate(done, settings.epochs * pace.steps(studies), progress.epoch)
    for group in run.optimizer.param_groups:
        group["lr"] = group["base"] * factor
    process = run.accelerator.process_index
    torch.manual_seed(_mix(settings.seed, progress.total, process))
    losses: dict[str, float] = {}
    more: dict[str, float] = {}
    last = progress.step + 1 == run.batches  # an epoch's last batch ends an accumulation early
    full = last or (progress.step + 1) % settings.accumulate == 0
    place = Place(full, pace.weight(studies, progress.step, process))
    if run.reward is not None:
        losses, more = reward_step(run, run.reward, batch, place, progress.total)
    elif isinstance(run.model.head, HasTrainingStep):
        losses = own_step(run, batch, place)
    else:
        for names in settings.steps or [[]]:
            losses |= backward(run, batch, names, place)
    loss = sum(v * settings.weights.get(k, 1.0) for k, v in losses.items())
    if not math.isfinite(loss):
        worst = next((k for k, v in losses.items() if not math.isfinite(v)), "the sum")
        raise ReportgenError(
            f"training stopped at batch {progress.total}: loss {worst} is {losses.get(worst, loss)}; try a lower lr"
        )
    at = progress.epoch + (progress.step + 1) / run.batches
    return {
        "kind": "step",
        "epoch": progress.epoch,
        "at": round(at, 4),
        "loss": loss,
        "losses": losses,
        "lr": factor * settings.lr,
        **more,
    }


def _end_epoch(run: TrainingRun, progress: Progress, log: RunLog | None, train_loss: float) -> Progress:
    """Validate, save the model if it is the best so far, save the state, draw the curves, and return the progress."""
    settings, epoch = run.settings, progress.epoch
    record: dict[str, Any] = {
        "kind": "epoch",
        "epoch": epoch,
        "total": progress.total,
        "train_loss": train_loss,
        "best": False,
    }
    last = epoch + 1 == settings.epochs
    if run.val and ((epoch + 1) % settings.validate_every == 0 or last):
        record |= validate(run)
    score = record.get("score")
    better = score is not None and (progress.best is None or _better(run, score, progress.best))
    if better or not run.val:
        record["best"] = True
        progress = replace(progress, best=score, best_epoch=epoch)
        if run.accelerator.is_main_process:
            save(run.model, run.out / "best")
    progress = replace(progress, epoch=epoch + 1, step=0)
    _log(run, log, record)
    _save_state(run, progress)
    if run.accelerator.is_main_process:
        draw_curves(run.out / "log.jsonl", run.out / "curves.png")
    return progress


def _out_of_patience(settings: TrainSettings, progress: Progress) -> bool:
    """Return whether `patience` epochs have passed since the best one."""
    return settings.patience is not None and progress.epoch - 1 - progress.best_epoch >= settings.patience


def _better(run: TrainingRun, score: float, best: float) -> bool:
    from ..registries import metrics

    select = run.settings.select
    lower = select in ("loss", "perplexity")
    if not lower and select not in own_scores(run.model):
        lower = not getattr(metrics.get_class(select), "higher_is_better", True)
    return score < best if lower else score > best


def validate(run: TrainingRun) -> dict[str, Any]:
    """Return the weighted loss and the perplexity over the validation studies, and the score that selects the best.

    Raises OptionError if the score that selects is the perplexity and the decoder writes no words.
    """
    accelerator, settings = run.accelerator, run.settings
    run.model.eval()
    indices = list(range(len(run.val)))[accelerator.process_index :: accelerator.num_processes]
    mine = [indices[i : i + settings.batch_size] for i in range(0, len(indices), settings.batch_size)]
    reader = StudyReader(run.model.encoder.image, run.model.text, run.model.targets, run.cache)
    sums: list[tuple[int, float, int, float]] = []  # studies, weighted loss, words, nats
    own: list[dict[str, float]] = []  # the head's own scores, and how many studies they are means over
    with torch.no_grad(), accelerator.autocast():
        for batch in batches(run.val, reader, mine, workers=settings.workers):
            out = run.model(batch, remembered(run, batch))
            words = len(out.logits)
            nats = float(out.log["nats_per_word"]) * words if "nats_per_word" in out.log else math.nan
            sums.append((len(batch.ids), float(weighted(out.losses, settings.weights)) * len(batch.ids), words, nats))
            own.append({k: float(v) for k, v in out.log.items()})
    every = gather_object(sums)
    studies, total, words, nats = (sum(s[i] for s in every) for i in range(4))
    loss = total / studies
    scores = {"val_loss": loss, **mean_scores(run.model, gather_object(own))}
    if words and math.isfinite(nats):
        scores["perplexity"] = math.exp(min(nats / words, 700.0))
    elif settings.select == "perplexity":
        name = run.model.head.part_config["name"]
        raise OptionError(
            f"select=perplexity needs a decoder that writes words, and {name} writes none; use select=loss"
        )
    score = {**scores, "loss": loss}.get(settings.select)
    if score is None:
        score = scores[settings.select] = _metric(run)
    run.ready.train()
    return {**scores, "score": score}


def _metric(run: TrainingRun) -> float:
    """Return the selecting metric of reports that are written for the validation studies, a share by every process.

    A metric of words is given the words that the model's text recipe makes of reports and references. Raises DataError
    if no validation study has a reference text.
    """
    from ..registries import metrics

    mine = run.val[run.accelerator.process_index :: run.accelerator.num_processes]
    size = run.settings.batch_size
    encode = run.memory.encode if run.memory else None
    reports = run.model.iter_reports(mine, batch_size=size, precision="fp32", cache=run.cache, encode=encode)
    texts = dict(gather_object([(r.study, r.text) for r in reports]))
    references = {s.id: text for s in run.val if (text := s.text(run.model.text.sections))}
    if not references:
        raise DataError("no validation study has a reference text; select=loss needs none")
    scorer = metrics.create(run.settings.select)
    spec = run.model.text
    written = [text_for_metric(scorer, texts[id], spec) for id in references]
    wanted = [[text_for_metric(scorer, text, spec)] for text in references.values()]
    return scorer.compute(written, wanted).value


def _log(run: TrainingRun, log: RunLog | None, record: dict[str, Any]) -> None:
    if log is not None:
        log.write(record)
        track(run.accelerator, record)
        run.watch({**record, "batches": run.batches, "epochs": run.settings.epochs})


def _save_state(run: TrainingRun, progress: Progress) -> None:
    run.accelerator.wait_for_everyone()
    if run.accelerator.is_main_process:
        model, settings = run.model, _frozen(run.settings)
        save_state(run.out, model, run.optimizer, progress, settings, run.origin, model.targets, model.text)
    run.accelerator.wait_for_everyone()
