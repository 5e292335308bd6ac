"""Write and judge reports of chest X-rays. These are the functions that most programs need; each has an example.

    import reportgen

    model = reportgen.load()                        # the model that ships inside; or a name, or a folder
    reports = model.report(reportgen.sample_image())  # or "chest.png", a PIL image, an array, or a list of them
    print(reports.text)
    reports.show()                                  # in a notebook: the radiograph and where each sentence looked

To train a model on images and texts of your own:

    studies = reportgen.studies([("a.png", "The heart is normal."), ("b.png", "Small left effusion.")])
    model = reportgen.compose("densenet121", "lstm")  # hier-lstm also learns tags: a column tags
    model = reportgen.train(model, studies, epochs=2)
    scores = reportgen.evaluate(model, studies).scores

`print(*reportgen.encoders)` lists the encoders; `decoders`, `retrievers`, `metrics`, `datasets`, `protocols` and
`presets` likewise. What an author of a plugin needs is in `reportgen_core`, whose names are served here as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .lazy import lazy_names

if TYPE_CHECKING:
    from .functions import audit, compose, evaluate, load, sample_image, save, train
    from .names import (
        GenerationSettings,
        Report,
        ReportgenError,
        Study,
        TrainSettings,
        View,
        __version__,
        datasets,
        decoders,
        encoders,
        metrics,
        presets,
        protocols,
        retrievers,
    )  # fmt: skip
    from .sources import studies

__all__ = [
    "GenerationSettings", "Report", "ReportgenError", "Study", "TrainSettings", "View", "__version__", "audit",
    "compose", "datasets", "decoders", "encoders", "evaluate", "load", "metrics", "presets", "protocols", "retrievers",
    "sample_image", "save", "studies", "train",
]  # fmt: skip

_get, __dir__ = lazy_names(__name__, {
    "functions": ["audit", "compose", "evaluate", "load", "sample_image", "save", "train"],
    "names": [
        "GenerationSettings", "Report", "ReportgenError", "Study", "TrainSettings", "View", "__version__", "datasets",
        "decoders", "encoders", "metrics", "presets", "protocols", "retrievers",
    ],
    "sources": ["studies"],
})  # fmt: skip


def __getattr__(name: str) -> object:
    if name in __all__ or name.startswith("__"):
        return _get(name)
    import reportgen_core

    if name in reportgen_core.__all__:
        return getattr(reportgen_core, name)
    from .guesses import answer

    raise AttributeError(f"module 'reportgen' has no attribute {name!r}{answer(name, __all__)}")
