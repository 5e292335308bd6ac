"""Values that draw themselves in a notebook, and the attention of a report. No torch or numpy is imported by itself.
The room `models.drawing` says how a value is drawn; the `__init__` of the core connects the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from .lazy import WINGS

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    Array = np.ndarray[Any, np.dtype[Any]]


class Drawn:
    """A value with a picture or a table in a notebook: the last line of a cell, or `show()`. `print` writes a line."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(WINGS["line"](self))

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:  # a guess, such as report.plot()
            raise AttributeError(WINGS["unknown"](self, name))

    def _repr_html_(self) -> str:
        return str(WINGS["html"](self))

    def show(self, out: str | Path | None = None) -> Path | None:
        """Draw the value in the notebook; elsewhere, or with `out`, write it as an HTML page and return its path.

        A page without `out` is opened in the browser.
        """
        page: Path | None = WINGS["show"](self, out)
        return page


@dataclass(frozen=True, slots=True, repr=False)
class Attention:
    """The attention weights of a report: one row for each sentence or each word. A row sums to 1 over real columns.

    `np.asarray(attention)` is the weights over the regions by `axes`, and `attention[0]` is its first row.
    """

    per: Literal["sentence", "word"]
    regions: Tensor | None = None  # (rows, N)
    tags: Tensor | None = None  # (rows, M)
    tag_ids: Tensor | None = None  # (M,) the ids of the tags in the columns of `tags`
    words: Tensor | None = None  # (rows, T): weights over the words of the report
    grid: tuple[int, int, int] | None = None  # (views, rows, columns) of the N regions; None: they have no place
    spans: tuple[tuple[int, int], ...] = ()  # for each sentence its first row and the row after its last

    if not TYPE_CHECKING:
        __getattr__ = Drawn.__getattr__

    @property
    def axes(self) -> tuple[str, ...]:
        """Return the names of the axes of the array: ("sentences" or "words", "views", "rows", "columns")."""
        return (f"{self.per}s", *(("views", "rows", "columns") if self.grid else ("regions",)))

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the length of each axis."""
        if self.regions is None:
            return (0,) * len(self.axes)
        return (len(self.regions), *(self.grid or (self.regions.shape[1],)))

    def __repr__(self) -> str:
        return f"Attention of {' × '.join(f'{n} {axis}' for n, axis in zip(self.shape, self.axes, strict=True))}"

    def __len__(self) -> int:
        return self.shape[0]

    def __bool__(self) -> bool:
        return True

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        import numpy as np

        if self.regions is None:
            return np.zeros(self.shape, dtype or np.float32)
        weights = self.regions.detach().float().cpu().numpy().reshape(self.shape)
        return weights.astype(dtype or np.float32, copy=bool(copy))

    def __getitem__(self, key: Any) -> Any:
        return self.__array__()[key]

    def heatmap(self, sentence: int = 0, *, view: int | None = None) -> Array:
        """Return the weights (rows, columns) of a sentence, counted from 0, the mean over its words if they have rows.

        Of several views it is the one with the most attention, unless `view` names another. Raises IndexError for a
        sentence or view that there is not, and ValueError if the regions have no place on the image.
        """
        return WINGS["heatmap"](self, sentence, view)  # type: ignore[no-any-return]  # an array, by its docstring
