"""Lines that say how far a command is, where stderr is no terminal."""

from __future__ import annotations

import sys
import threading
import time

import click
import pytest
from reportgen_cli.render import TrainingProgress
from reportgen_cli.terminal import progress
from reportgen_cli.terminal.echo import ERASE, say
from reportgen_cli.terminal.progress import Heartbeat, duration


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines come a hundred times a second."""
    monkeypatch.setattr(progress, "FIRST", 0.01)
    monkeypatch.setattr(progress, "MOST", 0.01)


def wait_for(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    seen, end = "", time.monotonic() + 20
    while text not in seen:
        assert time.monotonic() < end, f"no {text!r} in {seen!r}"
        time.sleep(0.01)
        seen += capsys.readouterr().err


def test_a_command_that_takes_long_says_what_it_does_and_how_far_it_is(quick, capsys) -> None:
    with Heartbeat("report") as heartbeat:
        wait_for("rg report: at work, 0 s\n", capsys)
        heartbeat.say("reading the model")
        wait_for("rg report: reading the model, 0 s\n", capsys)
        values = heartbeat.count(range(3), "studies", 3)
        next(values)
        wait_for("rg report: 0 of 3 studies, 0 s\n", capsys)
        next(values)
        wait_for("rg report: 1 of 3 studies, 0 s, about 0 s left\n", capsys)
        assert list(values) == [2]
    assert capsys.readouterr().err.endswith("rg report: 3 of 3 studies, 0 s\n")


def test_a_count_without_a_total_has_no_time_left(quick, capsys) -> None:
    with Heartbeat("annotate") as heartbeat:
        heartbeat.done = 1200
        for _ in heartbeat.count(range(2), "rows"):
            pass
    assert capsys.readouterr().err.endswith("rg annotate: 2 rows, 0 s\n")


def test_a_quick_command_of_one_study_a_failed_one_and_a_terminal_get_no_line(monkeypatch, capsys) -> None:
    with Heartbeat("report") as heartbeat:
        list(heartbeat.count([1], "studies", 1))
    with pytest.raises(StopIteration), Heartbeat("report") as heartbeat:
        next(iter([list(heartbeat.count([1, 2], "studies", 2))][1:]))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with Heartbeat("report") as heartbeat:
        list(heartbeat.count([1, 2], "studies", 2))
    assert capsys.readouterr().err == ""


def test_the_lines_of_a_long_command_get_rare(monkeypatch, capsys) -> None:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    heartbeat = Heartbeat("train")
    pauses: list[float] = []

    def wait(seconds: float) -> bool:
        pauses.append(seconds)
        now[0] += seconds
        return now[0] > 4 * 3600

    monkeypatch.setattr(heartbeat._stop, "wait", wait)
    heartbeat._beat()
    assert pauses[:4] == [5, 5, 5, 7.5] and max(pauses) == 60 and len(pauses) < 4 * 60 + 20


def test_a_training_step_and_a_note_are_told(quick, capsys) -> None:
    step = {"kind": "step", "epoch": 1, "epochs": 30, "at": 1.03, "batches": 4000, "loss": 2.5}
    with TrainingProgress() as shown:
        shown({"kind": "note", "note": "run was started with 2 processes, now 1"})
        shown(step)
        wait_for("note: run was started with 2 processes, now 1\n", capsys)
        wait_for("rg train: epoch 2 of 30, batch 120 of 4000, loss 2.500, 0 s\n", capsys)
    with TrainingProgress(shown=False) as hidden:
        hidden({"kind": "note", "note": "said by the first process"})
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min"), (130, "2 min 10 s"), (11100, "3 h 5 min"), (3600, "1 h")],
)
def test_a_time_is_written_for_a_reader(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_terminal_has_a_status_with_a_bar_that_every_message_removes(monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(progress, "LIVE", 0.01)
    monkeypatch.setenv("COLUMNS", "80")
    drawn = threading.Event()
    show = progress.show_status
    monkeypatch.setattr(progress, "show_status", lambda text: (show(text), drawn.set() if text else None))
    with Heartbeat("eval") as heartbeat:
        counted = heartbeat.count(range(4), "studies", 4)
        next(counted), next(counted), next(counted)
        drawn.clear()
        assert drawn.wait(10)
        say("a message", err=True)
    err = capsys.readouterr().err
    assert "━━━━━━━━━━──────────  rg eval: 2 of 4 studies" in err  # two of four: half of the bar
    assert f"{ERASE}a message\n" in err
    assert err.rpartition("\n")[2] in ("", ERASE) or err.endswith(ERASE)
    assert max(map(len, err.split(ERASE))) <= 79


def test_a_command_with_a_bar_of_its_own_has_no_status(monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(progress, "LIVE", 0.001)
    with Heartbeat("train", live=False) as heartbeat:
        list(heartbeat.count(range(3), "epochs", 3))
        assert not heartbeat.shown
    assert capsys.readouterr().err == ""


def test_the_bar_of_a_training_run_is_not_red_like_an_error(monkeypatch) -> None:
    from rich.progress import BarColumn

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with TrainingProgress() as progress:
        progress({"kind": "step", "epoch": 0, "epochs": 1, "loss": 1.0, "at": 0.5, "batches": 2})
        (bar,) = [column for column in progress.bar.columns if isinstance(column, BarColumn)]
    assert {bar.complete_style, bar.finished_style} == {"blue", "green"}


def test_progress_names_the_command_that_the_user_wrote(quick, capsys) -> None:
    group = click.Group(
        "rg", {"zoo": click.Group("zoo", {"pull": click.Command("pull")}), "explain": click.Command("explain")}
    )
    root = click.Context(group, info_name="rg")
    explain = click.Context(group.commands["explain"], root, "explain")
    with click.Context(click.Command("report"), explain, "report"):  # rg explain calls rg report
        assert progress.running() == "explain" and Heartbeat("report").command == "rg explain"
    zoo = click.Context(group.commands["zoo"], root, "zoo")
    with click.Context(click.Command("pull"), zoo, "pull"):
        assert progress.running() == "zoo pull"
    assert progress.running() == "" and Heartbeat("report").command == "rg report"
    with TrainingProgress(command="reportgen.train") as shown:
        shown.heartbeat.say("epoch 1 of 2")
        wait_for("reportgen.train: epoch 1 of 2, 0 s\n", capsys)


def test_no_line_comes_after_results_on_the_screen(capsys) -> None:
    with Heartbeat("report", last=False) as heartbeat:
        list(heartbeat.count([1, 2], "studies", 2))
    assert capsys.readouterr().err == ""
