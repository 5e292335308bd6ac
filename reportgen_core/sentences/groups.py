"""Groups of sentences of reports, with the vectors of the sentences, saved as a folder.

Ni, Hsu, Gentili, McAuley: Learning Visual-Semantic Embeddings for Reporting Abnormal Findings on Chest X-rays, 2020,
arXiv:2010.02467, finds abnormal sentences with a classifier (`SentenceClassifier`), and groups them (`SentenceGrouper`)
by their vectors (`SentenceEncoder`). The retrievers learn against the groups.

A folder of groups, format 1:

    groups.json          {"format": 1, "groups": [{"central", "terms", "sentences", "counts", "cluster"}, ...],
                          "encoder": {"name", "options", "fingerprint", "dim"}, "settings": {...}, "vectors_sha256"}
    vectors.safetensors  "vectors" (Σ sentences, dim) float32: the sentences of group 0, those of group 1, ...

The folder is written under a temporary name and renamed. Vectors are refused if their sha256 differs from that in the
JSON. This module needs no torch.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DataError, quoted
from ..files.atomic import replacing
from ..files.digests import sha256_file
from ..files.json_files import is_format, read_json, write_json
from .parts import Group, Groups

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

FORMAT = 1
MAX_GROUPS = 2**30  # the largest size of groups.json in bytes: it contains every sentence
GROUPS, VECTORS = "groups.json", "vectors.safetensors"
_WORD = re.compile(r"[^\W\d_]{2,}(?:-[^\W\d_]+)*")
_FUNCTION = (
    "an and are as at be been by for from has have in is it its may no not of on or that the there these this to was "
    "were which with again appear appears compatible consistent identified likely noted present representing seen xxxx"
)
_FUNCTION_WORDS = frozenset(_FUNCTION.split())


def common_words(group: Group, most: int = 4) -> tuple[str, ...]:
    """Return the `most` most frequent words of a group without function words, the most frequent first.

    A word is counted once for each sentence that has it.
    """
    counts = group.counts or (1,) * len(group.sentences)
    words: Counter[str] = Counter()
    for sentence, count in zip(group.sentences, counts, strict=True):
        words.update({w: count for w in {*_WORD.findall(sentence.lower())} - _FUNCTION_WORDS})
    return tuple(sorted(words, key=lambda w: (-words[w], w))[:most])


def save_groups(
    path: Path,
    groups: Sequence[Group],
    vectors: Floats | None = None,
    *,
    encoder: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Path:
    """Write a folder of groups and return its path. An existing folder is replaced as a whole.

    `vectors` (sentences, dim) has the rows of `Groups.vectors`. Raises DataError if their number is another.
    """
    import numpy as np
    from safetensors.numpy import save_file

    count = sum(len(g.sentences) for g in groups)
    if vectors is not None and (vectors.ndim != 2 or len(vectors) != count):
        raise DataError(f"groups of {count} sentences need vectors ({count}, dim), got {tuple(vectors.shape)}")
    config: dict[str, Any] = {
        "format": FORMAT,
        "groups": [asdict(g) for g in groups],
        "encoder": dict(encoder or {}),
        "settings": dict(settings or {}),
        "vectors_sha256": "",
    }
    with replacing(path, holds=GROUPS) as temporary:
        if vectors is not None:
            save_file({"vectors": np.ascontiguousarray(vectors, np.float32)}, temporary / VECTORS)
            config["vectors_sha256"] = sha256_file(temporary / VECTORS)
        write_json(temporary / GROUPS, config)
    return path


def load_groups(path: Path) -> Groups:
    """Read a folder of groups. Raises DataError if it is none, has another format, or is not whole."""
    config = _config(path)
    try:
        groups = tuple(_group(row) for row in config["groups"])
        encoder, settings, digest = dict(config["encoder"]), dict(config["settings"]), str(config["vectors_sha256"])
    except (KeyError, TypeError, ValueError) as e:
        raise DataError(f"{path / GROUPS} is no list of groups: {type(e).__name__}: {e}") from e
    return Groups(groups, _vectors(path, digest, groups), encoder, settings)


def _config(path: Path) -> dict[str, Any]:
    file = path / GROUPS
    if not file.exists():
        raise DataError(f"{path} holds no groups: it has no {GROUPS}; rg data groups --out {path} makes them")
    config = read_json(file, DataError, MAX_GROUPS)
    if not isinstance(config, dict) or "groups" not in config:
        raise DataError(f"{file} is no list of groups; rg data groups --out {path} makes one")
    if not is_format(config.get("format"), FORMAT):
        raise DataError(f"{file} is of format {config.get('format')}; this reportgen reads format {FORMAT}")
    return config


def _group(row: Mapping[str, Any]) -> Group:
    sentences, counts = _texts(row["sentences"]), tuple(int(n) for n in row["counts"])
    if not sentences or row["central"] not in sentences or len(counts) not in (0, len(sentences)):
        raise ValueError(f"a group needs sentences, its central one among them, and as many counts: {row['central']!r}")
    return Group(sentences, str(row["central"]), _texts(row["terms"]), counts, int(row["cluster"]))


def _texts(values: Any) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
        raise TypeError(f"expected a list of texts, got {quoted(values)}")
    return tuple(values)


def _vectors(path: Path, digest: str, groups: Sequence[Group]) -> Floats | None:
    if not digest:
        return None
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    file = path / VECTORS
    try:
        if sha256_file(file) != digest:
            raise DataError(f"{file} is not the file that {GROUPS} was written with; make the groups again")
        vectors: Floats = load_file(file)["vectors"]
    except (OSError, SafetensorError, KeyError) as e:
        raise DataError(f"{file} cannot be read: {e}") from e
    count = sum(len(g.sentences) for g in groups)
    if vectors.ndim != 2 or len(vectors) != count or vectors.dtype != "float32":
        raise DataError(f"{file} has vectors {tuple(vectors.shape)} {vectors.dtype}, expected ({count}, dim) float32")
    return vectors
