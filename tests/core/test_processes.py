"""A run on several processes: the order of the studies, the weight of each, and going on with another number."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from test_training import studies

from reportgen_core import Model, TrainSettings, compose, load, train
from reportgen_core.text.spec import TextSpec
from reportgen_core.training import loop
from reportgen_core.training.log import read_log
from reportgen_core.training.order import Pace, epoch_order, share

SMALL = {"size": 64, "model_args": {"layers": [1, 1, 1, 1], "channels": [4, 4, 8, 8]}}
PLAIN = TrainSettings(epochs=2, batch_size=4, lr=0.05, optimizer="sgd", freeze_encoder=True, save_every=1)


def small(encoder: str = "resnet18") -> Model:
    """A model without dropout."""
    options = {"hidden": 8, "embedding": 8, "dropout": 0.0}
    return compose(encoder, "lstm", encoder_options=SMALL, decoder_options=options, text=TextSpec(max_length=12))


PACES = (Pace(8, 1, 1), Pace(4, 2, 1), Pace(2, 4, 1), Pace(2, 2, 2), Pace(4, 1, 2), Pace(1, 1, 8))


@pytest.mark.parametrize("pace", PACES, ids=str)
@pytest.mark.parametrize("count", [1, 7, 8, 9, 21, 24])
def test_every_study_comes_once_an_epoch_in_the_same_steps_and_counts_alike(pace: Pace, count: int) -> None:
    order = epoch_order(count, 3, 0)
    shares = [share(order, pace.batch_size, p, pace.processes) for p in range(pace.processes)]
    assert {len(one) for one in shares} == {pace.batches(count)}
    for step, at in enumerate(range(0, count, pace.total)):
        weights: Counter[int] = Counter()
        batches = range(step * pace.accumulate, min((step + 1) * pace.accumulate, pace.batches(count)))
        for batch in batches:
            for process, one in enumerate(shares):
                share_of_mean = pace.weight(count, batch, process) / pace.processes / len(one[batch])
                weights.update(dict.fromkeys(one[batch], share_of_mean))
        wanted = order[at : at + pace.total]
        assert {i for i, w in weights.items() if w} == set(wanted)
        assert all(weights[i] == pytest.approx(1 / len(wanted)) for i in wanted), "a step is the mean over its studies"
    assert pace.steps(count) == step + 1


def recorded(monkeypatch: pytest.MonkeyPatch, stop: int = 0) -> list[tuple[int, tuple[str, ...]]]:
    """Record the studies of each batch with its number, and stop before the batch after `stop`."""
    batches: list[tuple[int, tuple[str, ...]]] = []
    step = loop._step

    def stepped(run, batch, progress):
        if stop and progress.total == stop:
            raise KeyboardInterrupt
        batches.append((progress.total, batch.ids))
        return step(run, batch, progress)

    monkeypatch.setattr(loop, "_step", stepped)
    return batches


def weights_of(run: Path) -> torch.Tensor:
    return torch.cat([v.flatten().double() for v in load(run / "best").state_dict().values()])


@pytest.mark.parametrize(("first", "then", "bucket"), [((4, 1), (2, 2), 0), ((2, 2), (4, 1), 2), ((1, 4), (2, 2), 0)])
def test_a_stopped_run_goes_on_in_other_batches_with_the_studies_that_were_left(
    tmp_path, monkeypatch, first, then, bucket
) -> None:
    """The run stops in its second epoch, and one that was never stopped ends with the same weights."""
    data = studies(tmp_path, 10)
    (size, accumulate), (new_size, new_accumulate) = first, then
    settings = replace(PLAIN, batch_size=size, accumulate=accumulate, bucket=bucket, schedule="linear")
    per_epoch = Pace(size, 1, accumulate).batches(10)
    with monkeypatch.context() as patch:
        before = recorded(patch, stop=per_epoch + accumulate)
        with pytest.raises(KeyboardInterrupt):
            train(small(), data, out=tmp_path / "cut", settings=settings)
    with monkeypatch.context() as patch:
        after = recorded(patch)
        changed = replace(settings, batch_size=new_size, accumulate=new_accumulate)
        train(small(), data, out=tmp_path / "cut", settings=changed, resume=True)
    second = [id for total, ids in before if total >= per_epoch for id in ids] + [id for _, ids in after for id in ids]
    with monkeypatch.context() as patch:
        whole = recorded(patch)
        train(small(), data, out=tmp_path / "whole", settings=settings)
    assert second == [id for total, ids in whole if total >= per_epoch for id in ids] and len(second) == 10
    assert torch.allclose(weights_of(tmp_path / "cut"), weights_of(tmp_path / "whole"), rtol=0, atol=1e-6)
    totals = [r["total"] for r in read_log(tmp_path / "cut" / "log.jsonl") if r["kind"] == "step"]
    assert totals == sorted(totals) and totals[-1] == 2 * Pace(new_size, 1, new_accumulate).batches(10)


def test_a_state_is_never_saved_between_two_batches_of_a_step(tmp_path, monkeypatch) -> None:
    saved = []
    monkeypatch.setattr(loop, "_save_state", lambda run, progress: saved.append(progress.step))
    train(
        small(),
        studies(tmp_path, 10),
        out=tmp_path / "run",
        settings=replace(PLAIN, epochs=1, batch_size=1, accumulate=3),
    )
    assert saved == [3, 6, 9, 0]


SCRIPT = """
import json, os, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import torch
torch.set_num_threads(1)
from test_processes import TrainSettings, loop, small, studies, train
folder, out, settings, stop = Path(sys.argv[1]), Path(sys.argv[2]), TrainSettings(**json.loads(sys.argv[3])), int(sys.argv[4])
rank, step = os.environ.get("RANK", "0"), loop._step

def stepped(run, batch, progress):
    weight = run.pace.weight(len(run.train), progress.step, run.accelerator.process_index)
    if stop and progress.total == stop:
        os._exit(9)
    with open(f"{{out}}.{{rank}}.jsonl", "a") as file:
        file.write(json.dumps([progress.total, list(batch.ids) if weight else []]) + "\\n")
    return step(run, batch, progress)

loop._step = stepped
train(small(), studies(folder, 10), studies(folder, 3, "val"), out=out, settings=settings, resume="--resume" in sys.argv)
"""


def run(tmp_path: Path, out: str, processes: int, stop: int = 0, *flags: str) -> int:
    """Train in so many processes with 4 studies a step, and return the exit code."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(tests=str(Path(__file__).parent)))
    launch = ["--multi_gpu", "--num_processes", str(processes), "--num_machines", "1", "--mixed_precision", "no",
              "--dynamo_backend", "no", "--main_process_port", "0"]  # fmt: skip
    start = ["-m", "accelerate.commands.launch", *launch] if processes > 1 else []
    settings = json.dumps(asdict(replace(PLAIN, batch_size=4 // processes)))
    command = [sys.executable, *start, str(script), str(tmp_path), str(tmp_path / out), settings, str(stop), *flags]
    return subprocess.run(
        command, env=os.environ | {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}, timeout=600
    ).returncode


def steps_of(tmp_path: Path, out: str, processes: int) -> list[list[str]]:
    """Return the studies of each step, over all processes, in the order of the processes."""
    lines = [json.loads(x) for p in range(processes) for x in (tmp_path / f"{out}.{p}.jsonl").read_text().splitlines()]
    totals = sorted({total for total, _ in lines})
    return [[id for at, ids in lines if at == total for id in ids] for total in totals]


@pytest.mark.services
def test_runs_of_one_two_and_four_processes_make_the_same_steps_and_each_goes_on_where_another_stopped(
    tmp_path,
) -> None:
    """Ten studies in steps of four: the last step has two, so that processes of four have none."""
    studies(tmp_path, 10), studies(tmp_path, 3, "val")
    for out, processes in (("one", 1), ("four", 4)):
        assert run(tmp_path, out, processes) == 0
    for out, first, then in (("up", 1, 2), ("down", 2, 1)):
        assert run(tmp_path, out, first, 4) != 0, "it stops after the first step of the second epoch"
        stopped = steps_of(tmp_path, out, first)
        for process in range(first):
            (tmp_path / f"{out}.{process}.jsonl").unlink()
        assert run(tmp_path, out, then, 0, "--resume") == 0
        assert stopped + steps_of(tmp_path, out, then) == steps_of(tmp_path, "one", 1)
    assert steps_of(tmp_path, "four", 4) == steps_of(tmp_path, "one", 1)
    assert [len(step) for step in steps_of(tmp_path, "one", 1)] == [4, 4, 2, 4, 4, 2]
    one = weights_of(tmp_path / "one")
    for out in ("four", "up", "down"):
        assert float((weights_of(tmp_path / out) - one).abs().max()) < 1e-6, out
    losses = [
        [r["val_loss"] for r in read_log(tmp_path / out / "log.jsonl") if r["kind"] == "epoch"]
        for out in ("one", "four")
    ]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)
