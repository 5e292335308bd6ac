"""`chexbert`: Smit et al., Combining Automatic Labelers and Expert Annotations for Accurate Radiology Report Labeling
Using BERT, EMNLP 2020, arXiv:2004.09167; run through transformers from a folder that the user has.

The folder holds BERT's vocab.txt (or tokenizer.json), config.json where it is not bert-base-uncased, and the weights:
chexbert.pth as published (read with weights_only, so no code runs) or model.safetensors with the same names. Texts are
squeezed to single spaces and cut at 512 word pieces, as the authors do. Classes: 0 blank, 1 positive, 2 negative,
3 uncertain; the last head, "No Finding", has the first two only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from reportgen_core import MetricError
from reportgen_core.metric import Metric
from reportgen_core.types import Score

from .agreement import Agreement
from .clinical import score

if TYPE_CHECKING:
    from torch import Tensor, nn

Floats = NDArray[np.float64]

CLASSES = (
    "Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion", "Edema", "Consolidation", "Pneumonia",
    "Atelectasis", "Pneumothorax", "Pleural Effusion", "Pleural Other", "Fracture", "Support Devices", "No Finding",
)  # fmt: skip
VALUES = (None, 1.0, 0.0, -1.0)  # of the four classes
MAX_PIECES, AT_ONCE = 512, 16  # word pieces of a text; texts in a batch
WANTED = "a folder with CheXbert's weights (chexbert.pth or model.safetensors) and BERT's vocab.txt: folder=DIR"


class Chexbert(Metric):
    """F1 of findings that CheXbert reads off reports and references.

    Args:
        folder: folder with CheXbert's weights (chexbert.pth or model.safetensors) and BERT's vocab.txt.
        convention: which labels are compared and how uncertain ones count, as for `chexpert-rules`.
        device: where it runs: cpu or cuda.
    """

    language = "en"
    neutral_suffixes = (" references",)
    name = "chexbert"

    def __init__(self, *, folder: str = "", convention: str = "rrg", device: str = "cpu") -> None:
        self.folder, self.device = Path(folder) if folder else None, device
        self.agreement = Agreement(self.name, CLASSES, convention)
        self.version = convention
        self._model: tuple[Any, nn.Module, nn.ModuleList] | None = None
        self._labels: dict[str, dict[str, float]] = {}

    def labels(self, texts: Sequence[str]) -> list[dict[str, float]]:
        """Return the labels of each text. A text that was labelled before is not read again."""
        new = [t for t in dict.fromkeys(texts) if t not in self._labels]
        for at in range(0, len(new), AT_ONCE):
            batch = new[at : at + AT_ONCE]
            self._labels.update(zip(batch, self._label(batch), strict=True))
        return [self._labels[t] for t in texts]

    def _label(self, texts: Sequence[str]) -> list[dict[str, float]]:
        import torch

        tokenizer, bert, heads = self._loaded()
        squeezed = [" ".join(t.split()) for t in texts]
        words = tokenizer(squeezed, padding=True, truncation=True, max_length=MAX_PIECES, return_tensors="pt").to(
            self.device
        )
        with torch.inference_mode():
            first = bert(**words).last_hidden_state[:, 0]  # (B, D) of [CLS]
            chosen = [head(first).argmax(-1).tolist() for head in heads]  # 14 × (B,)
        rows = zip(*chosen, strict=True)
        return [{c: v for c, k in zip(CLASSES, row, strict=True) if (v := VALUES[k]) is not None} for row in rows]

    def _loaded(self) -> tuple[Any, nn.Module, nn.ModuleList]:
        if self._model is None:
            if self.folder is None or not self.folder.is_dir():
                raise MetricError(f"chexbert needs {WANTED}" + (f"; {self.folder} is no folder" if self.folder else ""))
            tokenizer = _tokenizer(self.folder)
            self._model = (tokenizer, *(part.to(self.device).eval() for part in _build(self.folder)))
        return self._model

    def compute(self, reports: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
        return score(self.name, self.agreement, self.statistics(reports, references), self.version)

    def statistics(self, reports: Sequence[str], references: Sequence[Sequence[str]]) -> Floats:
        return self.agreement.statistics(self.labels(reports), [self.labels(r) for r in references])

    def scores(self, totals: Floats) -> Mapping[str, Floats]:
        return self.agreement.scores(totals)

    def score_notes(self, totals: Floats) -> Mapping[str, str]:
        return self.agreement.score_notes(totals)


def _tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer, BertConfig

    if not any((folder / name).is_file() for name in ("vocab.txt", "tokenizer.json")):
        raise MetricError(f"{folder} has no vocab.txt of bert-base-uncased; chexbert needs {WANTED}")
    return AutoTokenizer.from_pretrained(folder, config=BertConfig(), local_files_only=True)


def _build(folder: Path) -> tuple[nn.Module, nn.ModuleList]:
    """Return BERT and its 14 heads with the weights of the folder. Raises MetricError if they do not fit."""
    from torch import nn
    from transformers import BertConfig, BertModel

    config = BertConfig.from_pretrained(folder) if (folder / "config.json").is_file() else BertConfig()
    bert = BertModel(config, add_pooling_layer=False)
    heads = nn.ModuleList(nn.Linear(config.hidden_size, 2 if c == "No Finding" else 4) for c in CLASSES)
    weights = _weights(folder)
    ours = {k.removeprefix("bert."): v for k, v in weights.items() if k.startswith("bert.") and ".pooler." not in k}
    theirs = {k.removeprefix("linear_heads."): v for k, v in weights.items() if k.startswith("linear_heads.")}
    try:
        missing = bert.load_state_dict(ours, strict=False).missing_keys
        heads.load_state_dict(theirs)
    except RuntimeError as e:
        raise MetricError(f"{folder}: these weights are not CheXbert's: {str(e).splitlines()[-1].strip()}") from e
    if missing:
        raise MetricError(f"{folder}: these weights are not CheXbert's: {missing[0]} is missing")
    return bert, heads


def _weights(folder: Path) -> dict[str, Tensor]:
    if (folder / "model.safetensors").is_file():
        from safetensors.torch import load_file

        return load_file(folder / "model.safetensors")
    from reportgen_core.files.torch_files import read_torch_file

    path = folder / "chexbert.pth"
    if not path.is_file():
        raise MetricError(f"{folder} has no weights; chexbert needs {WANTED}")
    content = read_torch_file(path, MetricError, f"{path} cannot be read as weights")
    state = content.get("model_state_dict", content) if isinstance(content, dict) else None
    if not isinstance(state, dict):
        raise MetricError(f"{path} cannot be read as weights: it has no names of tensors")
    return {k.removeprefix("module."): v for k, v in state.items()}
