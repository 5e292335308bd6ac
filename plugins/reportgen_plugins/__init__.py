"""The built-in plugins, registered the way a third party's are. This file is the table of contents and imports nothing heavy."""

from __future__ import annotations

from collections.abc import Iterable

from reportgen_core import Entry, hookimpl

_HERE = "reportgen_plugins."


@hookimpl
def register_encoders() -> Iterable[Entry]:
    timm, vgg = _HERE + "encoders.timm_encoder:TimmEncoder", _HERE + "encoders.vgg:VGGEncoder"
    small_vgg = {"size": 64, "width": 0.05}
    small_resnet = {"size": 64, "model_args": {"layers": [1, 1, 1, 1], "channels": [4, 4, 8, 8]}}
    small_densenet = {"size": 64, "model_args": {"growth_rate": 4, "block_config": [1, 1, 1, 1]}}
    return [
        *(
            Entry(
                f"vgg{n}", vgg, f"{n} layers of 3 x 3 convolutions, with fc7", "arXiv:1409.1556",
                options={"name": f"vgg{n}.tv_in1k"}, tiny=small_vgg,
            )
            for n in (16, 19)
        ),
        *(
            Entry(
                f"resnet{n}", timm, f"residual network of {n} layers", "arXiv:1512.03385",
                options={"name": f"resnet{n}.tv_in1k"}, tiny=small_resnet,
            )
            for n in (50, 101, 152)
        ),
        *(
            Entry(
                f"densenet{n}", timm, f"densely connected network of {n} layers", "arXiv:1608.06993",
                options={"name": f"densenet{n}.tv_in1k"}, tiny=small_densenet,
            )
            for n in (121, 169, 201)
        ),
        Entry("timm/*", timm, "any timm model with feature maps: timm/convnext_tiny", tiny={"size": 64}),
    ]  # fmt: skip


@hookimpl
def register_decoders() -> Iterable[Entry]:
    return [
        Entry(
            "hier-lstm",
            _HERE + "decoders.hier_lstm:HierLSTM",
            "sentence LSTM with co-attention over regions and tags, word LSTM",
            "arXiv:1711.08195",
            tiny={"hidden": 16, "embedding": 16, "tags_used": 2},
        )
    ]


@hookimpl
def register_retrievers() -> Iterable[Entry]:
    return []


@hookimpl
def register_metrics() -> Iterable[Entry]:
    cider = _HERE + "metrics.cider:Cider"
    return [
        Entry("bleu", _HERE + "metrics.bleu:Bleu", "BLEU-1..4 of the corpus", "ACL 2002"),
        Entry("meteor", _HERE + "metrics.meteor:Meteor", "METEOR 1.5 of the corpus (Java)", "WMT 2014"),
        Entry("rouge-l", _HERE + "metrics.rouge:RougeL", "ROUGE-L (F, β = 1.2)", "Lin 2004"),
        Entry("cider", cider, "CIDEr-D, as everybody means it", "arXiv:1411.5726"),
        Entry("cider-plain", cider, "CIDEr without the D", "arXiv:1411.5726", options={"plain": True}),
    ]


@hookimpl
def register_datasets() -> Iterable[Entry]:
    at = _HERE + "datasets."
    return [
        Entry(
            "covid-chestxray", at + "covid_chestxray:CovidChestXray", "Published radiographs with clinical notes.",
            paper="arXiv:2006.11988",
        ),
        Entry(
            "iu-xray", at + "iu_xray:IuXray", "IU X-Ray (Open-i): XML, Kaggle's tables or R2Gen's annotation.",
            paper="doi:10.1093/jamia/ocv080",
        ),
        Entry(
            "mimic-cxr", at + "mimic_cxr:MimicCxr", "MIMIC-CXR-JPG from its official files.",
            paper="doi:10.1038/s41597-019-0322-0",
        ),
        Entry("peir-gross", at + "peir_gross:PeirGross", "PEIR Gross: pathology photographs with one sentence each."),
        Entry("table", at + "table:Table", "Any CSV, TSV or JSON lines of images and texts."),
    ]  # fmt: skip
