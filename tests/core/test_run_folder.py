"""The folder of a training run: one run at a time, no leftovers, and a resumed run that says what is different."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from test_training import SETTINGS, model, studies, weights

from reportgen_core import Study, TrainSettings, load, train
from reportgen_core.errors import CheckpointError
from reportgen_core.training.lock import LOCK, lock_run
from reportgen_core.training.log import read_log
from reportgen_core.training.prepare import prepare_model

ONE = replace(SETTINGS, epochs=1, save_every=0)
TWO = replace(ONE, epochs=2)

HOLDER = """
import multiprocessing, sys, time
from pathlib import Path
from reportgen_core.training.lock import lock_run
with lock_run(Path(sys.argv[1])):
    worker = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,), daemon=True)
    worker.start()  # as a loader's worker, which outlives a killed process for a while
    print(worker.pid, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process, with a worker, that holds the lock of RUN."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path / "run")], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    worker = int(process.stdout.readline())
    yield process
    process.kill()
    process.wait()
    os.kill(worker, signal.SIGKILL)


def test_a_second_run_in_a_folder_is_refused_in_one_line_that_names_the_first(tmp_path, holder) -> None:
    for resume in (False, True):
        with pytest.raises(CheckpointError) as refused:
            train(model(), studies(tmp_path, 4), out=tmp_path / "run", settings=ONE, resume=resume)
        message = str(refused.value)
        assert message.startswith(f"cannot train in {tmp_path / 'run'}: process {holder.pid} on ")
        assert message.endswith(" trains there; wait for its end, or choose another --out") and "\n" not in message
    assert [p.name for p in (tmp_path / "run").iterdir()] == [LOCK], "the second run wrote into the folder"


def test_a_killed_process_gives_its_lock_back_at_once_though_its_workers_live(tmp_path, holder) -> None:
    holder.kill()
    holder.wait()
    train(model(), studies(tmp_path, 4), out=tmp_path / "run", settings=ONE)
    assert not (tmp_path / "run" / LOCK).exists()


def test_two_threads_of_a_process_are_two_runs(tmp_path) -> None:
    refused: list[str] = []

    def second() -> None:
        try:
            with lock_run(tmp_path / "run"):
                pass
        except CheckpointError as e:
            refused.append(str(e))

    with lock_run(tmp_path / "run"), lock_run(tmp_path / "run"):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert len(refused) == 1 and "another thread" in refused[0]
    second()
    assert len(refused) == 1


def test_the_other_processes_of_one_run_need_no_lock_of_their_own(tmp_path, holder, monkeypatch) -> None:
    monkeypatch.setenv("RANK", "1")
    with lock_run(tmp_path / "run"):
        pass


def test_a_run_that_fails_before_it_wrote_leaves_no_folder(tmp_path) -> None:
    with pytest.raises(Exception, match="no study to train on"):
        train(model(), [], out=tmp_path / "run", settings=ONE)
    assert not (tmp_path / "run").exists()


def test_a_lock_that_is_a_link_is_not_followed(tmp_path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / LOCK).symlink_to(tmp_path / "other")
    with pytest.raises(CheckpointError, match="cannot train in"):
        train(model(), studies(tmp_path, 4), out=tmp_path / "run", settings=ONE)
    assert not (tmp_path / "other").exists()


def test_folders_that_killed_saves_left_are_swept_and_others_stay(tmp_path) -> None:
    run = tmp_path / "run"
    train(model(), studies(tmp_path, 4), out=run, settings=ONE)
    for name in (".state.ab12cd_9", ".best.zzzz0000", ".state.old", "notes", ".stately"):
        (run / name).mkdir(parents=True)
        (run / name / "file").write_text("x")
    (run / ".state.link").symlink_to(tmp_path)
    train(model(), studies(tmp_path, 4), out=run, settings=TWO, resume=True)
    left = {p.name for p in run.iterdir()}
    assert left == {"best", "state", "log.jsonl", "curves.png", "notes", ".stately", ".state.link"}


def resumed(folder: Path, data: list[Study], val: list[Study] = [], settings: TrainSettings = TWO) -> list[str]:  # noqa: B006
    """Return the notes of a run that is resumed, as its watcher and its log have them."""
    records = []
    train(model(), data, val, out=folder / "run", settings=settings, resume=True, watch=records.append)
    notes = [r["note"] for r in records if r["kind"] == "note"]
    assert [r["note"] for r in read_log(folder / "run" / "log.jsonl") if r["kind"] == "note"][-len(notes) :] == notes
    return notes


def test_a_run_resumed_with_the_same_data_in_another_folder_says_nothing(tmp_path) -> None:
    train(model(), studies(tmp_path / "a"), out=tmp_path / "run", settings=ONE)
    assert resumed(tmp_path, studies(tmp_path / "b")) == []


def test_a_run_resumed_with_other_studies_says_so_before_it_goes_on(tmp_path) -> None:
    data = studies(tmp_path)
    train(model(), data, out=tmp_path / "run", settings=ONE)
    words = load(tmp_path / "run").vocabulary.words
    vocabulary, note = resumed(tmp_path, data[:7])
    assert "keeps the vocabulary it was started with (17 words, 3 tags" in vocabulary
    assert "was started with 10 training studies, now 7: the interrupted epoch begins again" in note
    kinds = [r["kind"] for r in read_log(tmp_path / "run" / "log.jsonl")]
    assert kinds == ["step"] * 3 + ["epoch", "note", "note"] + ["step"] * 2 + ["epoch"]
    assert load(tmp_path / "run").vocabulary.words == words


@pytest.mark.parametrize(
    "change",
    [{"sections": {"findings": "A nodule. Clear lungs."}}, {"labels": {"large": 1.0}}, {"id": "other"}, {"views": ()}],
    ids=lambda change: next(iter(change)),
)
def test_a_study_that_differs_in_anything_is_another(tmp_path, change) -> None:
    from reportgen_core.training.state import origin_of

    data = studies(tmp_path, 4)
    first = origin_of(model().targets, data, (), 1)
    second = origin_of(model().targets, [replace(data[0], **change), *data[1:]], (), 1)
    assert [k for k in first if first[k] != second[k]] == ["training studies"]


def test_a_run_resumed_on_other_validation_studies_forgets_the_best_score(tmp_path) -> None:
    data = studies(tmp_path)
    train(model(), data, studies(tmp_path, 4, "val"), out=tmp_path / "run", settings=ONE)
    worse = replace(TWO, lr=0.01)
    (note,) = resumed(tmp_path, data, studies(tmp_path, 3, "other"), worse)
    assert "4 validation studies, now 3: earlier scores are not compared with new ones" in note
    assert [r["best"] for r in read_log(tmp_path / "run" / "log.jsonl") if r["kind"] == "epoch"] == [True, True]


def changed_state(run: Path, name: str, value: object) -> None:
    path = run / "state" / "state.json"
    state = json.loads(path.read_text())
    state["origin"][name] = value
    path.write_text(json.dumps(state))


def test_another_number_of_processes_is_told_and_other_steps_are_refused(tmp_path) -> None:
    data = studies(tmp_path)
    train(model(), data, out=tmp_path / "run", settings=ONE)
    changed_state(tmp_path / "run", "processes", {"count": 2})
    (note,) = resumed(tmp_path, data, settings=replace(TWO, batch_size=8))
    then, now = "batch_size=4 x 2 processes x accumulate=1", "batch_size=8 x 1 process x accumulate=1"
    wanted = f"8 studies a step ({then}), now 8 studies a step ({now}): the order of the studies is kept"
    assert note == f"{tmp_path / 'run'} was started with {wanted}"
    with pytest.raises(
        CheckpointError, match=r"not 4 studies a step .*; choose batch_size and accumulate that make 8 "
    ):
        resumed(tmp_path, data)


def test_a_model_with_another_vocabulary_is_refused_before_a_weight_is_read(tmp_path) -> None:
    data = studies(tmp_path)
    train(model(), data, out=tmp_path / "run", settings=ONE)
    before = weights(tmp_path / "run")
    other = [replace(s, sections={"findings": s.sections["findings"].replace("nodule", "tubercle")}) for s in data]
    with_words = prepare_model(model(), other)
    with pytest.raises(
        CheckpointError, match=r"cannot resume .*run with another vocabulary: .* other words \(\d+ then"
    ):
        train(with_words, other, out=tmp_path / "run", settings=TWO, resume=True)
    assert weights(tmp_path / "run") == before


def test_a_note_that_nobody_watches_is_a_warning(tmp_path) -> None:
    data = studies(tmp_path)
    train(model(), data, out=tmp_path / "run", settings=ONE)
    with pytest.warns(UserWarning, match="10 training studies, now 8"):
        train(model(), data[:8], out=tmp_path / "run", settings=TWO, resume=True)


def test_a_state_of_an_older_version_resumes_and_says_what_was_not_checked(tmp_path) -> None:
    data = studies(tmp_path)
    train(model(), data, out=tmp_path / "run", settings=ONE)
    path = tmp_path / "run" / "state" / "state.json"
    state = json.loads(path.read_text())
    del state["origin"], state["vocabulary"]
    path.write_text(json.dumps(state))
    (note,) = resumed(tmp_path, data)
    assert "saved by an older version" in note
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(model(), data, out=tmp_path / "run", settings=TWO, resume=True)
