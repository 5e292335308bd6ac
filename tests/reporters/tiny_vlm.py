"""Vision-language models of transformers that are built here: random weights, a tokenizer of the words of a few reports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

WORDS = [
    "the",
    "heart",
    "is",
    "enlarged",
    "normal",
    "lungs",
    "are",
    "clear",
    "there",
    "no",
    "pleural",
    "effusion",
    "pneumothorax",
    "small",
    "left",
    "right",
    "of",
    "and",
    "size",
    "findings",
    "in",
    "full",
    "sentences",
    "write",
    "report",
    "this",
    "chest",
    "radiograph",
    "image",
    ":",
    ",",
    ".",
    "!",
    "none",
]
SPECIAL = ["<pad>", "<s>", "</s>", "<unk>", "<image>", "<boi>", "<eoi>", "<video>"]
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{{ message['role'] }} : "
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}MARK{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}\n{% endfor %}{% if add_generation_prompt %}report : {% endif %}"
)


def tokenizer(words: list[str] | None = None) -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.WordLevel(unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation("isolated")]
    )
    made.train_from_iterator([words or WORDS], trainers.WordLevelTrainer(special_tokens=SPECIAL, show_progress=False))
    return PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>",
        extra_special_tokens={
            "image_token": "<image>", "boi_token": "<boi>", "eoi_token": "<eoi>", "video_token": "<video>",
        },
    )  # fmt: skip


def llava(words: Any, mark: str) -> tuple[Any, Any]:
    from transformers import (
        CLIPImageProcessor,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )  # fmt: skip

    text = LlamaConfig(
        vocab_size=len(words), hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    vision = CLIPVisionConfig(
        hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=32, patch_size=8
    )
    config = LlavaConfig(
        vision_config=vision, text_config=text, image_token_index=words.convert_tokens_to_ids("<image>")
    )
    processor = LlavaProcessor(
        CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}), words, patch_size=8,
        vision_feature_select_strategy="default", num_additional_image_tokens=1,
        chat_template=TEMPLATE.replace("MARK", mark),
    )  # fmt: skip
    return LlavaForConditionalGeneration(config), processor


def gemma3(words: Any, mark: str) -> tuple[Any, Any]:
    from transformers import (
        Gemma3Config,
        Gemma3ForConditionalGeneration,
        Gemma3ImageProcessor,
        Gemma3Processor,
        Gemma3TextConfig,
        SiglipVisionConfig,
    )  # fmt: skip

    text = Gemma3TextConfig(
        vocab_size=len(words), hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, head_dim=8, pad_token_id=0, bos_token_id=1, eos_token_id=2, tie_word_embeddings=False,
    )  # fmt: skip
    vision = SiglipVisionConfig(
        hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=32, patch_size=8
    )
    ids = words.convert_tokens_to_ids(["<boi>", "<eoi>", "<image>"])
    config = Gemma3Config(
        text_config=text, vision_config=vision, mm_tokens_per_image=4, boi_token_index=ids[0], eoi_token_index=ids[1], image_token_index=ids[2],
        tie_word_embeddings=False,
    )  # fmt: skip
    processor = Gemma3Processor(
        Gemma3ImageProcessor(size={"height": 32, "width": 32}),
        words,
        TEMPLATE.replace("MARK", mark),
        image_seq_length=4,
    )
    return Gemma3ForConditionalGeneration(config), processor


def qwen2_vl(words: Any, mark: str) -> tuple[Any, Any]:
    from transformers import (
        Qwen2VLConfig,
        Qwen2VLForConditionalGeneration,
        Qwen2VLImageProcessor,
        Qwen2VLProcessor,
        Qwen2VLVideoProcessor,
    )  # fmt: skip

    ids = words.convert_tokens_to_ids(["<boi>", "<eoi>", "<image>", "<video>"])
    config = Qwen2VLConfig(
        text_config={
            "vocab_size": len(words), "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2,
            "num_attention_heads": 2, "num_key_value_heads": 1, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [1, 1, 2]},
        },
        vision_config={"depth": 1, "embed_dim": 16, "hidden_size": 16, "num_heads": 2, "mlp_ratio": 2, "patch_size": 8},
        vision_start_token_id=ids[0], vision_end_token_id=ids[1], image_token_id=ids[2], video_token_id=ids[3],
    )  # fmt: skip
    pixels = {"min_pixels": 32 * 32, "max_pixels": 48 * 48, "patch_size": 8}
    processor = Qwen2VLProcessor(
        Qwen2VLImageProcessor(**pixels), words, Qwen2VLVideoProcessor(**pixels),
        chat_template=TEMPLATE.replace("MARK", f"<boi>{mark}<eoi>"),
    )  # fmt: skip
    return Qwen2VLForConditionalGeneration(config), processor


FAMILIES = {"llava": (llava, "<image>"), "gemma3": (gemma3, "<boi>"), "qwen2-vl": (qwen2_vl, "<image>")}


def save_tiny(folder: Path, family: str = "llava", words: list[str] | None = None, seed: int = 0) -> Path:
    """Write a model of a family with random weights that are so large that its words depend on the image."""
    build, mark = FAMILIES[family]
    torch.manual_seed(seed)
    model, processor = build(tokenizer(words), mark)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim > 1:  # of Gemma the words are loud, and the image would not be heard
                quiet = family == "gemma3" and "vision" not in name and "projector" not in name
                weight.normal_(0, 0.15 if quiet else 1.0 if family == "gemma3" else 0.6)
    model.generation_config.pad_token_id = 0
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
