"""Training: what a run writes, that it resumes to the same bits, that several processes do the work of one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from reportgen_core import DataError, OptionError, ReportgenError, Study, TrainSettings, View, compose, load, train
from reportgen_core.errors import CheckpointError
from reportgen_core.models.model import Model
from reportgen_core.text.spec import TextSpec
from reportgen_core.training.log import read_log
from reportgen_core.training.order import epoch_order, share

SMALL = {"size": 64, "model_args": {"growth_rate": 4, "block_config": [1, 1, 1, 1]}}
TEXTS = (
    "The heart is large. No effusion.",
    "Clear lungs.",
    "Right effusion. The heart is normal. No nodule.",
    "A nodule.",
)
SETTINGS = TrainSettings(epochs=3, batch_size=4, lr=0.01, save_every=1)


def studies(folder: Path, count: int = 10, split: str = "train") -> list[Study]:
    """Noise images, each with one of four reports."""
    folder.mkdir(parents=True, exist_ok=True)
    result = []
    for i in range(count):
        path = folder / f"{split}{i}.png"
        if not path.exists():
            pixels = np.random.default_rng(i).integers(0, 256, (70, 80)).astype(np.uint8)
            Image.fromarray(pixels).save(path)
        tags = ("large", "effusion", "nodule")[i % 3 :]
        result.append(Study(f"{split}{i}", (View(path, "frontal"),), {"findings": TEXTS[i % 4]}, tags, split=split))
    return result


def model(**options):
    return compose(
        encoder="densenet121",
        decoder="hier-lstm",
        encoder_options=SMALL,
        decoder_options={"hidden": 16, "embedding": 16, "tags_used": 2, **options},
        text=TextSpec(max_sentences=4, max_words=8),
    )


def weights(run: Path) -> dict[str, bytes]:
    return {k: v.numpy().tobytes() for k, v in load(run / "best").state_dict().items()}


def test_a_run_learns_and_leaves_a_model_a_log_and_a_picture(tmp_path):
    seen = []
    settings = replace(SETTINGS, epochs=12, save_every=0)
    best = train(
        model(),
        studies(tmp_path),
        studies(tmp_path, 4, "val"),
        out=tmp_path / "run",
        settings=settings,
        watch=seen.append,
    )
    records = read_log(tmp_path / "run" / "log.jsonl")
    epochs = [r for r in records if r["kind"] == "epoch"]
    assert len(epochs) == 12 and len([r for r in records if r["kind"] == "step"]) == 36
    assert epochs[-1]["train_loss"] < 0.6 * epochs[0]["train_loss"]
    assert min(r["val_loss"] for r in epochs) == [r for r in epochs if r["best"]][-1]["val_loss"]
    assert all(r["waited"] <= r["seconds"] for r in records if r["kind"] == "step")
    assert seen[0]["batches"] == 3 and seen[0]["epochs"] == 12
    assert Image.open(tmp_path / "run" / "curves.png").size[0] > 500
    assert "effusion" in best.vocabulary.words and set(best.tags) == {"large", "effusion", "nodule"}
    reports = best.report_studies(studies(tmp_path, 4, "val"))
    assert all(r.text for r in reports) and not best.training


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(tmp_path):
    data = studies(tmp_path)
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train(model(), data, out=tmp_path / name, settings=replace(SETTINGS, epochs=1, seed=seed))
    assert weights(tmp_path / "a") == weights(tmp_path / "b") != weights(tmp_path / "c")


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import torch
torch.set_num_threads(1)
from test_training import *
train(model(), studies(Path(sys.argv[1]), 8), studies(Path(sys.argv[1]), 4, "val"), out=sys.argv[2],
      settings=TrainSettings(**json.loads(sys.argv[3])), resume="--resume" in sys.argv)
"""


def command(tmp_path: Path, out: str, settings: TrainSettings, *launch: str) -> list[str]:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(tests=str(Path(__file__).parent)))
    start = ["-m", "accelerate.commands.launch", *launch] if launch else []
    return [sys.executable, *start, str(script), str(tmp_path), str(tmp_path / out), json.dumps(asdict(settings))]


@pytest.mark.slow
@pytest.mark.services  # half a minute
def test_a_run_killed_at_any_moment_resumes_to_the_same_bits(tmp_path):
    studies(tmp_path), studies(tmp_path, 4, "val")
    subprocess.run(command(tmp_path, "whole", SETTINGS), check=True)
    log, killed = tmp_path / "cut" / "log.jsonl", 0
    for wanted in (2, 5):  # kill it once so many lines are there, wherever it is then
        process = subprocess.Popen([*command(tmp_path, "cut", SETTINGS), "--resume"])
        while process.poll() is None and len(read_log(log)) < wanted:
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
    subprocess.run([*command(tmp_path, "cut", SETTINGS), "--resume"], check=True)
    assert killed == 2
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")
    resumed = [
        [r["total"] for r in read_log(tmp_path / run / "log.jsonl") if r["kind"] == "step"] for run in ("cut", "whole")
    ]
    assert resumed[0] == resumed[1] == list(range(1, 7))


@pytest.mark.slow
def test_two_processes_take_half_of_each_batch_and_end_with_one_model(tmp_path):
    """Two processes with batches of 2 make the steps of one with batches of 4, where nothing depends on the batch."""
    studies(tmp_path, 8), studies(tmp_path, 4, "val")
    plain = replace(SETTINGS, epochs=2, freeze_encoder=True, optimizer="sgd", momentum=0.0, save_every=0, clip=None)
    settings = replace(plain, batch_size=2)
    launch = (
        "--multi_gpu",
        "--num_processes",
        "2",
        "--num_machines",
        "1",
        "--mixed_precision",
        "no",
        "--dynamo_backend",
        "no",
    )
    environment = os.environ | {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    subprocess.run(command(tmp_path, "two", settings, *launch, "--main_process_port", "0"), check=True, env=environment)
    train(model(), studies(tmp_path, 8), studies(tmp_path, 4, "val"), out=tmp_path / "one", settings=plain)
    assert len([r for r in read_log(tmp_path / "two" / "log.jsonl") if r["kind"] == "step"]) == 4
    one, two = (load(tmp_path / n / "best").state_dict() for n in ("one", "two"))
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-4, atol=1e-6, msg=name)
    losses = [
        [r["val_loss"] for r in read_log(tmp_path / n / "log.jsonl") if r["kind"] == "epoch"] for n in ("one", "two")
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_shares_of_processes_are_disjoint_and_cover_the_order():
    order = epoch_order(10, seed=3, epoch=1)
    assert sorted(order) == list(range(10)) and order != epoch_order(10, 3, 2)
    one, two = share(order, 2, 0, 2), share(order, 2, 1, 2)
    assert [a + b for a, b in zip(one, two, strict=True)][:2] == [order[:4], order[4:8]]
    assert {i for batch in (*one, *two) for i in batch} == set(order) and len(one) == len(two) == 3
    assert share(order, 4, 0, 1) == [order[:4], order[4:8], order[8:]]


def test_resuming_with_other_settings_says_which(tmp_path):
    data = studies(tmp_path)
    train(model(), data, out=tmp_path / "run", settings=replace(SETTINGS, epochs=1))
    with pytest.raises(CheckpointError, match=r"lr=0.01, not 0.02"):
        train(model(), data, out=tmp_path / "run", settings=replace(SETTINGS, lr=0.02), resume=True)


def test_more_epochs_can_be_asked_for_when_resuming(tmp_path):
    data = studies(tmp_path)
    train(model(), data, out=tmp_path / "long", settings=replace(SETTINGS, epochs=2))
    train(model(), data, out=tmp_path / "run", settings=replace(SETTINGS, epochs=1))
    state = json.loads((tmp_path / "run" / "state" / "state.json").read_text())
    assert state["progress"]["epoch"] == 1
    train(model(), data, out=tmp_path / "run", settings=replace(SETTINGS, epochs=2), resume=True)
    assert weights(tmp_path / "run") == weights(tmp_path / "long")


def test_accumulated_batches_step_like_one_large_batch(tmp_path):
    """Without dropout or batch statistics (a frozen encoder), four batches of 2 are one of 8."""
    data = studies(tmp_path, 8)
    plain = replace(SETTINGS, epochs=1, freeze_encoder=True, optimizer="sgd", momentum=0.0, save_every=0, clip=None)
    train(model(attention="none"), data, out=tmp_path / "one", settings=replace(plain, batch_size=8))
    train(model(attention="none"), data, out=tmp_path / "four", settings=replace(plain, batch_size=2, accumulate=4))
    one, four = (load(tmp_path / n / "best").state_dict() for n in ("one", "four"))
    for name, value in one.items():
        torch.testing.assert_close(four[name], value, rtol=1e-4, atol=1e-6, msg=name)


def test_a_frozen_encoder_keeps_weights_and_statistics(tmp_path):
    start = model()
    before = {k: v.clone() for k, v in start.encoder.state_dict().items()}
    after = train(
        start, studies(tmp_path), out=tmp_path / "run", settings=replace(SETTINGS, freeze_encoder=True, epochs=1)
    )
    assert all(torch.equal(v, before[k]) for k, v in after.encoder.state_dict().items())


def test_losses_can_be_stepped_apart_and_weighted(tmp_path):
    settings = replace(SETTINGS, epochs=1, steps=[["tag"], []], weights={"tag": 0.5, "attention": 0.0})
    train(model(), studies(tmp_path), out=tmp_path / "run", settings=settings)
    record = read_log(tmp_path / "run" / "log.jsonl")[0]
    assert set(record["losses"]) == {"tag", "sent", "word", "attention"}
    wanted = 0.5 * record["losses"]["tag"] + record["losses"]["sent"] + record["losses"]["word"]
    assert record["loss"] == pytest.approx(wanted)


def test_a_step_on_a_loss_that_is_not_there_names_those_that_are(tmp_path):
    with pytest.raises(OptionError, match=r"asks for loss 'tags'; this model has"):
        train(model(), studies(tmp_path), out=tmp_path / "run", settings=replace(SETTINGS, steps=[["tags"]]))


def test_the_encoder_has_a_rate_of_its_own(tmp_path):
    start = model()
    before = {k: v.clone() for k, v in start.encoder.named_parameters()}
    after = train(start, studies(tmp_path), out=tmp_path / "run", settings=replace(SETTINGS, encoder_lr=0.0, epochs=1))
    assert all(torch.equal(v, before[k]) for k, v in after.encoder.named_parameters())


def test_patience_ends_a_run_that_gets_no_better(tmp_path):
    settings = replace(SETTINGS, epochs=50, patience=2, lr=0.0, encoder_lr=0.0, freeze_encoder=True, save_every=0)
    train(model(), studies(tmp_path), studies(tmp_path, 4, "val"), out=tmp_path / "run", settings=settings)
    assert len([r for r in read_log(tmp_path / "run" / "log.jsonl") if r["kind"] == "epoch"]) == 3


def test_data_without_tags_says_what_is_missing(tmp_path):
    bare = [replace(s, tags=()) for s in studies(tmp_path)]
    with pytest.raises(DataError, match=r"hier-lstm needs tags, and no training study has tags"):
        train(model(), bare, out=tmp_path / "run", settings=SETTINGS)


def test_a_model_that_writes_nothing_has_no_perplexity_and_cannot_be_selected_by_it(tmp_path):
    def labelled(split: str) -> list[Study]:
        rows = studies(tmp_path / "images", 4, split)
        return [replace(s, labels={"large": float(i % 2)}) for i, s in enumerate(rows)]

    def blind(out: str, **settings):
        looks = compose(encoder="densenet121", decoder="chestxray8", encoder_options=SMALL)
        run_settings = replace(SETTINGS, epochs=1, **settings)
        return train(looks, labelled("train"), labelled("val"), settings=run_settings, out=tmp_path / out)

    blind("run")
    log = (tmp_path / "run" / "log.jsonl").read_text()
    assert "val_loss" in log and "perplexity" not in log and "NaN" not in log
    with pytest.raises(OptionError, match="select=perplexity needs a decoder that writes words"):
        blind("other", select="perplexity")


@pytest.mark.parametrize("metric", ["bleu", "rouge-l"])
def test_a_score_of_words_that_selects_is_perfect_for_a_model_that_writes_the_references(
    metric: str, tmp_path: Path
) -> None:
    report = "The heart is LARGE. Right effusion, small."
    learn, held_out = (
        [replace(s, sections={"findings": report}) for s in studies(tmp_path, 8, split)] for split in ("train", "val")
    )
    parrot = compose(
        "densenet121", "lstm", encoder_options=SMALL, decoder_options={"hidden": 16, "embedding": 16},
        text=TextSpec(max_sentences=4, max_words=8),
    )  # fmt: skip
    settings = replace(SETTINGS, epochs=15, lr=0.05, save_every=0, select=metric, validate_every=15)
    train(parrot, learn, held_out, out=tmp_path / "run", settings=settings)
    scores = [r for r in read_log(tmp_path / "run" / "log.jsonl") if r["kind"] == "epoch"]
    assert scores[-1]["perplexity"] < 1.2
    assert scores[-1][metric] == pytest.approx(1.0)


def test_a_loss_that_is_not_finite_stops_the_run_with_its_name(tmp_path):
    start = model()
    with torch.no_grad():
        next(start.encoder.parameters()).fill_(float("nan"))
    with pytest.raises(ReportgenError, match=r"batch 0: loss .* is nan"):
        train(start, studies(tmp_path), out=tmp_path / "run", settings=SETTINGS)


def test_training_leaves_the_callers_random_state_alone(tmp_path):
    torch.manual_seed(5)
    want = torch.rand(3)
    torch.manual_seed(5)
    train(model(), studies(tmp_path, 4), out=tmp_path / "run", settings=replace(SETTINGS, epochs=1))
    assert torch.equal(torch.rand(3), want)


@pytest.mark.parametrize("wrong", [{"lrr": 1}, {"optimizer": "adm"}, {"epochs": 0}])
def test_wrong_settings_are_named(wrong):
    with pytest.raises(OptionError, match=next(iter(wrong))):
        TrainSettings.of(wrong)


def test_features_of_a_fixed_encoder_are_computed_once_a_study_and_teach_the_same(tmp_path, monkeypatch):
    """With the encoder's own features in every epoch, against kept ones; a batch may change their last digits."""
    learn, held = studies(tmp_path, 8), studies(tmp_path, 4, "val")
    fixed = {**SMALL, "frozen": 5}
    seen = []
    encode = Model.encode
    monkeypatch.setattr(Model, "encode", lambda self, batch: seen.extend(batch.ids) or encode(self, batch))
    states = []
    for keep in (False, True):
        start = compose(encoder="densenet121", encoder_options=fixed, decoder="hier-lstm", text=model().text,
                        decoder_options={"hidden": 16, "embedding": 16, "tags_used": 2})  # fmt: skip
        seen.clear()
        settings = replace(SETTINGS, epochs=3, save_every=0, keep_features=keep)
        states.append(train(start, learn, held, out=tmp_path / f"run{keep}", settings=settings).state_dict())
        assert len(seen) == (12 if keep else 3 * 12)
    for name, value in states[0].items():
        torch.testing.assert_close(states[1][name], value, rtol=1e-3, atol=1e-4, msg=name)


def test_kept_features_are_the_runs_and_not_the_callers(tmp_path):
    """After training with kept features a new image under an old id has features of its own."""
    learn = studies(tmp_path, 6)
    start = compose(encoder="densenet121", encoder_options={**SMALL, "frozen": 5}, decoder="hier-lstm",
                    text=model().text, decoder_options={"hidden": 16, "embedding": 16, "tags_used": 2})  # fmt: skip
    train(start, learn, out=tmp_path / "run", settings=replace(SETTINGS, epochs=1, keep_features=True))
    trained = load(tmp_path / "run")
    for made in (start, trained):
        swapped = [replace(learn[1], id=learn[0].id)]
        own = made.pooled_features([learn[1]])[learn[1].id]
        assert (made.pooled_features(swapped)[learn[0].id] == own).all()


def test_kept_features_hold_the_tags_of_the_encoder(tmp_path):
    """DiTag with tag classifiers of its own is trained alike, with and without kept features."""
    options = {"inner": "densenet121", "inner_options": SMALL, "tags": True, "width": 8}
    learn = studies(tmp_path, 6)
    learn[0] = replace(learn[0], tags=("normal",), views=(replace(learn[0].views[0], projection="frontal"),))
    finals = []
    for keep in (False, True):
        start = compose(encoder="ditag", encoder_options=options, decoder="hier-lstm", text=model().text,
                        decoder_options={"hidden": 16, "embedding": 16, "tags_used": 2})  # fmt: skip
        settings = replace(SETTINGS, epochs=2, freeze_encoder=True, keep_features=keep)
        finals.append(train(start, learn, out=tmp_path / f"run{keep}", settings=settings).state_dict())
    for name, value in finals[0].items():
        torch.testing.assert_close(finals[1][name], value, rtol=1e-3, atol=1e-4, msg=name)
