"""What a wheel holds: our four packages and nothing else at the top, with the data files they read."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_a_wheel_holds_the_four_packages_with_their_data(tmp_path):
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(tmp_path),
    ]
    subprocess.run([*command, str(ROOT)], check=True, capture_output=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        names = wheel.namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert tops == {"reportgen_core", "reportgen_plugins", "reportgen_zoo", "reportgen_cli", "reportgen"}
    for package in sorted(tops):
        assert f"{package}/py.typed" in names
    data = [
        f
        for f in (*(ROOT / "zoo").rglob("*"), *(ROOT / "plugins").rglob("*"), *(ROOT / "cli").rglob("*"))
        if f.is_file()
    ]
    kept = {"/".join(f.relative_to(ROOT).parts[1:]) for f in data if "__pycache__" not in f.parts}
    assert kept <= set(names), "a file of a package is not in the wheel"
