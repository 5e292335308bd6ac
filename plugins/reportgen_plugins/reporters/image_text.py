"""`image-text-to-text`: any model of transformers of that kind, with its own processor and a prompt.

The weights come from a folder or from the hub's cache on this machine. Nothing is downloaded, no code of a model is
run, and no pickle is read. A study's images go to the model's processor as RGB pictures of 8 bits, in the order of the
prompt.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self

import torch

from reportgen_core import GenerationSettings, OptionError, Report, Reporter, Study
from reportgen_core.errors import quoted
from reportgen_core.models.reporters.answers import rule_from
from reportgen_core.models.reporters.context import pictures_of
from reportgen_core.models.reporters.prompts import Piece
from reportgen_core.models.reporters.reference import Reference, hash_files

from ..endpoints.prompt_file import read_prompt

DTYPES = ("auto", "float32", "bfloat16", "float16")
WEIGHTS = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja")  # files of a model that change its reports
GENERATION = {"max_new_tokens": 512, "do_sample": False}


class ImageTextToText(Reporter):
    """A vision-language model of transformers."""

    files: ClassVar[Mapping[str, str]] = {"prompt": "prompt.txt"}

    def __init__(
        self,
        *,
        model: str,
        revision: str = "",
        prompt: str = "",
        views: int = 1,
        max_side: int = 0,
        dtype: str = "auto",
        batch_size: int = 1,
        device_map: str = "",
        generation: Mapping[str, Any] | None = None,
        processing: Mapping[str, Any] | None = None,
        cleaning: str = "sections",
        sections: Sequence[str] = ("findings",),
        boxes: str = "none",
    ) -> None:
        """Read the model, a folder or a name of the hub. Raises OptionError for options that it cannot take.

        Args:
            model, revision: the folder of the model, or its name in the hub's cache, and the commit of that name.
            dtype: type of the weights: auto, float32, bfloat16 or float16.
            batch_size: studies that are generated at the same time.
            device_map: how transformers spreads the weights over devices, as "auto"; "": on one device.
            prompt: a file; without it, a sentence that asks for the findings.
            views: the most images of a study; 0: none.
            max_side: pixels to which the longer side of an image is reduced; 0: never, the processor resizes.
            generation: settings of transformers' `generate`: max_new_tokens, do_sample, temperature, num_beams ...
            processing: options of the model's processor.
            cleaning: the rule that makes a report of an answer: sections, json or none.
            sections: of the answer, in the order of the report.
            boxes: how the model writes boxes: none, maira-2 or medgemma.
        """
        self.rule = rule_from({"cleaning": cleaning, "sections": sections, "boxes": boxes})
        self.sections = self.rule.sections
        self.prompt = read_prompt(prompt)
        self.takes = self.prompt.takes(views)
        if batch_size < 1 or views < 0 or max_side < 0:
            raise OptionError(f"batch_size={batch_size} views={views} max_side={max_side}: 1, 0 and 0 are the least")
        self.max_side, self.batch_size = max_side, batch_size
        self.generation = {**GENERATION, **(generation or {})}
        self.processing = dict(processing or {})
        folder, self.reference = find_weights(model, revision)
        self.processor, self.model = load_weights(folder, dtype, device_map)
        self._mapped = bool(device_map)

    def move_to(self, device: str) -> Self:
        """Move the weights, unless `device_map` has placed them."""
        if not self._mapped:
            self.model = self.model.to(device)
        return self

    def facts(self) -> dict[str, Any]:
        """Return model, revision, hashes of weights and prompt, preprocessing, settings and versions."""
        import transformers

        preprocessing = self._preprocessing()
        facts = {
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "batch_size": self.batch_size,
            "generation": self.generation,
            "prompt_sha256": self.prompt.sha256,
            "preprocessing": preprocessing,
            "preprocessing_sha256": _sha256(preprocessing),
            **self.rule.to_json(),
            "transformers": transformers.__version__,
        }
        return super().facts() | facts

    def _preprocessing(self) -> dict[str, Any]:
        image_processor = getattr(self.processor, "image_processor", None)
        own = image_processor.to_dict() if image_processor is not None else {}
        plain = json.loads(json.dumps(own, default=str, sort_keys=True))
        return {"max_side": self.max_side, "options": self.processing, "processor": plain}

    def iter_reports(self, studies: Sequence[Study], settings: GenerationSettings) -> Iterator[Report]:
        """Yield a report for each study; studies are read and written `batch_size` at a time."""
        for start in range(0, len(studies), self.batch_size):
            some = studies[start : start + self.batch_size]
            inputs = [self._input(study) for study in some]
            answers = self._generate([pieces for pieces, _, _ in inputs], [images for _, images, _ in inputs], settings)
            for study, (_, _, size), (best, *others) in zip(some, inputs, answers, strict=True):
                report = self.rule.report(study.id, best, size)
                yield self._with_alternatives(report, others)

    def _with_alternatives(self, report: Report, others: Sequence[str]) -> Report:
        texts = [self.rule.report(report.study, other).text for other in others]
        return replace(report, alternatives=tuple(t for t in dict.fromkeys(texts) if t and t != report.text))

    def _input(self, study: Study) -> tuple[list[Piece], list[Any], tuple[int, int]]:
        """Return the message, the pictures in its order, and the size of the first picture."""
        images = pictures_of(study.views, self.max_side)
        wanted = self.takes.prior_images != "no" and study.prior is not None
        prior = pictures_of(study.prior.views, self.max_side) if wanted and study.prior else []
        pieces = self.prompt.fill(study, len(images), len(prior))
        shown = [(images if p.kind == "image" else prior)[p.number] for p in pieces if p.kind != "text"]
        return pieces, shown, images[0].size if images else (1, 1)

    def _generate(
        self, messages: Sequence[Sequence[Piece]], images: Sequence[Sequence[Any]], settings: GenerationSettings
    ) -> list[list[str]]:
        """Return the answers to each message, best first."""
        from transformers import set_seed

        inputs = self._tensors(messages, images)
        several = {"num_beams": settings.beams, "num_return_sequences": settings.n_best}
        chosen = {k: v for k, v in several.items() if v > 1}
        if self.generation.get("do_sample"):
            set_seed(0)  # the same study gives the same report in every run
        with torch.inference_mode():
            ids = self.model.generate(**inputs, **{**self.generation, **chosen})
        if not self.model.config.is_encoder_decoder:
            ids = ids[:, inputs["input_ids"].shape[1] :]
        texts: list[str] = self.processor.tokenizer.batch_decode(ids, skip_special_tokens=True)
        n = settings.n_best
        return [texts[i * n : (i + 1) * n] for i in range(len(messages))]

    def _tensors(self, messages: Sequence[Sequence[Piece]], images: Sequence[Sequence[Any]]) -> Any:
        """Return the inputs of the model for a batch of messages with their images, on its device and of its type."""
        options = {"return_tensors": "pt", "padding": True, **self.processing}
        given = {"images": [list(own) for own in images]} if any(images) else {}
        texts = [self._text(pieces) for pieces in messages]
        bos = getattr(self.processor.tokenizer, "bos_token", None)
        if bos and texts[0].startswith(bos):  # the template has written it
            options["add_special_tokens"] = False
        inputs = self.processor(text=texts, **given, **options)
        return inputs.to(self.model.device, dtype=self.model.dtype)

    def _text(self, pieces: Sequence[Piece]) -> str:
        """Return the text of a message by the processor's chat template; without one, with its mark for an image."""
        if not getattr(self.processor, "chat_template", None):
            mark = getattr(self.processor, "image_token", "")
            above = f"{self.prompt.system}\n" if self.prompt.system else ""
            return above + "".join(p.text if p.kind == "text" else mark for p in pieces)
        content = [{"type": "text", "text": p.text} if p.kind == "text" else {"type": "image"} for p in pieces]
        system = [{"role": "system", "content": [{"type": "text", "text": self.prompt.system}]}]
        conversation = [*(system if self.prompt.system else []), {"role": "user", "content": content}]
        text: str = self.processor.apply_chat_template(conversation, add_generation_prompt=True)
        return text


def _sha256(values: object) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def find_weights(model: str, revision: str) -> tuple[Path, Reference]:
    """Return the folder of a model and the reference to it. Raises OptionError if it is not on this machine."""
    folder = Path(model).expanduser()
    if folder.is_dir():
        if revision:
            raise OptionError(
                f"{model} is a folder, and revision={revision} is of a repository of the hub; leave it out"
            )
        source, commit = folder.resolve().name, ""
    elif model.startswith((".", os.sep, "~")) or model.count("/") > 1:
        raise OptionError(f"no folder {model}; a model is a folder, or a name of the hub as google/medgemma-4b-it")
    else:
        source = model
        folder, commit = _in_hub_cache(model, revision)
    paths = [p for pattern in WEIGHTS for p in folder.glob(pattern) if p.is_file()]
    return folder, Reference("files", source, commit, hash_files(folder, paths))


def _in_hub_cache(model: str, revision: str) -> tuple[Path, str]:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(model, revision=revision or None, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError, FileNotFoundError) as e:
        wanted = f" at revision {revision}" if revision else ""
        raise OptionError(
            f"{model}{wanted} is no folder and not in the hub's cache; hf download {model} fetches it"
        ) from e
    return folder, folder.name  # the folder of a snapshot has the name of its commit


def load_weights(folder: Path, dtype: str, device_map: str) -> tuple[Any, Any]:
    """Return the processor and the model of a folder, in eval mode. Raises OptionError that says what is wrong."""
    import transformers

    library: Any = transformers  # its classes have no types
    if dtype not in DTYPES:
        raise OptionError(f"no dtype {dtype!r}; there are: {', '.join(DTYPES)}")
    _check_kind(folder)
    mapped = {"device_map": device_map} if device_map else {}
    try:
        with _no_bars():
            processor = library.AutoProcessor.from_pretrained(folder, trust_remote_code=False)
            model, loading = library.AutoModelForImageTextToText.from_pretrained(
                folder, dtype=dtype, trust_remote_code=False, use_safetensors=True, output_loading_info=True, **mapped
            )
    except Exception as e:  # whatever a library of that size raises about files that are not its own
        why = "it needs code of its own, which is not run" if "remote_code" in str(e) else _first_line(e)
        raise OptionError(f"{folder} cannot be read as an image-text-to-text model of transformers: {why}") from e
    if missing := sorted(loading["missing_keys"]):
        raise OptionError(
            f"{folder}: its weights lack {missing[0]} and {len(missing) - 1} more, so it would write noise"
        )
    tokenizer = getattr(processor, "tokenizer", None)
    if tokenizer is None:
        raise OptionError(f"{folder} has no processor with a tokenizer, only {type(processor).__name__}")
    tokenizer.padding_side = "left"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return processor, model.eval()


@contextmanager
def _no_bars() -> Iterator[None]:
    """Let transformers draw no bars of its own meanwhile."""
    from transformers import utils

    logging: Any = utils.logging
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _check_kind(folder: Path) -> None:
    """Raise OptionError unless the config of a folder names a kind of model that transformers knows for this task."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES as KINDS

    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        kind = str(config["model_type"])
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise OptionError(f"{folder} is no model of transformers: it has no config.json with a model_type") from e
    if kind not in KINDS:
        own = "; it needs code of its own, which is not run" if "auto_map" in config else ""
        raise OptionError(
            f"{folder} is a model of kind {quoted(kind)}, which is no image-text-to-text of transformers{own}"
        )


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:300].rstrip(": ")
