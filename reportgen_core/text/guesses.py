"""Names that people guess of a model, and the call that each of them means.

Whoever writes `model.generate("chest.png")` reads in the error what to call. Nothing here renames or runs anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..registry import fold, near_names

_REPORT, _LOOK = 'model.report("chest.png")', 'model.report("chest.png")[0].attention.heatmap(0)'
_LOAD, _SAVE = 'reportgen.load("NAME or FOLDER")', 'model.save("FOLDER")'
_TRAIN, _SCORE = "reportgen.train(model, studies)", "reportgen.evaluate(model, studies)"

MODEL: Mapping[str, str] = {  # as `fold` writes them
    "annotate": _REPORT, "attention": _LOOK, "beamsearch": _REPORT, "caption": _REPORT, "describe": _REPORT,
    "evaluate": _SCORE, "explain": _LOOK, "fit": _TRAIN, "frompretrained": _LOAD, "generate": _REPORT,
    "generatereport": _REPORT, "gradcam": _LOOK, "heatmap": _LOOK, "infer": _REPORT, "inference": _REPORT,
    "load": _LOAD, "loadfromcheckpoint": _LOAD, "loadmodel": _LOAD, "loadweights": _LOAD, "predict": _REPORT,
    "predictproba": 'model.report("chest.png")[0].findings', "predictstep": _REPORT, 
    "run": _REPORT, "sample": _REPORT, "savemodel": _SAVE, "savepretrained": _SAVE, "saveweights": _SAVE,
    "score": _SCORE, "test": _SCORE, "tokenizer": "model.text", "transcribe": _REPORT, "translate": _REPORT,
    "validate": _SCORE, "vocab": "model.targets.words", "write": _REPORT, "writereport": _REPORT,
}  # fmt: skip


def meant_call(name: str, names: Iterable[str], table: Mapping[str, str] = MODEL) -> str:
    """Return the end of an error message about an unknown attribute: the call that it means; "" if none is known.

    `names` are the attributes that there are; the nearest of them is proposed for a word that is in no table.
    """
    if name.startswith("_"):
        return ""
    if meant := table.get(fold(name)):
        return f"; it is {meant}"
    near = near_names(name, [n for n in names if not n.startswith("_")])[:1] if len(name) > 2 else []
    return f"; did you mean {near[0]}?" if near else ""
