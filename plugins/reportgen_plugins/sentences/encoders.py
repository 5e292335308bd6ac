"""Sentence encoders: `minilm`, the mean of a transformer's last states, and `word-vectors`, the mean of word vectors.

- `minilm`: Reimers, Gurevych: Sentence-BERT, 2019, arXiv:1908.10084: the mean over the word pieces. The default model
  is all-MiniLM-L6-v2; any BERT-like folder or name in the hub's cache is taken.
- `word-vectors`: Pagliardini, Gupta, Jaggi: Unsupervised Learning of Sentence Embeddings using Compositional n-Gram
  Features (sent2vec), 2018, arXiv:1703.02507, without the n-grams: the mean of the vectors of the words, out of a
  word2vec file (text or .bin) or an .npz. sent2vec's own binaries (BioSentVec, Zhang et al., 2019, which CVSE uses) are
  read by sent2vec alone; what it prints for a list of sentences, as lines of {"sentence", "vector"} in a .jsonl, is
  taken as it is, and a sentence that is not there is refused by name.

All vectors have length 1, so that their product is their cosine.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from reportgen_core import DataError, OptionError
from reportgen_core.files.digests import sha256_file
from reportgen_core.files.tables import LINES, table_rows
from reportgen_core.sentence_parts import SentenceEncoder, sentence_key

if TYPE_CHECKING:
    from torch import Tensor

Floats = NDArray[np.float32]
AT_ONCE = 128
MOST_WIDTH = 4096
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")


class MeanPooled(SentenceEncoder):
    """The mean of a transformer's last hidden states over the word pieces.

    Args:
        model: folder or name in the hub's cache; empty: MiniLM.
        max_tokens: word pieces of a sentence that are read.
        device: cpu, cuda, mps, or auto.
    """

    def __init__(self, *, model: str = "", max_tokens: int = 128, device: str = "auto") -> None:
        from transformers import AutoModel

        from .bert import device_of
        from .pretrained import folder_of, load_model, load_tokenizer

        self.folder, self.max_tokens = folder_of(model), max_tokens
        self._tokenizer = load_tokenizer(self.folder)
        self._model = load_model(AutoModel, self.folder).to(device_of(device))
        self.dim = int(self._model.config.hidden_size)
        self._fingerprint = ""

    @property
    def fingerprint(self) -> str:
        from .pretrained import fingerprint_of

        self._fingerprint = self._fingerprint or fingerprint_of(self.folder)
        return self._fingerprint

    def encode(self, sentences: Sequence[str]) -> Floats:
        import torch

        from .pretrained import lengths_in_order

        found = np.zeros((len(sentences), self.dim), np.float32)
        if not sentences:
            return found
        tokens = self._tokenizer(list(sentences), truncation=True, max_length=self.max_tokens)["input_ids"]
        with torch.inference_mode():
            for rows in lengths_in_order(tokens, AT_ONCE):
                found[rows] = self._means([tokens[i] for i in rows]).float().cpu().numpy()
        return found

    def _means(self, tokens: Sequence[list[int]]) -> Tensor:
        """(B, dim), of length 1."""
        import torch
        from torch.nn import functional as F

        T = max(map(len, tokens))
        pad = self._tokenizer.pad_token_id or 0
        ids = torch.tensor([row + [pad] * (T - len(row)) for row in tokens], device=self._model.device)  # (B, T)
        mask = torch.tensor([[1] * len(row) + [0] * (T - len(row)) for row in tokens], device=self._model.device)
        states = self._model(input_ids=ids, attention_mask=mask).last_hidden_state  # (B, T, dim)
        mean = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)  # (B, dim)
        return F.normalize(mean, dim=-1)


class WordVectors(SentenceEncoder):
    """The mean of the vectors of the words that a file knows; or vectors of whole sentences, looked up.

    Args:
        file: word2vec text or .bin, .npz with `words` and `vectors`; or .jsonl with `sentence` and `vector` a line.
    """

    def __init__(self, *, file: str) -> None:
        self.file = Path(file).expanduser()
        self.whole = self.file.name.lower().removesuffix(".gz").endswith((".jsonl", ".ndjson"))
        try:
            pairs = list(_sentences(self.file) if self.whole else _words(self.file))
        except OSError as e:
            raise OptionError(f"file={file}: {e.strerror or e}") from e
        except (DataError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as e:
            raise OptionError(f"file={file} holds no vectors (word2vec text or .bin, .npz, .jsonl): {e}") from e
        widths = {len(v) for _, v in pairs}
        if len(widths) != 1 or not 0 < min(widths) <= MOST_WIDTH:
            raise OptionError(f"file={file} holds {len(pairs)} vectors of widths {sorted(widths)}; one width is wanted")
        self.dim = widths.pop()
        self._rows: dict[str, int] = {}
        for n, (name, _) in enumerate(pairs):
            self._rows.setdefault(sentence_key(name) if self.whole else name, n)
        self._vectors = np.array([v for _, v in pairs], np.float32)
        if not np.isfinite(self._vectors).all():
            raise OptionError(f"file={file} holds numbers that are not finite")

    @property
    def fingerprint(self) -> str:
        return sha256_file(self.file)

    def encode(self, sentences: Sequence[str]) -> Floats:
        found = np.zeros((len(sentences), self.dim), np.float32)
        for n, sentence in enumerate(sentences):
            rows = self._looked_up(sentence)
            if rows:
                found[n] = self._vectors[rows].mean(0)
        lengths = np.linalg.norm(found, axis=1, keepdims=True).astype(np.float32)
        lengths[lengths == 0] = 1
        found /= lengths
        return found

    def _looked_up(self, sentence: str) -> list[int]:
        if self.whole:
            row = self._rows.get(sentence_key(sentence))
            if row is None:
                raise DataError(f"{self.file} has no vector of the sentence {sentence!r:.80}; compute it and add it")
            return [row]
        words = (w if w in self._rows else w.lower() for w in _WORD.findall(sentence))
        return [self._rows[w] for w in words if w in self._rows]


def _words(path: Path) -> Iterator[tuple[str, Any]]:
    from ..decoders.blocks.vectors import read_vectors

    yield from read_vectors(path)


def _sentences(path: Path) -> Iterator[tuple[str, Any]]:
    for place, row in table_rows(path, kinds=LINES):
        if not isinstance(row.get("sentence"), str):
            raise ValueError(f"{place} has no sentence")
        yield row["sentence"], np.array(row["vector"], np.float32)
