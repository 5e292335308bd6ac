"""What `rg` does with streams and signals: notes of libraries, signs that a stream cannot take, SIGTERM."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from reportgen_cli.terminal.streams import library_of

# A command whose body is the code that is given, run as `rg boom`.
SCRIPT = """
import signal, sys, click
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has its background jobs ignore it
from reportgen_cli import main
from reportgen_core import Entry
import noisy
main.BUILTIN = (*main.BUILTIN, Entry("boom", "noisy:boom", "s"))
sys.argv = ["rg", "boom"]
main.main()
"""
MODULE = """
import click, ctypes, logging, os, signal, subprocess, sys, threading, time, warnings
from pathlib import Path

@click.command()
def boom():
{body}
"""


def start(folder: Path, body: str, **environment: str) -> subprocess.Popen[bytes]:
    """Start `rg boom` in a process of its own, with this body and these variables."""
    library = folder / "site-packages"
    library.mkdir(exist_ok=True)
    indented = "\n".join("    " + line for line in body.strip().splitlines())
    (library / "noisy.py").write_text(MODULE.format(body=indented), encoding="utf-8")
    path = os.pathsep.join([str(library), *sys.path])
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path, **environment},
    )  # fmt: skip


def ended(folder: Path, body: str, **environment: str) -> tuple[int, bytes, str]:
    process = start(folder, body, **environment)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err.decode()


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ('warnings.warn("the\\nwindow is odd")', "note: noisy: the window is odd"),
        ('warnings.warn("gone soon", FutureWarning)', "note: noisy: gone soon"),
        ('logging.getLogger("pydicom.pixels").warning("%d bits", 12)', "note: pydicom: 12 bits"),
        ('h = logging.StreamHandler(); logging.getLogger("timm").addHandler(h); logging.getLogger("timm").error("no")',
         "note: timm: no"),
        ('os.write(2, b"Corrupt JPEG data: \\x1b[31mpremature end\\n")',
         "note: a library: Corrupt JPEG data: \\x1b[31mpremature end"),
        ('ctypes.CDLL(None).dprintf(2, b"NNPACK: cannot start\\n")', "note: a library: NNPACK: cannot start"),
        ('subprocess.run(["sh", "-c", "echo child >&2"])', "note: a library: child"),
        ('os.write(2, b"\\xff no text\\n")', "note: a library: \N{REPLACEMENT CHARACTER} no text"),
    ],
    ids=["warning", "future", "logger", "handler", "native", "dprintf", "child", "bytes"],
)  # fmt: skip
def test_what_a_library_writes_is_one_line_with_its_name_and_comes_once(tmp_path: Path, body: str, line: str) -> None:
    again = "\n".join([body] * 3)
    code, out, err = ended(tmp_path, f'{again}\nclick.echo("done")', PYTHONIOENCODING="utf-8")
    assert (code, out, err) == (0, b"done\n", line + "\n")


def test_a_line_without_end_is_short(tmp_path: Path) -> None:
    _, _, err = ended(tmp_path, 'os.write(2, b"x" * 60000 + b"\\n")')
    assert len(err) < 600 and err.count("\n") == 1


def test_a_worker_process_has_its_note_printed_once_by_the_main_process(tmp_path: Path) -> None:
    body = """
def work():
    warnings.warn("from a worker")
import multiprocessing
for _ in range(3):
    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join()
warnings.warn("from a worker")
"""
    assert ended(tmp_path, body)[2] == "note: noisy: from a worker\n"


def test_our_own_messages_and_a_traceback_reach_stderr_as_they_are(tmp_path: Path) -> None:
    code, _, err = ended(tmp_path, 'click.echo("a\\nb", err=True)\nclick.echo("b", err=True)\n1 / 0')
    assert code == 1 and err.startswith("a\nb\nb\nTraceback") and err.endswith("ZeroDivisionError: division by zero\n")


def test_a_log_file_of_a_library_stays_a_log_file(tmp_path: Path) -> None:
    body = f'h = logging.FileHandler({str(tmp_path / "log")!r})\nlogging.getLogger("x").addHandler(h)\nlogging.getLogger("x").warning("kept")'
    assert ended(tmp_path, body)[2] == ""
    assert (tmp_path / "log").read_text() == "kept\n"


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "latin-1", "cp1252:strict", "utf-8"])
def test_a_sign_that_stdout_cannot_take_is_replaced(tmp_path: Path, encoding: str) -> None:
    code, out, err = ended(
        tmp_path, 'click.echo("lung → 肺 \\ud800 é")\nprint("∅")\nclick.echo("→", err=True)', PYTHONIOENCODING=encoding
    )
    assert code == 0 and "Traceback" not in err
    assert out.startswith(b"lung ") and len(out.splitlines()) == 2


def test_the_library_of_a_file_is_its_package() -> None:
    assert library_of("/usr/lib/python3/site-packages/torch/nn/functional.py") == "torch"
    assert library_of("/venv/site-packages/six.py") == "six"
    assert library_of("/code/reportgen_core/training/run.py") == ""
    assert library_of("<string>") == "<string>"


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_stream_that_is_closed_is_no_error_and_no_file_takes_its_place(tmp_path: Path, closed: str) -> None:
    body = f'file = open({str(tmp_path / "out")!r}, "w")\nclick.echo("a")\nclick.echo("b", err=True)\nos.write(2, b"c")\nos.write(1, b"d")\nfile.write("whole")\nfile.close()'
    start(tmp_path, body).communicate(timeout=60)  # writes the module
    command = f'{sys.executable} -c "$SCRIPT" {closed}'
    path = os.pathsep.join([str(tmp_path / "site-packages"), *sys.path])
    done = subprocess.run(["sh", "-c", command], env={**os.environ, "PYTHONPATH": path, "SCRIPT": SCRIPT}, check=False)
    assert done.returncode == 0
    assert (tmp_path / "out").read_text() == "whole"


SLEEP = """
with open({path!r}, "w") as file:
    file.write("begun")
    try:
        print("ready", flush=True)
        {wait}
    finally:
        file.write(", ended")
"""


@pytest.mark.parametrize(
    "wait", ["time.sleep(60)", "subprocess.run(['sleep', '60'])", "threading.Event().wait(60)"], ids=["sleep", "child", "event"]
)  # fmt: skip
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_a_command_whole_with_its_code(tmp_path: Path, wait: str, number: int, code: int) -> None:
    process = start(tmp_path, SLEEP.format(path=str(tmp_path / "out"), wait=wait))
    assert process.stdout is not None
    process.stdout.readline()
    begun = time.monotonic()
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert time.monotonic() - begun < 10
    assert process.returncode == code and b"Traceback" not in err
    assert (tmp_path / "out").read_text() == "begun, ended"


def test_a_second_sigterm_ends_a_command_that_does_not_end(tmp_path: Path) -> None:
    body = 'try:\n    print("ready", flush=True)\n    time.sleep(60)\nfinally:\n    print("ready", flush=True)\n    time.sleep(60)'
    process = start(tmp_path, body)
    assert process.stdout is not None
    for _ in range(2):
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGTERM
