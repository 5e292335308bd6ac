"""Write an exported model as a folder: the graphs, what the script must know, the script, a probe and a README."""

from __future__ import annotations

import runpy
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from reportgen_core import DataError, Model
from reportgen_core.data.images import prepare_file
from reportgen_core.files.atomic import replacing
from reportgen_core.files.json_files import write_json
from reportgen_core.text.spec import BOS, EOS, PAD, SPECIAL, UNK, recipe

from . import MAX_CHANGED
from .eight_bits import EightBitCost, cost_of, texts_of
from .graphs import check_exportable, most_written, written_by_torch
from .runtimes import need_packages, quantise, to_openvino, write_onnx

HEAD = "model.json"
TOLERANCE = 1e-3  # of logits in float32; measured: below 1e-4
CALIBRATION = 8  # images, at least


@dataclass(frozen=True, slots=True)
class Exported:
    """A written folder, and how it differs from torch on the probe."""

    folder: Path
    difference: float  # the largest of a logit
    same_words: bool
    size: int  # bytes
    cost: EightBitCost | None = None  # of 8 bits


def export_model(model: Model, name: str, folder: Path, to: str, images: Sequence[Path] = (), *,
                 int8: bool = False, max_changed: float = MAX_CHANGED) -> Exported:  # fmt: skip
    """Write a model to a folder for a runtime, "onnx" or "openvino", and compare the result with torch on a probe.

    The probe is the first of `images`, or drawn. With `int8` the encoder is calibrated on `images`, and the reports of
    at most `max_changed` percent of them may state other findings than in float32. Raises CompositionError for a model
    without a step, and DataError if the files compute something else than torch.
    """
    check_exportable(model)
    need_packages(to, int8)
    if int8 and len(images) < CALIBRATION:
        raise DataError(
            f"--int8 is calibrated on images, {CALIBRATION} at least and some hundred if there are; got {len(images)}"
        )
    model = model.eval()
    pixels = [prepare_file(path, model.encoder.image).pixels.astype(np.float32) for path in images]
    probe = (pixels[0] if pixels else drawn_probe(model))[None]
    words, logits, lengths = written_by_torch(model, torch.from_numpy(probe))
    # of 8 bits only a damaged file differs so much
    tolerance = float(np.ptp(logits.numpy())) if int8 else TOLERANCE
    cost = None
    with replacing(folder, holds=HEAD) as temporary:
        names = write_onnx(model, temporary)
        if to == "openvino":
            to_openvino(temporary)
        head = {**_facts(model, name), **names, "format": to, "int8": int8, "tolerance": tolerance}
        write_json(temporary / HEAD, head)
        np.savez(temporary / "probe.npz", pixels=probe, words=words.numpy(), logits=logits.numpy(), lengths=lengths)
        (temporary / "run.py").write_text(_shipped("script.txt"), encoding="utf-8")
        readme = _shipped("readme.txt").replace("{name}", name).replace("{runtime}", _runtime(to))
        (temporary / "README.md").write_text(readme, encoding="utf-8")
        if int8:
            exact = texts_of(temporary, pixels)
            quantise(to, temporary, pixels)
            cost = cost_of(exact, texts_of(temporary, pixels))
            write_json(temporary / HEAD, {**head, "changed_by_int8": asdict(cost)})
            cost.check(max_changed)
        script = runpy.run_path(str(temporary / "run.py"))
        difference, same = script["compare"](*script["graphs"]())
        if difference > tolerance:
            raise DataError(
                f"{name} as {to} differs from torch by {difference:.2e} in a logit; {tolerance:.0e} is allowed"
            )
        size = sum(path.stat().st_size for path in temporary.iterdir())
    return Exported(folder, difference, same, size, cost)


def drawn_probe(model: Model) -> NDArray[np.float32]:
    """Return an image (H, W), 0..255: a bright field with two dark ovals, as lungs are."""
    spec = model.encoder.image
    y, x = np.mgrid[0 : spec.height, 0 : spec.width].astype(np.float32)
    y, x = y / spec.height - 0.5, x / spec.width - 0.5
    ovals = sum(np.exp(-((((x - side) / 0.14) ** 2 + (y / 0.3) ** 2) ** 2)) for side in (-0.22, 0.22))
    image: NDArray[np.float32] = np.rint(200 - 150 * ovals).astype(np.float32)
    return image


def _facts(model: Model, name: str) -> dict[str, Any]:
    """Return what the script must know of a model."""
    spec, words = model.encoder.image, list(model.targets.words)
    words[UNK] = recipe(model.text).unknown if words[UNK] == SPECIAL[UNK] else words[UNK]
    return {
        "model": name,
        "height": spec.height,
        "width": spec.width,
        "interpolation": spec.interpolation,
        "equalize": spec.equalize,
        "max_sentences": most_written(model)[0],
        "max_words": most_written(model)[1],
        "pad": PAD,
        "bos": BOS,
        "eos": EOS,
        "words": words,
    }


def _shipped(name: str) -> str:
    """Return a text of this package."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _runtime(to: str) -> str:
    """Return the name of the package that runs the files."""
    return "onnxruntime" if to == "onnx" else "openvino"
