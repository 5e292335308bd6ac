"""Write the graphs as ONNX or OpenVINO, quantise the encoder to 8 bits, and run the files."""

from __future__ import annotations

import importlib.util
import io
import logging
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from reportgen_core import Model, PluginError
from reportgen_core.models.abilities import WritesSentences

from .graphs import EncoderGraph, SentenceGraph, StepGraph

Arrays = Mapping[str, NDArray[Any]]
LOGGERS = ("torch.onnx", "torch.utils.cpp_extension", "onnxscript", "onnx_ir", "nncf", "root")
NEEDED = {
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "openvino": ("onnx", "onnxscript", "openvino"),
    "int8": ("nncf",),  # for OpenVINO; onnxruntime has its own
}


def need_packages(to: str, int8: bool) -> None:
    """Raise PluginError if a package is missing that writes or runs these files."""
    names = NEEDED[to] + (NEEDED["int8"] if int8 and to == "openvino" else ())
    if missing := [name for name in names if importlib.util.find_spec(name) is None]:
        raise PluginError(f"rg export --to {to} needs {', '.join(missing)}: pip install 'reportgen[export]'")


def write_onnx(model: Model, folder: Path) -> dict[str, list[str]]:
    """Write encoder.onnx, step.onnx, and sentence.onnx if the decoder has a step for sentences.

    Return the names of the tensors of `state` and `memory` of the words, and of `plan` and `kept` of the sentences.
    """
    spec = model.encoder.image
    pixels = torch.zeros(2, spec.height, spec.width)
    decoder, encoder = model.head, EncoderGraph(model).eval()
    names: dict[str, list[str]] = {}
    with torch.no_grad():
        state, memory = encoder.first(pixels)
        if isinstance(decoder, WritesSentences):
            plan, kept = state, memory
            names |= {"plan": _numbered("plan", plan), "kept": _numbered("kept", kept)}
            _, state, memory, _ = decoder.next_sentence(plan, kept)
    names |= {"state": _numbered("state", state), "memory": _numbered("memory", memory)}
    outputs = [*names["state"], *names["memory"]]
    first = [*names["plan"], *names["kept"]] if "plan" in names else outputs
    with torch.no_grad():
        _write(encoder, (pixels,), folder / "encoder.onnx", ["pixels"], first)
    if "plan" in names:
        following = ["last", *outputs, *(f"next_{name}" for name in names["plan"])]
        _write(SentenceGraph(model).eval(), (plan, kept), folder / "sentence.onnx", first, following)
    words = torch.ones(2, dtype=torch.long)
    following = ["logits", *(f"next_{name}" for name in names["state"])]
    _write(StepGraph(model).eval(), (words, state, memory), folder / "step.onnx", ["words", *outputs], following)
    return names


def _numbered(name: str, tensors: Sequence[torch.Tensor]) -> list[str]:
    return [f"{name}{n}" for n in range(len(tensors))]


def _write(graph: nn.Module, arguments: tuple[Any, ...], path: Path, inputs: list[str], outputs: list[str]) -> None:
    """Write a graph with any number of rows as one ONNX file."""
    rows = torch.export.Dim("rows", min=1, max=4096)
    shapes = torch.utils._pytree.tree_map(lambda _: {0: rows}, arguments)
    # a tensor that is there twice, as two states of zeros, would become one input
    arguments = torch.utils._pytree.tree_map(torch.clone, arguments)
    with _quiet():
        # the strict mode follows `len` of a tensor, which the other one takes for a constant
        program = torch.export.export(graph, arguments, dynamic_shapes=shapes, strict=True)
        torch.onnx.export(
            program, (), str(path), input_names=inputs, output_names=outputs, external_data=False, verbose=False
        )


def to_openvino(folder: Path) -> None:
    """Replace the ONNX files of a folder by OpenVINO files, in float32."""
    import openvino

    for name in (path.stem for path in list(folder.glob("*.onnx"))):
        with tempfile.TemporaryDirectory() as plain:  # convert_model cuts a path at its commas
            # not Core.read_model: NNCF spoils what that makes of ONNX
            converted = openvino.convert_model(shutil.copy(folder / f"{name}.onnx", plain))
            openvino.save_model(converted, folder / f"{name}.xml", compress_to_fp16=False)
            del converted
        (folder / f"{name}.onnx").unlink()


def quantise(to: str, folder: Path, images: Sequence[NDArray[np.float32]]) -> None:
    """Replace the encoder by one of 8 bits, calibrated on images (H, W), 0..255. The step stays in float32."""
    (_quantise_onnx if to == "onnx" else _quantise_openvino)(folder, images)


def _quantise_onnx(folder: Path, images: Sequence[NDArray[np.float32]]) -> None:
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

    class Images(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
        def __init__(self) -> None:
            self.images = iter(images)

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            image = next(self.images, None)
            return None if image is None else {"pixels": image[None]}

    exact, small = folder / "encoder.onnx", folder / "encoder-int8.onnx"
    with _quiet():
        quantize_static(
            str(exact), str(small), Images(), per_channel=True,
            activation_type=QuantType.QInt8, weight_type=QuantType.QInt8,
        )  # fmt: skip
    small.replace(exact)


def _quantise_openvino(folder: Path, images: Sequence[NDArray[np.float32]]) -> None:
    import nncf
    import openvino

    with _quiet():
        model = openvino.Core().read_model(folder / "encoder.xml")
        small = nncf.quantize(
            model, nncf.Dataset([image[None] for image in images]), subset_size=len(images),
            preset=nncf.QuantizationPreset.MIXED,
            # processors without VNNI add products of 8 bits in 16: full weights overflow there
            advanced_parameters=nncf.AdvancedQuantizationParameters(overflow_fix=nncf.OverflowFix.ENABLE),
        )  # fmt: skip
        openvino.save_model(small, folder / "encoder-int8.xml", compress_to_fp16=False)
    del model
    for suffix in (".xml", ".bin"):
        (folder / f"encoder-int8{suffix}").replace(folder / f"encoder{suffix}")


class ExportedGraph:
    """A graph of an exported folder, run by the runtime of its file."""

    def __init__(self, folder: Path, name: str, to: str) -> None:
        self.to = to
        if to == "onnx":
            import onnxruntime

            self.session = onnxruntime.InferenceSession(folder / f"{name}.onnx", providers=["CPUExecutionProvider"])
            self.outputs = [output.name for output in self.session.get_outputs()]
        else:
            import openvino

            self.session = openvino.Core().compile_model(
                folder / f"{name}.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
            )
            self.outputs = [next(iter(output.names)) for output in self.session.outputs]

    def __call__(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Return the outputs by name."""
        if self.to == "onnx":
            return dict(zip(self.outputs, self.session.run(None, dict(inputs)), strict=True))
        values = self.session(dict(inputs))
        return {name: values[name] for name in self.outputs}


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the progress and the warnings of the exporters from the terminal; their errors are raised."""
    loggers = [logging.getLogger(name) for name in LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
