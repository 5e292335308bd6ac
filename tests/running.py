"""Run `rg` as the shell would, in the process of the test."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Done:
    """How a run of `rg` ended."""

    code: int
    out: str
    err: str


Rg = Callable[..., Done]


def runner(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Rg:
    """Return a function that runs `rg` with the arguments that it is given."""
    from reportgen_cli.main import commands, main

    def run(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["rg", *map(str, arguments)])
        commands.cache_clear()  # a process of its own would read the commands anew
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        return Done(int(end.value.code or 0), out, err)

    return run
