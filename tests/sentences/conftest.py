"""A tiny transformer, and reports in the language of `plain_language`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from plain_language import labelled

from reportgen_core.sentences.parts import LabelledSentence


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random BERT of two layers and a word list, as transformers saves them."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("bert")
    words = sorted({w for s in labelled() for w in s.text.split()})
    (folder / "vocab.txt").write_text("\n".join(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words)))
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    config = BertConfig(
        vocab_size=5 + len(words), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """The sentences as rows of reports, the last fifth of them dev."""
    reports: dict[str, list[LabelledSentence]] = {}
    for s in labelled():
        reports.setdefault(s.study, []).append(s)
    rows = [
        {
            "id": name,
            "findings": " ".join(s.text for s in some),
            "sentence_abnormal": {
                "split": "dev" if i >= 48 else "train",
                "sents": [s.text for s in some],
                "abnormal": [s.abnormal for s in some],
            },
        }
        for i, (name, some) in enumerate(reports.items())
    ]
    path = tmp_path / "reports.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return path
