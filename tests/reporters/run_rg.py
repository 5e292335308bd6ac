"""Run `rg` as the shell would, in the process of the test."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Done:
    """How a run of `rg` ended."""

    code: int
    out: str
    err: str


Rg = Callable[..., Done]


def runner(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], cache: Path) -> Rg:
    """Return a function that runs `rg` with a cache of its own."""
    from reportgen_cli.main import commands, main

    for name in ("REPORTGEN_OFFLINE", "REPORTGEN_MIRROR", "REPORTGEN_MANIFESTS", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("REPORTGEN_CACHE", str(cache))
    monkeypatch.setenv("REPORTGEN_CONFIG", str(cache / "config.toml"))

    def run(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["rg", *map(str, arguments)])
        commands.cache_clear()
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        return Done(int(end.value.code or 0), out, err)

    return run
