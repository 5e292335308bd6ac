from __future__ import annotations

from pathlib import Path

import pytest
from reportgen_zoo.pull import catalogue as manifests
from reportgen_zoo.pull import fetch


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own, no settings of the user's, and no waiting between two tries."""
    for name in ("REPORTGEN_OFFLINE", "REPORTGEN_MIRROR", "REPORTGEN_MANIFESTS", "HF_TOKEN", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("REPORTGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("REPORTGEN_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setattr(fetch, "BACKOFF", 0.0)
    manifests._catalogue.cache_clear()
    return tmp_path / "cache"
