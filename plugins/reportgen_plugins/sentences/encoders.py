"""Encode sentences: `minilm` is the mean of a transformer's last states, `word-vectors` the mean of word vectors.

- `minilm`: Reimers, Gurevych: Sentence-BERT, 2019, arXiv:1908.10084: the mean over the word pieces. The default model
  is all-MiniLM-L6-v2; any BERT-like model can be given, as a folder or a name in the hub's cache.
- `word-vectors`: Pagliardini, Gupta, Jaggi: Unsupervised Learning of Sentence Embeddings using Compositional n-Gram
  Features (sent2vec), 2018, arXiv:1703.02507, without the n-grams: the mean of the vectors of the words, from a
  word2vec file (text or .bin) or an .npz. Only sent2vec itself can read its binaries (BioSentVec, Zhang et al., 2019,
  which CVSE uses). Its vectors of a list of sentences can be given as a .jsonl with lines of {"sentence", "vector"}. A
  sentence without a vector in the file is an error that quotes the sentence.

All vectors have length 1, so their dot product is their cosine.
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
from reportgen_core.errors import quoted
from reportgen_core.files.digests import sha256_file
from reportgen_core.files.tables import LINES, table_rows
from reportgen_core.sentences.parts import SentenceEncoder, sentence_key

if TYPE_CHECKING:
    from torch import Tensor

Floats = NDArray[np.float32]
MAX_WIDTH = 4096
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")


class MeanPooled(SentenceEncoder):
    """Encode a sentence as the mean of a transformer's last hidden states over its word pieces.

    Args:
        model: folder or name in the hub's cache; empty: MiniLM.
        max_tokens: largest number of word pieces of a sentence; the rest is cut.
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
        """Return a sha256 of the model's files."""
        from .pretrained import fingerprint_of

        self._fingerprint = self._fingerprint or fingerprint_of(self.folder)
        return self._fingerprint

    def encode(self, sentences: Sequence[str]) -> Floats:
        """Return the vectors (n, dim), each of length 1."""
        import torch

        from .pretrained import batch_size, batches_by_length

        vectors = np.zeros((len(sentences), self.dim), np.float32)
        if not sentences:
            return vectors
        tokens = self._tokenizer(list(sentences), truncation=True, max_length=self.max_tokens)["input_ids"]
        with torch.inference_mode():
            for rows in batches_by_length(tokens, batch_size(self._model.device)):
                vectors[rows] = self._means([tokens[i] for i in rows]).float().cpu().numpy()
        return vectors

    def _means(self, tokens: Sequence[list[int]]) -> Tensor:
        """Return the vectors (B, dim) of B sentences, each of length 1."""
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
    """Encode a sentence as the mean of its words' vectors from a file, or by the file's vector of the whole sentence.

    Args:
        file: word2vec text or .bin, .npz with `words` and `vectors`; or .jsonl with `sentence` and `vector` in each
        line.
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
        if len(widths) != 1 or not 0 < min(widths) <= MAX_WIDTH:
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
        """Return a sha256 of the file."""
        return sha256_file(self.file)

    def encode(self, sentences: Sequence[str]) -> Floats:
        """Return the vectors (n, dim), each of length 1, or zeros for a sentence without any known word."""
        vectors = np.zeros((len(sentences), self.dim), np.float32)
        for n, sentence in enumerate(sentences):
            rows = self._rows_of(sentence)
            if rows:
                vectors[n] = self._vectors[rows].mean(0)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True).astype(np.float32)
        lengths[lengths == 0] = 1
        vectors /= lengths
        return vectors

    def _rows_of(self, sentence: str) -> list[int]:
        """Return the rows of the sentence's words, or of the whole sentence. Raises DataError if that is missing."""
        if self.whole:
            row = self._rows.get(sentence_key(sentence))
            if row is None:
                raise DataError(f"{self.file} has no vector of the sentence {quoted(sentence)}; compute it and add it")
            return [row]
        words = (w if w in self._rows else w.lower() for w in _WORD.findall(sentence))
        return [self._rows[w] for w in words if w in self._rows]


def _words(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield (word, vector) of a file of word vectors."""
    from ..decoders.blocks.vectors import read_vectors

    yield from read_vectors(path)


def _sentences(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield (sentence, vector) of a file of JSON lines. Raises ValueError for a line without a sentence."""
    for place, row in table_rows(path, kinds=LINES):
        if not isinstance(row.get("sentence"), str):
            raise ValueError(f"{place} has no sentence")
        yield row["sentence"], np.array(row["vector"], np.float32)
