"""`bert`: classify sentences as normal or abnormal by a BERT-like model.

Ni, Hsu, Gentili, McAuley: Learning Visual-Semantic Embeddings for Reporting Abnormal Findings on Chest X-rays, 2020,
arXiv:2010.02467, §3.2, fine-tune BERT (Devlin et al., 2019) on the sentences of Harzig et al., 2019. Here it is any
model of transformers that can classify sequences; the small MiniLM is the default.

- A sentence that occurs n times in the training reports is read once in an epoch, with √n as its weight and the share
  of its abnormal labels as its target. This halves the steps, and contradictions become soft targets.
- Embeddings and the lowest layers are not trained; sentences of similar length share a batch.
- A tenth of the training studies is held out to choose the number of epochs; then training starts again on all studies.

Letters: B sentences, T tokens.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from reportgen_core import CheckpointError, DataError, OptionError
from reportgen_core.sentences.classifiers import f1, hold_out, read_saved, saving
from reportgen_core.sentences.parts import LabelledSentence, OnLine, SentenceClassifier, sentence_key

from .pretrained import WEIGHTS, batch_size, batches_by_length, folder_of, load_model, load_tokenizer, quiet

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Floats = NDArray[np.float32]


class BertClassifier(SentenceClassifier):
    """Classify sentences by a fine-tuned transformer.

    Args:
        model: folder or name in the hub's cache of a BERT-like model; empty: MiniLM.
        epochs: the largest number of epochs; the best number is chosen on held-out studies.
        held_out: share, 0..1, of the training studies for that choice; 0: `epochs` epochs, without a choice.
        lr: highest learning rate; it rises over the first tenth of the steps and falls to zero.
        batch: sentences of a step.
        frozen: number of lowest layers that are not trained, in addition to the embeddings.
        max_tokens: largest number of word pieces of a sentence; the rest is cut.
        seed: random seed of order, dropout and the new layer.
        device: cpu, cuda, mps, or auto.
    """

    name: ClassVar[str] = "bert"

    def __init__(
        self,
        *,
        model: str = "",
        epochs: int = 4,
        held_out: float = 0.1,
        lr: float = 2e-4,
        batch: int = 32,
        frozen: int = 2,
        max_tokens: int = 96,
        seed: int = 0,
        device: str = "auto",
    ) -> None:
        if epochs < 1 or batch < 1 or max_tokens < 3 or not 0 <= held_out < 1:
            raise OptionError(f"bert wants epochs, batch >= 1, 0 <= held_out < 1, got {epochs}, {batch}, {held_out}")
        self.source, self.epochs, self.held_out, self.lr, self.batch = model, epochs, held_out, lr, batch
        self.frozen, self.max_tokens, self.seed, self.device = frozen, max_tokens, seed, device
        self._tokenizer: Any = None
        self._model: Any = None

    def fit(self, train: Sequence[LabelledSentence], watch: OnLine | None = None) -> Mapping[str, Any]:
        """Train the model, and return the number of epochs and how it was chosen. Raises DataError for one class."""
        if len({s.abnormal for s in train}) < 2:
            raise DataError(f"{len(train)} sentences to learn from, all of one class; normal and abnormal are wanted")
        folder = folder_of(self.source)
        self._tokenizer = load_tokenizer(folder)
        report = watch or (lambda line: None)
        chosen: dict[str, Any] = {"epochs": self.epochs}
        if self.held_out:
            rest, held_out = hold_out(train, self.held_out, self.seed)
            truth, texts, scores = [s.abnormal for s in held_out], [s.text for s in held_out], []
            for epoch in self._learn(folder, rest):
                scores.append(round(f1(truth, self.abnormal(texts)), 4))
                report(f"epoch {epoch}: F1 {scores[-1]:.4f} on {len(held_out)} held-out sentences")
            chosen = {"epochs": 1 + int(np.argmax(scores)), "F1 of held-out studies by epoch": scores}
        for epoch in self._learn(folder, train):  # the learning rates of the first run, up to its best epoch
            report(f"epoch {epoch} of {chosen['epochs']} on all {len(train)} sentences")
            if epoch == chosen["epochs"]:
                break
        return chosen

    def _learn(self, folder: Path, train: Sequence[LabelledSentence]) -> Iterator[int]:
        """Train a new model, and yield the number of finished epochs after each epoch."""
        import torch
        from transformers import AutoModelForSequenceClassification

        texts, shares, weights = count_sentences(train)
        tokens = self._tokens(texts)
        order = random.Random(self.seed)
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            self._model = load_model(AutoModelForSequenceClassification, folder, num_labels=2)
        self._model.to(device_of(self.device))
        freeze(self._model, self.frozen)
        steps = Steps(self._model, self.lr, self.epochs * math.ceil(len(tokens) / self.batch))
        for epoch in range(1, self.epochs + 1):
            self._model.train()
            with torch.random.fork_rng():  # dropout draws from the global state, which is the caller's
                torch.manual_seed(self.seed + epoch)
                for rows in shuffled_batches(tokens, self.batch, order):
                    steps.take(self._logits([tokens[i] for i in rows]), shares[rows], weights[rows])
            self._model.eval()
            yield epoch

    def probabilities(self, sentences: Sequence[str]) -> Floats:
        """Return the probability (n,) of abnormal of each sentence. Raises OptionError before training."""
        import torch

        if self._model is None:
            raise OptionError("this classifier has learned nothing; fit it, or load a folder")
        self._model.eval()
        abnormal = np.zeros(len(sentences), np.float32)
        tokens = self._tokens(sentences)
        with torch.inference_mode():
            for rows in batches_by_length(tokens, batch_size(self._model.device)):
                logits = self._logits([tokens[i] for i in rows]).float()
                abnormal[rows] = logits.softmax(-1)[:, 1].cpu().numpy()
        return abnormal

    def _tokens(self, sentences: Sequence[str]) -> list[list[int]]:
        """Return the ids of each sentence's word pieces."""
        if not sentences:
            return []
        keys = [sentence_key(s) for s in sentences]
        encoded = self._tokenizer(keys, truncation=True, max_length=self.max_tokens, return_attention_mask=False)
        return list(encoded["input_ids"])

    def _logits(self, tokens: Sequence[list[int]]) -> Tensor:
        """Return the logits (B, 2) of B sentences. Padding is masked."""
        import torch

        T = max(map(len, tokens))
        pad = self._tokenizer.pad_token_id or 0
        ids = torch.tensor([row + [pad] * (T - len(row)) for row in tokens], device=self._model.device)  # (B, T)
        mask = torch.tensor([[1] * len(row) + [0] * (T - len(row)) for row in tokens], device=self._model.device)
        logits: Tensor = self._model(input_ids=ids, attention_mask=mask).logits
        return logits

    def save(self, folder: Path, *, about: Mapping[str, Any] | None = None) -> Path:
        """Save model and tokenizer as transformers does, and return the folder."""
        with saving(folder, self.name, {"max_tokens": self.max_tokens}, about) as temporary, quiet():
            self._model.save_pretrained(temporary)
            self._tokenizer.save_pretrained(temporary)
        return folder

    @classmethod
    def load(cls, folder: Path) -> BertClassifier:
        """Load a saved classifier. Raises CheckpointError if its weights are not complete."""
        from safetensors import safe_open
        from transformers import AutoModelForSequenceClassification

        classifier = cls(max_tokens=int(read_saved(folder, cls.name).get("max_tokens", 96)))
        classifier._tokenizer = load_tokenizer(folder)
        classifier._model = load_model(AutoModelForSequenceClassification, folder)
        with safe_open(folder / WEIGHTS, "pt") as file:
            saved = set(file.keys())
        absent = [name for name in classifier._model.state_dict() if name not in saved]
        if absent:  # transformers would fill them at random
            raise CheckpointError(f"{folder} is no trained classifier: {WEIGHTS} has no {absent[0]}")
        classifier._model.to(device_of("auto"))
        return classifier


class Steps:
    """AdamW steps. The learning rate rises over a tenth of the steps and falls to zero; gradients are clipped at 1."""

    def __init__(self, model: Any, lr: float, steps: int) -> None:
        import torch

        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(self.parameters, lr, weight_decay=0.01)
        rise = max(1, steps // 10)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda n: min((n + 1) / rise, max(0.0, (steps - n) / max(1, steps - rise)))
        )

    def take(self, logits: Tensor, shares: Floats, weights: Floats) -> None:
        """Take one step on the weighted cross entropy, with shares (B,) of abnormal as soft targets."""
        import torch
        from torch.nn import functional as F

        share, weight = torch.from_numpy(np.stack([shares, weights])).to(logits.device)  # (B,) each
        loss = (weight * F.cross_entropy(logits, torch.stack([1 - share, share], 1), reduction="none")).mean()
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.schedule.step()


def count_sentences(sentences: Sequence[LabelledSentence]) -> tuple[list[str], Floats, Floats]:
    """Return each sentence once, the share of its occurrences that are abnormal, and its weight, with a mean of 1."""
    counts: dict[str, list[int]] = {}
    for s in sentences:
        row = counts.setdefault(sentence_key(s.text), [0, 0])
        row[0] += s.abnormal
        row[1] += 1
    rows = np.array(list(counts.values()), np.float32)  # (n, 2): abnormal, all
    weights = np.sqrt(rows[:, 1])
    return list(counts), rows[:, 0] / rows[:, 1], weights / weights.mean()


def shuffled_batches(tokens: list[list[int]], batch: int, order: random.Random) -> list[list[int]]:
    """Return the row numbers of one epoch in batches of similar length, drawn again for each epoch."""
    jitter = [len(t) + order.random() * 3 for t in tokens]
    rows = sorted(range(len(tokens)), key=jitter.__getitem__)
    batches = [rows[i * batch : (i + 1) * batch] for i in range(math.ceil(len(rows) / batch))]
    order.shuffle(batches)
    return batches


def freeze(model: Any, layers: int) -> None:
    """Turn off the gradients of the embeddings and of the lowest `layers` layers."""
    body = getattr(model, model.base_model_prefix)
    parts = [body.embeddings] if hasattr(body, "embeddings") else []
    stack = getattr(getattr(body, "encoder", body), "layer", None)
    parts += list(stack[:layers]) if stack is not None else []
    for part in parts:
        part.requires_grad_(False)


def device_of(name: str) -> torch.device:
    """Return the device of a name; auto is a GPU if there is one. Raises OptionError if torch does not have it."""
    import torch

    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(d for d, usable in available.items() if usable)
    if not available.get(name.partition(":")[0], False):
        raise OptionError(f"device={name}: torch finds no such device here")
    return torch.device(name)
