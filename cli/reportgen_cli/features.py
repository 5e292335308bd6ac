"""The image features of a model's encoder, for the nearest-image baseline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reportgen_core import Model, Study


def pooled(model: Model, studies: Sequence[Study], batch_size: int) -> dict[str, Any]:
    """The pooled features (P,) of each study that can be read."""
    import torch

    from reportgen_core.studies import read_batches

    model.eval()
    found: dict[str, Any] = {}
    with torch.inference_mode():
        for batch, _ in read_batches(studies, model.encoder.image, batch_size=batch_size, workers=0, cache=None):
            if batch.ids:
                rows = model.encode(batch).pooled.float().cpu().numpy()
                found |= dict(zip(batch.ids, rows, strict=True))
    return found
