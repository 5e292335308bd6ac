"""Open-i's real reports, from the wheel torchxrayvision; nothing else of it is imported."""

from __future__ import annotations

from importlib.metadata import files
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def openi() -> Path:
    """The folder that holds NLMCXR_reports.tgz."""
    listed = files("torchxrayvision") or []
    return next(Path(str(f.locate())) for f in listed if f.name == "NLMCXR_reports.tgz").parent
