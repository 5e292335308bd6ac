"""How `rg` ends: one line for what a user can act on, exit codes, and quiet where nobody listens."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from importlib import metadata

import click
import pytest
from reportgen_cli import main as frame
from reportgen_cli.main import BUILTIN, commands

from reportgen_core import DataError, Entry


def fails(error: BaseException) -> click.Command:
    @click.command()
    def command() -> None:
        raise error

    return command


@pytest.fixture
def raising(monkeypatch: pytest.MonkeyPatch):
    """A command `boom` that raises what it is given."""

    def register(error: BaseException) -> None:
        monkeypatch.setattr(frame, "BUILTIN", (*BUILTIN, Entry("boom", f"{__name__}:boom", "s")))
        monkeypatch.setitem(globals(), "boom", fails(error))

    return register


@pytest.mark.parametrize("entry", BUILTIN, ids=lambda e: e.name)
def test_every_command_of_ours_is_a_click_command_with_help(entry: Entry) -> None:
    from reportgen_core.registry import resolve

    command = resolve(entry.target)
    assert isinstance(command, click.Command)
    assert command.help
    assert list(commands()) == sorted(commands())


def test_an_error_that_a_user_can_act_on_is_one_line(rg, raising) -> None:
    raising(DataError("no file reports.csv in data"))
    done = rg("boom")
    assert (done.code, done.out, done.err) == (1, "", "rg: no file reports.csv in data\n")


def test_an_error_of_ours_keeps_its_traceback(rg, raising) -> None:
    raising(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        rg("boom")


def test_a_full_disk_is_one_line_that_names_the_file(rg, raising) -> None:
    raising(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "out/reports.jsonl"))
    done = rg("boom")
    assert (done.code, done.err) == (1, "rg: out/reports.jsonl: No space left on device\n")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort()])
def test_an_interruption_ends_with_130_and_no_traceback(rg, raising, error: BaseException) -> None:
    raising(error)
    done = rg("boom")
    assert done.code == 130
    assert "Traceback" not in done.err


def test_an_unknown_command_has_a_near_match_and_the_list(rg) -> None:
    done = rg("reprot")
    assert done.code == 2
    assert "no command 'reprot'; did you mean 'report'? there are: annotate, board, compare, completion" in done.err


def test_an_unknown_option_has_a_near_match(rg) -> None:
    done = rg("report", "--beam", "3", "x.png")
    assert done.code == 2
    assert "--beams" in done.err


@pytest.mark.parametrize(
    "arguments",
    [["eval", "--predictions", "FILE", "--references", "FILE"], ["annotate", "FILE", "--model", "m"],
     ["data", "abnormal", "FILE", "--train"], ["index", "build", "m", "--texts", "FILE"]],
    ids=" ".join,
)  # fmt: skip
def test_a_file_that_is_not_there_is_one_line(rg, tmp_path, arguments: list[str]) -> None:
    missing = str(tmp_path / "no.csv")
    done = rg(*[missing if a == "FILE" else a for a in arguments])
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert done.err.startswith("rg: ") and f"{missing!r} does not exist" in done.err


def test_an_unknown_kind_lists_the_kinds(rg) -> None:
    done = rg("list", "encodrs")
    assert done.code == 2
    assert "'encoders'" in done.err


@pytest.mark.parametrize("module", [["-m", "reportgen_cli"], ["-c", "from reportgen_cli.main import main; main()"]])
def test_the_module_is_the_command(module: list[str]) -> None:
    done = subprocess.run([sys.executable, *module, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"rg, version {metadata.version('reportgen')}\n"


def test_rg_and_reportgen_are_the_same_program() -> None:
    points = {p.name: p.value for p in metadata.entry_points(group="console_scripts") if p.name in ("rg", "reportgen")}
    assert points == {"rg": "reportgen_cli.main:main", "reportgen": "reportgen_cli.main:main"}


def test_a_reader_that_goes_away_leaves_no_noise() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "reportgen_cli", "list", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()  # before anything is written
        assert running.stderr.read() == b""


def missing_arguments() -> list[tuple[str, ...]]:
    """Return every command, and every command of a group, that needs an argument."""
    needed: list[tuple[str, ...]] = []
    for name, entry in commands().items():
        command = frame.resolve(entry.target)
        inner = command.commands if isinstance(command, click.Group) else {"": command}
        for word, one in inner.items():
            if any(p.required and isinstance(p, click.Argument) for p in one.params):
                needed.append((name, word) if word else (name,))
    return needed


@pytest.mark.parametrize("words", missing_arguments(), ids=" ".join)
def test_a_command_without_its_argument_says_what_is_missing(rg, words: tuple[str, ...]) -> None:
    done = rg(*words)
    assert done.code == 2
    assert "Missing argument '" in done.err


@pytest.mark.parametrize("group", ["data", "index", "plan", "study", "zoo"])
def test_the_help_of_a_group_cuts_no_sentence(rg, group: str) -> None:
    from reportgen_cli.terminal.groups import first_sentence

    done = rg(group, "--help")
    words = " ".join(done.out.split())
    assert "..." not in words.replace("[ARGS]...", "")
    for command in frame.resolve(commands()[group].target).commands.values():
        assert first_sentence(command.help) in words


def test_a_name_that_is_missing_may_be_of_a_plugin_that_was_left_out(rg, monkeypatch: pytest.MonkeyPatch) -> None:
    from reportgen_core import discovery

    broken = discovery.Plugin("hello", "hello-pack", "1", problem="unknown hook 'register_encoder'")
    manager, plugins = discovery.load_plugins()
    monkeypatch.setattr(frame, "load_plugins", lambda: (manager, {**plugins, broken.id: broken}))
    done = rg("info", "hello")
    assert done.code == 1
    assert done.err.rstrip().endswith("Left out with a problem: plugin hello; rg plugins says why")
    monkeypatch.setattr(frame, "load_plugins", lambda: (manager, plugins))
    assert "Left out" not in rg("info", "hello").err


def test_studies_without_a_split_name_the_options_that_draw_one(rg, tmp_path, chest, model) -> None:
    (tmp_path / "reports.csv").write_text("image,report\nchest.png,The lungs are clear.\n")
    done = rg("train", model, "--data", tmp_path / "reports.csv", "--epochs", 1, "--out", tmp_path / "run")
    assert done.code == 1
    assert "its 1 studies have no split; --data-option val=0.1 --data-option test=0.2 draws them by patient" in done.err
