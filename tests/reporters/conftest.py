from __future__ import annotations

from pathlib import Path

import pytest
from running import Rg, runner


@pytest.fixture
def rg(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Rg:
    """Run `rg` as the shell would, with a cache of the test's own, no settings of the user's and no key."""
    for name in ("REPORTGEN_OFFLINE", "REPORTGEN_MIRROR", "REPORTGEN_MANIFESTS", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("REPORTGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("REPORTGEN_CONFIG", str(tmp_path / "cache" / "config.toml"))
    return runner(monkeypatch, capsys)
