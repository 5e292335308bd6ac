"""Trackers and gradient checkpointing of training."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_processes import PLAIN, small
from test_training import studies

from reportgen_core import OptionError, TrainSettings, compose, train
from reportgen_core.data import StudyReader
from reportgen_core.data.batches import batches
from reportgen_core.text.spec import TextSpec
from reportgen_core.training import prepare_model, weighted
from reportgen_core.training.log import read_log
from reportgen_core.training.logs import trackers
from reportgen_core.training.logs.trackers import numbers_of, tracker_names
from reportgen_core.training.steps.checkpointing import checkpointed


def events(run: Path) -> dict[str, list[tuple[int, float]]]:
    """Return the numbers in the files of TensorBoard, as TensorBoard reads them."""
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    read = reading.EventAccumulator(str(run / "trackers" / "reportgen"))
    read.Reload()
    return {tag: [(e.step, e.value) for e in read.Scalars(tag)] for tag in read.Tags()["scalars"]}


def test_tensorboard_has_the_numbers_of_the_log_once_though_the_run_was_stopped(tmp_path) -> None:
    pytest.importorskip("tensorboard")
    data, val = studies(tmp_path), studies(tmp_path, 3, "val")
    settings = replace(PLAIN, epochs=1, log_with="tensorboard", save_every=0)

    def stop(record):
        if record["total"] == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(small(), data, val, out=tmp_path / "run", settings=replace(settings, epochs=2), watch=stop)
    train(small(), data, val, out=tmp_path / "run", settings=replace(settings, epochs=2), resume=True)
    records, curves = read_log(tmp_path / "run" / "log.jsonl"), events(tmp_path / "run")
    for kind, key in (
        ("step", "loss"),
        ("step", "lr"),
        ("epoch", "val_loss"),
        ("epoch", "train_loss"),
        ("epoch", "score"),
    ):
        wanted = [(r["total"], pytest.approx(r[key], rel=1e-6)) for r in records if r["kind"] == kind]
        assert curves[f"{kind}/{key}"] == wanted, key
    assert len(curves["step/loss"]) == 6 and any(name.startswith("step/losses/") for name in curves)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("tensorbord", r"has no log_with='tensorbord'; there are: aim, clearml, comet_ml, .*tensorboard"),
        ("tensorboard, nothing", r"has no log_with='nothing'"),
        ("comet_ml", r"log_with=comet_ml needs comet_ml: pip install comet-ml$"),
        ("tensorboard", r"needs tensorboard: pip install 'reportgen\[tracking\]'$"),
    ],
)
def test_a_tracker_that_is_not_known_or_not_installed_is_one_line_before_anything_is_read(
    tmp_path, monkeypatch, name: str, words: str
) -> None:
    monkeypatch.setattr(
        trackers, "get_available_trackers", lambda: [] if name != "tensorboard, nothing" else ["tensorboard"]
    )
    with pytest.raises(OptionError, match=words) as error:
        train(small(), [], out=tmp_path / "run", settings=TrainSettings(log_with=name))
    assert "\n" not in str(error.value) and not (tmp_path / "run").exists()


def test_numbers_of_a_record_are_named_by_its_kind_and_nothing_else_is_sent() -> None:
    record = {
        "kind": "step",
        "epoch": 1,
        "total": 7,
        "loss": 0.5,
        "losses": {"words": 0.25},
        "best": True,
        "score": None,
    }
    assert numbers_of(record) == {"step/loss": 0.5, "step/losses/words": 0.25}
    assert numbers_of({"kind": "note", "total": 1, "note": "text"}) == {} and tracker_names(" , ") == []


GPT = {"config": {"n_layer": 2, "n_head": 2, "n_embd": 16, "attn_pdrop": 0.1, "resid_pdrop": 0.1, "embd_pdrop": 0.1}}
SMALL = {"size": 64, "model_args": {"layers": [1, 1, 1, 1], "channels": [4, 4, 8, 8]}}


@pytest.mark.parametrize(
    ("encoder", "encoder_options", "decoder", "decoder_options"),
    [
        ("resnet18", SMALL, "gpt2", GPT),
        ("timm/convnext_atto", {"size": 32}, "gpt2", GPT),
        ("vit/vit_tiny_patch16_224", {"size": 32, "model_args": {"depth": 2}}, "llm", GPT),
    ],
    ids=["resnet", "convnext", "vit"],
)
def test_gradients_and_statistics_are_those_without_checkpointing(
    tmp_path, encoder, encoder_options, decoder, decoder_options
) -> None:
    """Dropout and batch norm in training mode; two batches, so that statistics are taken twice."""
    data = studies(tmp_path, 8)
    start = compose(
        encoder, decoder, encoder_options=encoder_options, decoder_options=decoder_options, text=TextSpec(max_length=12)
    )
    model = prepare_model(start, data)
    reader = StudyReader(model.encoder.image, model.text, model.targets)
    both = list(batches(data, reader, [[0, 1, 2, 3], [4, 5, 6, 7]]))
    first = {k: v.clone() for k, v in model.state_dict().items()}
    results = []
    for on in (False, True):
        model.load_state_dict(first)
        model.train()
        model.zero_grad()
        kept = [0]

        def count(tensor, kept=kept):
            kept[0] += tensor.numel() * tensor.element_size()
            return tensor

        with checkpointed(model, on) as lines, torch.autograd.graph.saved_tensors_hooks(count, lambda t: t):
            for n, batch in enumerate(both):
                torch.manual_seed(n)
                weighted(model(batch).losses, {}).backward()
        assert lines == ()
        results.append(
            (
                {k: p.grad.clone() for k, p in model.named_parameters() if p.grad is not None},
                kept[0],
                model.state_dict(),
            )
        )
    (plain, kept, states), (again, kept_again, states_again) = results
    assert plain.keys() == again.keys() and kept_again < kept
    for name, gradient in plain.items():
        torch.testing.assert_close(again[name], gradient, rtol=1e-5, atol=1e-7, msg=name)
    for name in states:
        assert torch.equal(states[name], states_again[name]), name


def test_a_part_that_cannot_compute_again_is_a_note_and_a_model_of_none_that_can_is_refused(tmp_path) -> None:
    data = studies(tmp_path, 4)
    settings = replace(PLAIN, epochs=1, freeze_encoder=False, checkpoint=True)
    records = []
    train(small(), data, out=tmp_path / "run", settings=settings, watch=records.append)
    notes = [r["note"] for r in records if r["kind"] == "note"]
    assert notes == ["checkpoint: lstm keeps its activations, as it cannot compute them again"]
    with pytest.raises(OptionError, match="checkpoint=true: lstm cannot compute activations again; leave it out"):
        train(small(), data, out=tmp_path / "two", settings=replace(settings, freeze_encoder=True))


def test_a_run_may_be_resumed_with_another_tracker_and_with_checkpointing(tmp_path) -> None:
    data = studies(tmp_path, 4)
    settings = replace(PLAIN, epochs=1, freeze_encoder=False)
    train(small(), data, out=tmp_path / "run", settings=settings)
    train(
        small(),
        data,
        out=tmp_path / "run",
        settings=replace(settings, epochs=2, checkpoint=True),
        resume=True,
        watch=lambda r: None,
    )
    state = json.loads((tmp_path / "run" / "state" / "state.json").read_text())
    assert state["progress"]["epoch"] == 2 and "log_with" not in state["settings"]
