"""Words that people write after `reportgen.`, and the call that each of them means. The error of the word says it."""

from __future__ import annotations

from collections.abc import Mapping

_REPORT = 'reportgen.load().report("chest.png")'
_LOOK = 'reportgen.load().report("chest.png")[0].attention.heatmap(0)'
_STUDIES = 'reportgen.studies("reports.csv"), or the name of a dataset'
_OWN = "the hook {} of a plugin (docs/plugins.md is the tutorial)"
_LIST = "list(reportgen.{})"
_EVALUATE = "reportgen.evaluate(predictions, references)"
_ZOO = '`rg zoo list`, which prints the names; reportgen.load("NAME") reads one'
_KINDS = ("dataset", "decoder", "encoder", "metric", "preset", "protocol", "retriever")

GUESSES: Mapping[str, str] = {
    "Evaluator": _EVALUATE,
    "ReportGenerator": "reportgen.load()", "Trainer": "reportgen.train(model, studies)", "attention": _LOOK,
    "available_models": _ZOO, "bleu": 'reportgen.evaluate(predictions, references, metrics=["bleu"])',
    "build": "reportgen.compose(ENCODER, DECODER)", "build_model": "reportgen.compose(ENCODER, DECODER)",
    "compare": "reportgen.evaluate(predictions, references) for each, and `rg compare` for the folders of rg eval",
    "create_model": "reportgen.compose(ENCODER, DECODER)", "data": _STUDIES, "dataset": _STUDIES,
    "demo": "reportgen.load().report(reportgen.sample_image())", "explain": _LOOK,
    **dict.fromkeys(("attention_map", "cam", "draw", "plot", "plot_attention", "plot_heatmap", "saliency", "show",
                     "show_attention", "show_report", "visualise_attention", "visualize_attention"),
                    'reportgen.load().report("chest.png").show() for a picture, and of each report '
                    'report.attention.heatmap(0) for the numbers'),
    "finetune": "reportgen.train(model, studies)", "fit": "reportgen.train(model, studies)",
    "from_pretrained": 'reportgen.load("NAME")', "generate": _REPORT, "generate_report": _REPORT, "gradcam": _LOOK,
    "heatmap": _LOOK, "infer": _REPORT, "inference": _REPORT,
    "label": 'reportgen.metrics.create("chexpert-rules"), or `rg label`',
    "list_datasets": _LIST.format("datasets"), "list_decoders": _LIST.format("decoders"),
    "list_encoders": _LIST.format("encoders"), "list_metrics": _LIST.format("metrics"), "list_models": _ZOO,
    "list_parts": _LIST.format("encoders") + ", and likewise decoders, retrievers, metrics, datasets",
    "list_presets": _LIST.format("presets"), "list_protocols": _LIST.format("protocols"),
    "list_retrievers": _LIST.format("retrievers"), "load_data": _STUDIES, "load_dataset": _STUDIES,
    "load_image": 'the path itself: model.report("chest.png")', "load_model": 'reportgen.load("NAME")',
    "load_pretrained": 'reportgen.load("NAME")', "make_model": "reportgen.compose(ENCODER, DECODER)",
    "model_zoo": _ZOO, "models": _ZOO, "new_model": "reportgen.compose(ENCODER, DECODER)", "pipeline": _REPORT,
    "plugins": "`rg plugins`, which lists them", "predict": _REPORT, "pretrained": _ZOO,
    "read_dataset": _STUDIES, "read_studies": _STUDIES,
    **{f"register_{kind}": _OWN.format(f"register_{kind}s") for kind in _KINDS},
    **{f"register_{kind}s": _OWN.format(f"register_{kind}s") for kind in _KINDS},
    "register": _OWN.format("register_decoders, or of another kind,"), "report": _REPORT,
    "rouge": 'reportgen.evaluate(predictions, references, metrics=["rouge-l"])', "run": _REPORT, "sample": _REPORT,
    "score": _EVALUATE, "scores": _EVALUATE, "test": "reportgen.evaluate(model, studies)",
    "visualize": _LOOK, "visualise": _LOOK, "zoo": _ZOO,
}  # fmt: skip


def answer(name: str, public: list[str]) -> str:
    """Return the end of the error about an unknown name: the call that it means, else the nearest public name."""
    from reportgen_core.registry import fold, near_names

    folded = {fold(word): call for word, call in GUESSES.items()}
    if meant := folded.get(fold(name)):
        return f"; it is {meant}"
    near = next(iter(near_names(name, public)), "")
    return f"; did you mean reportgen.{near}?" if near else ""
