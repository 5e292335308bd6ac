"""`bert`: a BERT-like model says whether a sentence is abnormal.

Ni, Hsu, Gentili, McAuley: Learning Visual-Semantic Embeddings for Reporting Abnormal Findings on Chest X-rays, 2020,
arXiv:2010.02467, §3.2, fine-tune BERT (Devlin et al., 2019) on the sentences of Harzig et al., 2019. Here it is any
model of transformers with a classifier of sequences; the small MiniLM is the default.

- A sentence that stands in the training reports n times is learned once a pass, with the root of n as its weight and
  the share of those that call it abnormal as its target: half the steps, and contradictions become soft targets.
- Embeddings and the lowest layers stay as they are; sentences of like length share a batch.
- How many epochs: chosen on a tenth of the training studies that is held out for it; then all are learned from anew.

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
from reportgen_core.sentence_parts import LabelledSentence, OnLine, SentenceClassifier, sentence_key
from reportgen_core.sentences.classifiers import f1, hold_out, read_saved, saving

from .pretrained import WEIGHTS, folder_of, lengths_in_order, load_model, load_tokenizer, quiet

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Floats = NDArray[np.float32]
AT_ONCE = 128  # sentences of a batch that is only read


class BertClassifier(SentenceClassifier):
    """Fine-tuned transformer.

    Args:
        model: folder or name in the hub's cache of a BERT-like model; empty: MiniLM.
        epochs: the most passes over the training sentences; how many are made is chosen on held-out studies.
        held_out: share of the training studies that choose; 0: `epochs` passes, nothing chosen.
        lr: highest learning rate; it rises over the first tenth of the steps and falls to zero.
        batch: sentences a step.
        frozen: lowest layers that do not learn, beside the embeddings.
        max_tokens: word pieces of a sentence that are read.
        seed: of order, dropout and the new layer.
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
        if len({s.abnormal for s in train}) < 2:
            raise DataError(f"{len(train)} sentences to learn from, all of one class; normal and abnormal are wanted")
        folder = folder_of(self.source)
        self._tokenizer = load_tokenizer(folder)
        tell = watch or (lambda line: None)
        chosen: dict[str, Any] = {"epochs": self.epochs}
        if self.held_out:
            learn, judge = hold_out(train, self.held_out, self.seed)
            truth, texts, scores = [s.abnormal for s in judge], [s.text for s in judge], []
            for done in self._learn(folder, learn):
                scores.append(round(f1(truth, self.abnormal(texts)), 4))
                tell(f"epoch {done}: F1 {scores[-1]:.4f} on {len(judge)} held-out sentences")
            chosen = {"epochs": 1 + int(np.argmax(scores)), "F1 of held-out studies by epoch": scores}
        for done in self._learn(folder, train):  # the rates of the run that chose, up to where it was best
            tell(f"epoch {done} of {chosen['epochs']} on all {len(train)} sentences")
            if done == chosen["epochs"]:
                break
        return chosen

    def _learn(self, folder: Path, train: Sequence[LabelledSentence]) -> Iterator[int]:
        """Learn anew; after each epoch how many are done."""
        import torch
        from transformers import AutoModelForSequenceClassification

        texts, shares, weights = once(train)
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
                for rows in shuffled(tokens, self.batch, order):
                    steps.take(self._logits([tokens[i] for i in rows]), shares[rows], weights[rows])
            self._model.eval()
            yield epoch

    def probabilities(self, sentences: Sequence[str]) -> Floats:
        import torch

        if self._model is None:
            raise OptionError("this classifier has learned nothing; fit it, or load a folder")
        self._model.eval()
        found = np.zeros(len(sentences), np.float32)
        tokens = self._tokens(sentences)
        with torch.inference_mode():
            for rows in lengths_in_order(tokens, AT_ONCE):
                logits = self._logits([tokens[i] for i in rows]).float()
                found[rows] = logits.softmax(-1)[:, 1].cpu().numpy()
        return found

    def _tokens(self, sentences: Sequence[str]) -> list[list[int]]:
        if not sentences:
            return []
        keys = [sentence_key(s) for s in sentences]
        read = self._tokenizer(keys, truncation=True, max_length=self.max_tokens, return_attention_mask=False)
        return list(read["input_ids"])

    def _logits(self, tokens: Sequence[list[int]]) -> Tensor:
        """(B, 2) of B sentences; padding is masked."""
        import torch

        T = max(map(len, tokens))
        pad = self._tokenizer.pad_token_id or 0
        ids = torch.tensor([row + [pad] * (T - len(row)) for row in tokens], device=self._model.device)  # (B, T)
        mask = torch.tensor([[1] * len(row) + [0] * (T - len(row)) for row in tokens], device=self._model.device)
        logits: Tensor = self._model(input_ids=ids, attention_mask=mask).logits
        return logits

    def save(self, folder: Path, *, about: Mapping[str, Any] | None = None) -> Path:
        with saving(folder, self.name, {"max_tokens": self.max_tokens}, about) as beside, quiet():
            self._model.save_pretrained(beside)
            self._tokenizer.save_pretrained(beside)
        return folder

    @classmethod
    def load(cls, folder: Path) -> BertClassifier:
        from safetensors import safe_open
        from transformers import AutoModelForSequenceClassification

        made = cls(max_tokens=int(read_saved(folder, cls.name).get("max_tokens", 96)))
        made._tokenizer = load_tokenizer(folder)
        made._model = load_model(AutoModelForSequenceClassification, folder)
        with safe_open(folder / WEIGHTS, "pt") as file:
            there = set(file.keys())
        absent = [name for name in made._model.state_dict() if name not in there]
        if absent:  # transformers would fill them at random
            raise CheckpointError(f"{folder} is no trained classifier: {WEIGHTS} has no {absent[0]}")
        made._model.to(device_of("auto"))
        return made


class Steps:
    """AdamW with a rate that rises over a tenth of the steps and falls to zero; gradients are clipped at 1."""

    def __init__(self, model: Any, lr: float, steps: int) -> None:
        import torch

        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(self.parameters, lr, weight_decay=0.01)
        rise = max(1, steps // 10)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda n: min((n + 1) / rise, max(0.0, (steps - n) / max(1, steps - rise)))
        )

    def take(self, logits: Tensor, shares: Floats, weights: Floats) -> None:
        """One step on the weighted cross entropy with shares as targets."""
        import torch
        from torch.nn import functional as F

        share, weight = torch.from_numpy(np.stack([shares, weights])).to(logits.device)  # (B,) each
        loss = (weight * F.cross_entropy(logits, torch.stack([1 - share, share], 1), reduction="none")).mean()
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.schedule.step()


def once(sentences: Sequence[LabelledSentence]) -> tuple[list[str], Floats, Floats]:
    """Each sentence once, the share of its occurrences that are abnormal, and its weight, 1 in the mean."""
    counts: dict[str, list[int]] = {}
    for s in sentences:
        row = counts.setdefault(sentence_key(s.text), [0, 0])
        row[0] += s.abnormal
        row[1] += 1
    rows = np.array(list(counts.values()), np.float32)  # (n, 2): abnormal, all
    weights = np.sqrt(rows[:, 1])
    return list(counts), rows[:, 0] / rows[:, 1], weights / weights.mean()


def shuffled(tokens: list[list[int]], batch: int, order: random.Random) -> list[list[int]]:
    """One pass: batches of like lengths, in random order, other batches in each pass."""
    jitter = [len(t) + order.random() * 3 for t in tokens]
    rows = sorted(range(len(tokens)), key=jitter.__getitem__)
    batches = [rows[i * batch : (i + 1) * batch] for i in range(math.ceil(len(rows) / batch))]
    order.shuffle(batches)
    return batches


def freeze(model: Any, layers: int) -> None:
    """Embeddings and the lowest layers get no gradient."""
    body = getattr(model, model.base_model_prefix)
    parts = [body.embeddings] if hasattr(body, "embeddings") else []
    stack = getattr(getattr(body, "encoder", body), "layer", None)
    parts += list(stack[:layers]) if stack is not None else []
    for part in parts:
        part.requires_grad_(False)


def device_of(name: str) -> torch.device:
    """The device a name means; auto: a GPU where there is one."""
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(d for d, usable in there.items() if usable)
    if not there.get(name.partition(":")[0], False):
        raise OptionError(f"device={name}: torch finds no such device here")
    return torch.device(name)
