"""The Dockerfile is clean, and its steps that need no network do what they say."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8")
STEP = re.compile(r"^(RUN|COPY) ((?:[^\n]*\\\n)*[^\n]*)", re.MULTILINE)


def test_what_is_copied_exists_and_the_wheel_needs_no_more() -> None:
    copied = [source for kind, text in STEP.findall(TEXT) if kind == "COPY" for source in text.split()[:-1]]
    assert [source for source in copied if not (ROOT / source).exists()] == []
    packages = re.search(r"^packages = \[(.*?)\]", (ROOT / "pyproject.toml").read_text(), re.MULTILINE | re.DOTALL)
    assert packages
    needed = {name.split("/")[0] for name in re.findall(r'"([^"]+)"', packages[1])}
    assert needed | {"pyproject.toml", "README.md", "LICENSE"} <= set(copied)


@pytest.mark.parametrize(("backend", "extra"), [("cpu", "faiss-cpu"), ("cu128", "")])
def test_the_argument_chooses_what_is_installed(backend: str, extra: str, tmp_path: Path) -> None:
    step = next(text for kind, text in STEP.findall(TEXT) if kind == "RUN" and "--torch-backend" in text)
    for program in ("uv", "rg"):
        (tmp_path / program).write_text(f'#!/bin/sh\necho {program} "$@"\n')
        (tmp_path / program).chmod(0o755)
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "TORCH": backend}
    done = subprocess.run(["sh", "-c", step], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    install, version = done.stdout.splitlines()
    words = install.split()
    assert words[:3] == ["uv", "pip", "install"] and words[-1] == "." and f"--torch-backend {backend}" in install
    assert ("faiss-cpu" in words) == ("--overrides" in words) == bool(extra)
    assert version == "rg --version"


def test_the_overrides_leave_the_gpu_version_of_faiss_out() -> None:
    from packaging.requirements import Requirement

    lines = (ROOT / "docs" / "assets" / "cpu-overrides.txt").read_text().splitlines()
    requirement = Requirement(next(line for line in lines if not line.startswith("#")))
    assert requirement.name == "faiss-gpu" and requirement.marker and not requirement.marker.evaluate()


@pytest.mark.docs
def test_the_dockerfile_is_clean() -> None:
    program = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    assert program
    done = subprocess.run([program, "Dockerfile"], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
