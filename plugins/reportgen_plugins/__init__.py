"""Hold the built-in parts, and register them as a third party does. This file is the table of contents: it names each
class as a string and imports none, so that listing parts loads nothing heavy.
"""

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
            for n in (18, 34, 50, 101, 152)
        ),
        *(
            Entry(
                f"densenet{n}", timm, f"densely connected network of {n} layers", "arXiv:1608.06993",
                options={"name": f"densenet{n}.tv_in1k"}, tiny=small_densenet,
            )
            for n in (121, 169, 201)
        ),
        Entry(
            "ditag", _HERE + "encoders.ditag:DiTagEncoder", "any encoder, as the difference from a normal image",
            "ACL 2020 SRW", tiny={"inner": "resnet50", "inner_options": small_resnet},
        ),
        Entry("none", _HERE + "encoders.none:NoImage", "no image at all: for decoders that read reports"),
        Entry("timm/*", timm, "any timm model with feature maps: timm/convnext_tiny", tiny={"size": 64}),
        Entry(
            "vit/*", _HERE + "encoders.vit:ViTEncoder",
            "vision transformers of timm and transformers, DINOv2 and RAD-DINO among them: vit/dinov2",
            "arXiv:2010.11929", tiny={"size": 32},
        ),
        Entry(
            "xrv/*", _HERE + "encoders.xrv:XrvEncoder",
            "networks of torchxrayvision, for chest radiographs: xrv/densenet121-res224-all", "arXiv:2111.00595", "xrv",
            tiny={"size": 64, "model_args": {"growth_rate": 4, "block_config": [1, 1, 1, 1], "num_init_features": 8}},
        ),
    ]  # fmt: skip


@hookimpl
def register_decoders() -> Iterable[Entry]:
    small = {"hidden": 16, "embedding": 16}
    return [
        Entry(
            "hier-lstm", _HERE + "decoders.hier_lstm:HierLSTM",
            "sentence LSTM with co-attention over regions and tags, word LSTM", "arXiv:1711.08195",
            tiny={**small, "tags_used": 2},
        ),
        Entry(
            "hier-lstm-dual", _HERE + "decoders.hier_lstm_dual:DualHierLSTM",
            "hier-lstm with a normal and an abnormal word LSTM and a switch", "arXiv:1908.02123",
            tiny={**small, "tags_used": 2},
        ),
        Entry(
            "lstm", _HERE + "decoders.lstm:ImageFirstLSTM", "one LSTM that sees the image first (Show and Tell)",
            "arXiv:1411.4555", tiny=small,
        ),
        Entry(
            "lrcn", _HERE + "decoders.lrcn:ImageEveryStepLSTM", "one LSTM that sees the image at every word (LRCN)",
            "arXiv:1411.4389", tiny=small,
        ),
        Entry(
            "soft-att", _HERE + "decoders.soft_att:SoftAttentionLSTM",
            "one LSTM with soft attention over regions at every word", "arXiv:1502.03044", tiny=small,
        ),
        Entry(
            "att-rk", _HERE + "decoders.att_rk:SemanticAttentionLSTM",
            "one LSTM with attention over tags at input and output", "arXiv:1603.03925",
            tiny={"hidden": 16, "tags_used": 2},
        ),
        Entry(
            "tienet", _HERE + "decoders.tienet:TieNet",
            "findings from a report, an image or both, and reports: text attention guides pooling", "arXiv:1801.04334",
            tiny={**small, "transition": 12, "attention_units": 8, "attention_rows": 2},
        ),
        Entry(
            "chestxray8", _HERE + "decoders.chestxray8:ImageClassifier",
            "findings from an image alone: transition layer, pooling, no report", "arXiv:1705.02315",
            tiny={"transition": 12},
        ),
        Entry(
            "templates", _HERE + "decoders.templates:Templates",
            "a fixed sentence for each finding above its threshold", "MLMI 2021",
        ),
        Entry(
            "densenet-lstm", _HERE + "decoders.densenet_lstm:PooledGateLSTM",
            "one LSTM with the pooled image in its gates and soft attention", tiny=small,
        ),
        *_transformers(),
    ]  # fmt: skip


def _transformers() -> list[Entry]:
    at = _HERE + "decoders.transformers."
    tiny = {"hidden": 16, "heads": 2, "layers": 2, "feed_forward": 12}
    return [
        Entry(
            "transformer", at + "transformer:Transformer",
            "a transformer over regions without a memory, the baseline of R2Gen", "arXiv:1706.03762", tiny=tiny,
        ),
        Entry(
            "r2gen", at + "r2gen:R2Gen", "a transformer whose layer norms read a relational memory (R2Gen)",
            "arXiv:2010.16056", tiny={**tiny, "slots": 2, "memory_heads": 2},
        ),
        Entry(
            "r2gen-cmn", at + "r2gen_cmn:R2GenCMN",
            "a transformer with one memory for regions and words (R2GenCMN)", "arXiv:2204.13258",
            tiny={**tiny, "memories": 10, "kept": 4},
        ),
        Entry(
            "llm", at + "llm:LanguageModel",
            "a causal language model that reads the image as tokens before its words (R2GenGPT)", "arXiv:2309.09812",
            tiny={"config": {"n_layer": 1, "n_head": 2, "n_embd": 16}},
        ),
        *_causal_decoders(),
    ]  # fmt: skip


def _causal_decoders() -> list[Entry]:
    return [
        Entry(
            "gpt2", _HERE + "decoders.causal:CausalDecoder", "GPT-2 with cross-attention over regions",
            "OpenAI 2019", options={"name": "gpt2"}, tiny={"config": {"n_layer": 2, "n_head": 2, "n_embd": 16}},
        ),
        Entry(
            "transformers/*", _HERE + "decoders.causal:CausalDecoder",
            "any causal decoder of transformers with cross-attention: transformers/bert",
        ),
    ]  # fmt: skip


@hookimpl
def register_retrievers() -> Iterable[Entry]:
    at = _HERE + "retrievers."
    return [
        Entry(
            "cvse", at + "cvse:CVSE", "sentences found by conditional visual-semantic embedding", "arXiv:2010.02467",
            tiny={"joint": 16, "units": 8},
        ),
        Entry("nearest", at + "nearest:Nearest", "the report of the nearest image by pooled features, untrained"),
    ]  # fmt: skip


@hookimpl
def register_reporters() -> Iterable[Entry]:
    at = _HERE + "reporters."
    return [
        Entry(
            "image-text-to-text", at + "image_text:ImageTextToText",
            "any vision-language model of transformers, from a folder or the hub's cache, with a prompt",
        ),
        Entry("openai", at + "endpoint:OpenAI", "any endpoint of the chat completions protocol that takes images"),
    ]  # fmt: skip


@hookimpl
def register_metrics() -> Iterable[Entry]:
    cider = _HERE + "metrics.nlg.cider:Cider"
    return [
        Entry("bleu", _HERE + "metrics.nlg.bleu:Bleu", "BLEU-1..4 of the corpus", "ACL 2002"),
        Entry("meteor", _HERE + "metrics.nlg.meteor:Meteor", "METEOR 1.5 of the corpus (Java)", "WMT 2014"),
        Entry("rouge-l", _HERE + "metrics.nlg.rouge:RougeL", "ROUGE-L (F, β = 1.2)", "Lin 2004"),
        Entry("cider", cider, "CIDEr-D, as everybody means it", "arXiv:1411.5726"),
        Entry("cider-plain", cider, "CIDEr without the D", "arXiv:1411.5726", options={"plain": True}),
        Entry("chexpert-rules", _HERE + "metrics.clinical:ChexpertRules", "F1 of findings, by our rules"),
        Entry("errors", _HERE + "metrics.audit.errors:Errors", "errors by kind, weighted, with the words that differ"),
        Entry("chexbert", _HERE + "metrics.chexbert:Chexbert", "F1 of findings by CheXbert", "arXiv:2004.09167"),
        Entry("tags", _HERE + "metrics.tags:Tags", "recall@k and F1 of predicted tags", "arXiv:1711.08195"),
        Entry("findings", _HERE + "metrics.findings:Findings", "AUC, F1, calibration of findings", "arXiv:1801.04334"),
        Entry("pointing", _HERE + "metrics.pointing:Pointing", "does it look where the finding is", "arXiv:1608.00507"),
        Entry("normality", _HERE + "metrics.normality:Normality", "share of normal sentences", "arXiv:1711.08195"),
        Entry(
            "radgraph", _HERE + "metrics.radgraph:Radgraph", "F1 of RadGraph's entities", "arXiv:2106.14463", "radgraph"
        ),
        Entry("judge", _HERE + "metrics.judge.judge:Judge", "a language model behind an endpoint judges each report"),
        Entry(
            "radeval:*",
            _HERE + "metrics.radeval:Radeval",
            "RadEval's bleu and rouge, which need no download",
            "doi:10.18653/v1/2025.emnlp-demos.40",
            "radeval",
        ),
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
            "iu-xray", at + "iu.iu_xray:IuXray", "IU X-Ray (Open-i): XML, Kaggle's tables or R2Gen's annotation.",
            paper="doi:10.1093/jamia/ocv080",
        ),
        Entry(
            "mimic-cxr", at + "mimic.mimic_cxr:MimicCxr", "MIMIC-CXR-JPG from its official files.",
            paper="doi:10.1038/s41597-019-0322-0",
        ),
        Entry("peir-gross", at + "peir_gross:PeirGross", "PEIR Gross: pathology photographs with one sentence each."),
        Entry("phantom", at + "phantom.phantom:Phantom", "SYNTHETIC radiographs, drawn from findings; no download."),
        Entry(
            "shards", at + "shards:Shards", "Tar files of studies and their images, written by rg data build --shards.",
        ),
        Entry("table", at + "table:Table", "Any CSV, TSV or JSON lines of images and texts."),
    ]  # fmt: skip


@hookimpl
def register_text_recipes() -> Iterable[Entry]:
    summary = "pieces of words by a tokenizer, which is trained on the reports or taken from a folder"
    return [Entry("subwords", _HERE + "text.subwords:Subwords", summary, "arXiv:1508.07909", tiny={"size": 300})]


@hookimpl
def register_protocols() -> Iterable[Entry]:
    words, cleaned = _HERE + "protocols.words:", _HERE + "protocols.cleaned:Cleaned"
    both = ["impression", "findings"]
    iu = {"recipe_name": "r2gen-iu", "sections": ["findings"]}
    mimic = {"recipe_name": "r2gen-mimic", "sections": ["findings"], "min_count": 10, "max_words": 99}
    chinese = {"recipe_name": "chinese", "min_count": 3, "language": "zh"}
    r2gen = "EMNLP 2020 (arXiv:2010.16056)"
    return [
        Entry("coco", words + "Coco", "the PTB tokenizer on both sides, as pycocoevalcap (Java)"),
        Entry("raw", words + "Raw", "lower case, cut at white space"),
        Entry("tokens", words + "Raw", "cut at white space: the texts are words already", options={"lower": False}),
        Entry(
            "r2gen", cleaned, "R2Gen on IU X-Ray: cleaned, 59 words, <unk> in the references", r2gen,
            options={**iu, "min_count": 3, "max_words": 59},
        ),
        Entry("r2gen-mimic", cleaned, "R2Gen on MIMIC-CXR: cleaned, 99 words, <unk>", r2gen, options=mimic),
        Entry("r2gen-untruncated", cleaned, "R2Gen's cleaning alone", r2gen, options=iu),
        Entry(
            "jing", cleaned, "lower case, words of letters", "arXiv:1711.08195",
            options={"recipe_name": "jing", "sections": both},
        ),
        Entry(
            "ditag", cleaned, "words and <num>, impression then findings", "ACL 2020 SRW",
            options={"recipe_name": "ditag", "sections": both},
        ),
        Entry("cvse", words + "Coco", "coco's words, abnormal findings", options={"sections": ["findings"]}),
        Entry(
            "tienet", words + "Coco", "coco's words, the original report", "arXiv:1801.04334",
            options={"sections": ["findings", "impression"]},
        ),
        Entry("densenet-lstm", cleaned, "jieba's words, rare ones <nou>", options=chinese),
        Entry("chinese-words", words + "Chinese", "jieba's words without punctuation"),
        Entry("chinese-characters", words + "Chinese", "each character a word", options={"characters": True}),
    ]  # fmt: skip


@hookimpl
def register_sentence_encoders() -> Iterable[Entry]:
    at = _HERE + "sentences.encoders:"
    return [
        Entry(
            "minilm", at + "MeanPooled", "mean of a transformer's states; a small one by default", "arXiv:1908.10084"
        ),
        Entry("word-vectors", at + "WordVectors", "mean of word vectors, or vectors of sentences, from a file"),
    ]


@hookimpl
def register_sentence_classifiers() -> Iterable[Entry]:
    at = _HERE + "sentences."
    return [
        Entry(
            "bert", at + "bert:BertClassifier", "a fine-tuned transformer; a small one by default", "arXiv:2010.02467"
        ),
        Entry("tfidf", at + "tfidf:TfidfClassifier", "logistic regression on TF-IDF of words and pairs"),
        Entry("vote", at + "vote:VoteClassifier", "the mean of several classifiers: a transformer and TF-IDF"),
        Entry("words", at + "words:WordRule", 'normal has "no", "normal", "clear", "stable"', "arXiv:1711.08195"),
    ]


@hookimpl
def register_sentence_groupers() -> Iterable[Entry]:
    at, cvse = _HERE + "sentences.groups:KMeans", "arXiv:2010.02467"
    return [
        Entry("kmeans", at, "K-means on sentence vectors", cvse, options={"exclusive": False}),
        Entry("kmeans-exclusive", at, "K-means, divided by exclusive terms", cvse, options={"exclusive": True}),
    ]


@hookimpl
def register_text_stores() -> Iterable[Entry]:
    return [
        Entry("faiss", _HERE + "retrievers.proposals:Proposer", "FAISS in this process; its file is in the cache"),
        Entry(
            "milvus", _HERE + "stores.milvus:MilvusStore",
            "Milvus, a server or cluster for many machines, or milvus-lite in this process",
            "doi:10.1145/3448016.3457550", "milvus",
        ),
    ]  # fmt: skip
