from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from reportgen_zoo.pull import catalogue as manifests
from running import Rg, runner

from reportgen_core.testing.parts import tiny_model


@pytest.fixture
def rg(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Rg:
    """Run `rg` as the shell would, in this process."""
    return runner(monkeypatch, capsys)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own and no settings of the user's."""
    for name in ("REPORTGEN_OFFLINE", "REPORTGEN_MIRROR", "REPORTGEN_MANIFESTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("REPORTGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("REPORTGEN_CONFIG", str(tmp_path / "config.toml"))
    manifests._catalogue.cache_clear()
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny model with random weights that knows twenty words."""
    return Path(tiny_model().save(tmp_path_factory.mktemp("models") / "tiny"))


@pytest.fixture
def chest(tmp_path: Path) -> Path:
    """An image of a bright oval in a dark frame."""
    y, x = np.mgrid[-1:1:96j, -1:1:80j]
    grey = np.where((x / 0.7) ** 2 + (y / 0.8) ** 2 < 1, 160, 20).astype(np.uint8)
    path = tmp_path / "chest.png"
    Image.fromarray(grey).save(path)
    return path
