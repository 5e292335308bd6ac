"""Names that people guess of a model, a report, an evaluation or a part, and the call that each of them means.

Whoever writes `model.generate("chest.png")` reads in the error what to call, and whoever names a decoder where a model
is wanted reads that it is a decoder. Nothing here renames or runs anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .. import registries
from ..discovery import names as names_of_hook
from ..registry import Registry, fold, match_name, near_names

_REPORT, _LOOK = 'model.report("chest.png")', 'model.report("chest.png")[0].attention.heatmap(0)'
_LOAD, _SAVE = 'reportgen.load("NAME or FOLDER")', 'model.save("FOLDER")'
_TRAIN, _SCORE = "reportgen.train(model, studies)", "reportgen.evaluate(model, studies)"
_MAP = 'report.show() for a picture, report.show("report.html") for a file, report.attention.heatmap(0) for the numbers'
_TABLE = 'print(evaluation) for a table, evaluation.show("scores.html") for a page, evaluation.scores for the numbers'
_SPLIT = 'studies.split("{}")'

MODEL: Mapping[str, str] = {  # as `fold` writes them
    "annotate": _REPORT, "beamsearch": _REPORT, "caption": _REPORT, "describe": _REPORT,
    **dict.fromkeys(
        ("attention", "attentionmap", "attentionmaps", "attentionweights", "cam", "explain", "getattention", "gradcam",
         "heatmap", "plot", "plotattention", "plotheatmap", "saliency", "showattention", "visualise",
         "visualiseattention", "visualize", "visualizeattention"),
        _LOOK,
    ),
    "evaluate": _SCORE, "finetune": _TRAIN, "fit": _TRAIN, "frompretrained": _LOAD, "generate": _REPORT,
    "generatereport": _REPORT, "infer": _REPORT, "inference": _REPORT,
    "load": _LOAD, "loadfromcheckpoint": _LOAD, "loadmodel": _LOAD, "loadweights": _LOAD, "predict": _REPORT,
    "predictproba": 'model.report("chest.png")[0].findings', "predictstep": _REPORT,
    "run": _REPORT, "sample": _REPORT, "savemodel": _SAVE, "savepretrained": _SAVE, "saveweights": _SAVE,
    "score": _SCORE, "summary": "print(model), or model.show()", "test": _SCORE, "tokenizer": "model.text",
    "transcribe": _REPORT, "translate": _REPORT,
    "validate": _SCORE, "vocab": "model.targets.words", "write": _REPORT, "writereport": _REPORT,
}  # fmt: skip
REPORT: Mapping[str, str] = {
    **dict.fromkeys(
        ("attentionmap", "attentionmaps", "attentionweights", "cam", "display", "draw", "explain", "gradcam", "heatmap",
         "heatmaps", "plot", "plotattention", "plotheatmap", "saliency", "save", "savefig", "saveimage",
         "showattention", "tohtml", "visualise", "visualiseattention", "visualize", "visualizeattention"),
        _MAP,
    ),
    **dict.fromkeys(("caption", "content", "generated", "generatedtext", "output", "prediction", "report", "string"),
                    "report.text"),
    **dict.fromkeys(("confidence", "logprob", "probability"), "report.score"),
    **dict.fromkeys(("id", "studyid", "uid"), "report.study"), "beams": "report.alternatives",
    "candidates": "report.alternatives", "error": "report.problem", "labels": "report.findings",
    "paths": "report.views", "tokens": "report.words", "warning": "report.note",
}  # fmt: skip
EVALUATION: Mapping[str, str] = {
    **dict.fromkeys(
        ("display", "plot", "print", "report", "results", "save", "score", "showtable", "summary", "table",
         "todataframe", "todf", "tohtml", "topandas", "values"),
        _TABLE,
    ),
    **dict.fromkeys(("ci", "confidence", "confidenceintervals", "intervals"),
                    "print(evaluation), which has the intervals; each is low and high of evaluation.systems[0].lines"),
    "baselines": "evaluation.systems[1:]", "todict": "evaluation.to_json()", "warnings": "evaluation.notes",
}  # fmt: skip
COLLECTION: Mapping[str, str] = {
    **{name: _SPLIT.format(split) for name, split in
       (("train", "train"), ("training", "train"), ("val", "val"), ("valid", "val"), ("validation", "val"),
        ("dev", "val"), ("test", "test"), ("testing", "test"))},
    **dict.fromkeys(("data", "items", "rows", "samples", "values"), "studies[0], and `for study in studies`"),
    "columns": "studies[0].extra", "count": "len(studies)", "head": "studies[:5]", "ids": "[s.id for s in studies]",
    "images": "[s.views for s in studies]", "reports": "[s.sections for s in studies]", "shape": "len(studies)",
    "size": "len(studies)", "splits": "{s.split for s in studies}", "summary": "print(studies), or studies.show()",
    **dict.fromkeys(("display", "plot", "save", "tohtml"), 'studies.show("studies.html")'),
    "texts": "[s.sections for s in studies]",
}  # fmt: skip
ATTENTION: Mapping[str, str] = {
    **dict.fromkeys(
        ("display", "draw", "imshow", "map", "overlay", "plot", "picture", "save", "savefig", "show", "visualise",
         "visualize"),
        "report.show() for a picture of each sentence, attention.heatmap(0) for the numbers",
    ),
    **dict.fromkeys(("array", "cpu", "data", "detach", "numpy", "tensor", "tolist", "tonumpy", "values", "weights"),
                    "numpy.asarray(attention)"),
}  # fmt: skip
_OF: Mapping[str, Mapping[str, str]] = {
    "Attention": ATTENTION,
    "Report": REPORT,
    "Evaluation": EVALUATION,
    "Collection": COLLECTION,
}

_EVALUATE = "reportgen.evaluate(predictions, references, {})"
CALLS: Mapping[str, str] = {  # what takes a part of a kind: the call in Python, and the command
    "encoder": "reportgen.compose({0!r}, DECODER), or rg train --encoder {0} --decoder DECODER",
    "decoder": "reportgen.compose(ENCODER, {0!r}), or rg train --encoder ENCODER --decoder {0}",
    "retriever": "reportgen.compose(ENCODER, {0!r}), or rg compose --encoder ENCODER --retriever {0}",
    "reporter": "rg compose --reporter {0}",
    "metric": _EVALUATE.format("metrics=[{0!r}]") + ", or rg eval --metrics {0}",
    "protocol": _EVALUATE.format("protocol={0!r}") + ", or rg eval --protocol {0}",
    "dataset": "reportgen.studies({0!r}), or rg train --data {0}",
    "preset": "rg train --preset {0}, or rg reproduce {0}",
    "trained model": "reportgen.load({0!r}), or rg report --model {0}",
}


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


def unknown(value: object, name: str) -> str:
    """Return the error message about an attribute that a report, an evaluation or another value does not have."""
    kind = type(value).__name__
    table = _OF.get(kind, {})
    if kind == "Evaluation" and not name.startswith("_") and fold(name) not in table:
        scores: Mapping[str, float] = getattr(value, "scores", {})
        table = {fold(name): f"evaluation[{score!r}]" for score in near_names(name, scores)[:1]}
    return f"{kind!r} object has no attribute {name!r}{meant_call(name, dir(type(value)), table)}"


def no_part(registry: Mapping[str, Any], name: str) -> str:
    """Return the error message about an attribute of a registry, such as `metrics.bleu`."""
    kind = getattr(registry, "kind", "") if isinstance(registry, Registry) else ""
    own = ("" if name.startswith("_") else match_name(name, registry)) or "NAME"
    use = (
        f"reportgen.evaluate(predictions, references, metrics=[{own!r}]) scores with it, and "
        if kind == "metric"
        else ""
    )
    return f"the registry has no attribute {name!r}: {use}.create({own!r}) builds it; list() names all"


def elsewhere(name: str, kind: str) -> str:
    """Return what a name that is no `kind` is instead, and the call that takes it; "" if nothing has that name.

    Only the same name counts, in capitals or not and with "_" for "-".
    """
    others = [f"{_article(other)} {other} ({_call(other, own)})" for other, own in _kinds_of(name, kind)]
    if not others:
        return ""
    about = f"rg info {name} says all about it"
    named = {"model": "rg zoo list names the models", "command": about, "kind of part": about}
    listed = named.get(kind, f"rg list {kind.replace(' ', '-')}s names the {kind}s")
    *first, last = others
    return f"it is {', '.join(first)}{' and ' if first else ''}{last}; {listed}"


def _kinds_of(name: str, kind: str) -> Iterator[tuple[str, str]]:
    """Yield every other kind that has a part of this name, with the name as it is registered."""
    for registry in vars(registries).values():
        if isinstance(registry, Registry) and registry.kind != kind:
            own = name if name in registry else next((n for n in registry if fold(n) == fold(name) != ""), None)
            if own is not None:
                yield registry.kind, own
    if "." in name and kind != "model" and name in names_of_hook("known_models"):  # bleu is asked of no manifest
        yield "trained model", name


def _call(kind: str, name: str) -> str:
    return CALLS.get(kind, "rg info {0}").format(name)


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"
