"""The features of a fixed encoder, computed once for each study of a training run."""

from __future__ import annotations

from dataclasses import fields, replace

import torch
from torch import Tensor

from ..models.model import Model
from ..types import Batch, Features

FIELDS = tuple(f.name for f in fields(Features))


class FeatureMemory:
    """Remembers every field of `Features` for each study, by its id, as long as a training run lasts.

    It is right only while the encoder stays as it is, and while one id means one study.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self._rows: dict[str, dict[str, Tensor | None]] = {}

    def encode(self, batch: Batch) -> Features:
        """Return the features of a batch; the encoder reads only the studies that it has not seen yet."""
        new = [i for i, id in enumerate(batch.ids) if id not in self._rows]
        if new:
            part = replace(batch, ids=tuple(batch.ids[i] for i in new), pixels=batch.pixels[new], mask=batch.mask[new])
            with torch.no_grad():
                features = self.model.encode(part)
            for row, i in enumerate(new):
                values = {name: getattr(features, name) for name in FIELDS}
                self._rows[batch.ids[i]] = {k: None if v is None else v[row] for k, v in values.items()}
        rows = [self._rows[id] for id in batch.ids]
        return Features(**{name: _stack([row[name] for row in rows]) for name in FIELDS})  # type: ignore[arg-type]


def _stack(values: list[Tensor | None]) -> Tensor | None:
    """Return the values of the studies as one tensor; None for a field that the encoder leaves out."""
    tensors = [v for v in values if v is not None]
    return torch.stack(tensors) if len(tensors) == len(values) else None
