"""Read word vectors and start an embedding from them: word2vec's text and binary files, and numpy's .npz.

The formats are those of the word2vec program (Mikolov et al., 2013, arXiv:1301.3781): a line of two numbers, then each
word with its numbers, as text or as 32-bit floats; the first line may be missing in text. A .npz holds `words` and
`vectors`. Words are matched as written and in lower case. No pickle is read.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from reportgen_core import OptionError

MAX_WORD = 1024  # bytes of a word; a file with a longer one is no word2vec file
MAX_WIDTH = 4096

Vector = NDArray[Any]


def set_vectors(embedding: nn.Embedding, words: Sequence[str], path: str | Path) -> int:
    """Copy the vectors of a file into the embedding's rows of their words. Return the number of rows that were set.

    On the meta device nothing is read, because a checkpoint has its own weights. Raises OptionError for a bad file.
    """
    if embedding.weight.is_meta:
        return 0
    path, rows = Path(path), {word: i for i, word in enumerate(words)}
    vectors: dict[int, Vector] = {}
    try:
        for word, vector in read_vectors(path):
            if len(vector) != embedding.embedding_dim:
                raise OptionError(
                    f"{path} has vectors of {len(vector)}, the embedding {embedding.embedding_dim}; "
                    f"set embedding={len(vector)}"
                )
            for name in (word, word.lower()):
                if name in rows:
                    vectors.setdefault(rows[name], vector)
    except OSError as e:
        raise OptionError(f"vectors {path} cannot be read: {e.strerror}") from e
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as e:
        raise OptionError(f"{path} is no file of word vectors (word2vec text or .bin, or .npz): {e}") from e
    with torch.no_grad():
        for row, vector in vectors.items():
            embedding.weight[row] = torch.from_numpy(np.asarray(vector, np.float32).copy())
    return len(vectors)


def read_vectors(path: Path) -> Iterator[tuple[str, Vector]]:
    """Yield (word, vector) of a file, by its suffix: .npz, .bin, else text. Raises ValueError, KeyError or EOFError."""
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            yield from zip(file["words"].tolist(), file["vectors"], strict=True)
    elif path.suffix == ".bin":
        with path.open("rb") as stream:
            yield from _binary(stream)
    else:
        with path.open(encoding="utf-8", errors="replace") as text:
            for n, line in enumerate(text):
                word, *numbers = line.rstrip().split(" ")
                if n or len(numbers) != 1:
                    yield word, np.array(numbers, np.float32)


def _binary(file: BinaryIO) -> Iterator[tuple[str, Vector]]:
    """Yield (word, vector) of a word2vec binary file. Raises ValueError if it is damaged."""
    count, width = (int(n) for n in file.readline(64).split())
    if not 0 < width <= MAX_WIDTH:
        raise ValueError(f"its first line says vectors of {width}")
    for _ in range(count):
        word = bytearray()
        while (sign := file.read(1)) != b" ":
            if not sign or len(word) > MAX_WORD:
                raise ValueError("it ends, or goes on, in the middle of a word")
            word += sign
        raw = file.read(4 * width)
        if len(raw) < 4 * width:
            raise ValueError("it ends in the middle of a vector")
        yield word.decode("utf-8", "replace").lstrip("\n"), np.frombuffer(raw, np.float32)
