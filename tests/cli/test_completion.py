"""`rg completion` writes a script and, for bash and zsh, lines of the startup file; it tells what it did and undoes it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CONFIG_HOME", "ZDOTDIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SHELL", "/bin/bash")
    return tmp_path


@pytest.mark.parametrize(("shell", "startup"), [("bash", ".bashrc"), ("zsh", ".zshrc")])
def test_install_adds_lines_once_and_remove_takes_them_away(rg, home: Path, shell: str, startup: str) -> None:
    file = home / startup
    file.write_text("alias ll='ls -l'", encoding="utf-8")
    done = rg("completion", "install", shell)
    script = home / ".config/reportgen" / f"completion.{shell}"
    assert done.code == 0 and str(script) in done.out and str(file) in done.out and "undoes it" in done.out
    once = file.read_text(encoding="utf-8")
    assert once.startswith("alias ll='ls -l'\n") and once.count(str(script)) == 2
    assert "reads it already" in rg("completion", "install", shell).out
    assert file.read_text(encoding="utf-8") == once
    assert rg("completion", "remove", shell).code == 0
    assert file.read_text(encoding="utf-8").rstrip("\n") == "alias ll='ls -l'" and not script.exists()


def test_fish_needs_no_startup_file(rg, home: Path) -> None:
    assert rg("completion", "install", "fish").code == 0
    assert "complete" in (home / ".config/fish/conf.d/reportgen-completion.fish").read_text(encoding="utf-8")
    assert sorted(p.name for p in home.iterdir()) == [".config"] or (home / ".config").exists()


def test_a_startup_file_that_is_a_link_stays_one(rg, home: Path) -> None:
    (home / "dotfiles").mkdir()
    (home / "dotfiles/bashrc").write_text("x=1\n", encoding="utf-8")
    (home / ".bashrc").symlink_to(home / "dotfiles/bashrc")
    assert rg("completion", "install").code == 0
    assert (home / ".bashrc").is_symlink() and "reportgen" in (home / "dotfiles/bashrc").read_text(encoding="utf-8")


def test_an_unknown_shell_is_one_line(rg, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/bin/tcsh")
    done = rg("completion", "install")
    assert (done.code, done.err) == (1, "rg: the shell tcsh is not known; name one of bash, zsh, fish\n")


@pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash")
def test_the_script_of_bash_is_read_by_bash(rg, home: Path) -> None:
    assert rg("completion", "install", "bash").code == 0
    done = subprocess.run(
        ["bash", "--norc", "-c", ". ~/.bashrc; complete -p rg"],
        capture_output=True,
        text=True,
        env={**os.environ, "HOME": str(home)},
    )
    assert "_rg_completion" in done.stdout, done.stderr
