"""A tokenizer as text recipe: its file travels with the model, and only the file that was saved is read."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from reportgen_core import (
    CheckpointError,
    CompositionError,
    DataError,
    Entry,
    OptionError,
    PluginError,
    Study,
    UnknownName,
    View,
    compose,
    load,
    train,
)
from reportgen_core.registries import text_recipes
from reportgen_core.text import (
    LearnedRecipe,
    TextSpec,
    build_vocabulary,
    given_recipe,
    join,
    learned_recipe,
    recipe,
    report_words,
    sentence_words,
    shown_words,
    spec,
)
from reportgen_core.training.prepare import prepare_model
from reportgen_core.training.settings import TrainSettings

TEXTS = (
    "The heart is enlarged. There is a small left pleural effusion, of 2.5 cm.",
    "The heart is normal. No pleural effusion (or pneumothorax).",
    "Left basilar atelectasis. No pneumothorax?",
)
SMALL = TextSpec("subwords", recipe_options={"size": 330}, max_words=60)


@pytest.fixture(scope="module")
def learned() -> TextSpec:
    return learned_recipe(SMALL, TEXTS)


def test_pieces_join_to_the_text_that_was_cut(learned: TextSpec) -> None:
    for text in TEXTS:
        assert join(sentence_words(text, learned), learned) == text.lower().replace("?", ".")
        assert join([report_words(text, learned)], learned) == text.lower().replace("?", ".")


def test_words_that_no_report_has_are_written_in_pieces(learned: TextSpec) -> None:
    words = build_vocabulary(TEXTS, learned)
    for text, written in (
        ("Hydropneumothorax 17x3 µm é.", "hydropneumothorax 17x3 µm é."),
        ("双肺纹理增多。心影增大。", "双肺纹理增多。 心影增大。"),
    ):
        row = words.decode(words.encode(report_words(text, learned)))
        assert "<unk>" not in row and join([row], learned) == written


def test_the_vocabulary_has_all_pieces_unless_it_is_limited(learned: TextSpec) -> None:
    whole = build_vocabulary((), learned)
    pieces = Tokenizer.from_str(learned.files["tokenizer.json"].decode()).get_vocab_size()
    assert 256 < pieces <= 330 and len(whole) == 4 + 1 + pieces and whole.words[4] == "<stop>"
    few = build_vocabulary(TEXTS, replace(learned, max_vocabulary=20))
    assert len(few) == 4 + 1 + 20 and set(few.words) < set(whole.words)
    assert few.decode(few.encode(["Ġ"])) == ["<unk>"] or "Ġ" in few.words


def test_the_same_reports_give_the_same_bytes_and_others_give_others(learned: TextSpec) -> None:
    assert all(learned_recipe(SMALL, TEXTS) == learned for _ in range(3))
    assert learned_recipe(SMALL, TEXTS[:1]).files != learned.files
    assert learned_recipe(learned, TEXTS[:1]) is learned, "what is learned stays"


def test_a_number_with_a_dot_is_no_end_of_a_sentence(learned: TextSpec) -> None:
    row = report_words("A mass of 2.5 cm. No effusion.", learned)
    assert row.count("<stop>") == 2 and "." in "".join(row[: row.index("<stop>")])


def test_pages_show_pieces_without_the_signs_of_the_tokenizer(learned: TextSpec) -> None:
    shown = shown_words(report_words("Enlarged hearts.", learned), learned)
    assert shown[-1] == "." and "Ġ" not in "".join(shown)
    assert "".join(s.removeprefix("##") if s.startswith("##") else " " + s for s in shown) == " enlarged hearts ."


def folder_with(tokenizer: Tokenizer, folder: Path) -> Path:
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def wordpiece() -> Tokenizer:
    words = ["[PAD]", "[UNK]", "the", "heart", "is", "large", "en", "##larg", "##ed", ".", ","]
    made = Tokenizer(models.WordPiece({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    made.add_special_tokens(["[PAD]", "[UNK]"])
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    made.enable_truncation(2)
    return made


def test_a_tokenizer_of_a_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    folder = folder_with(wordpiece(), tmp_path / "bert")
    text = given_recipe(TextSpec("subwords", recipe_options={"tokenizer": str(folder)}))
    (row,) = sentence_words("the heart is enlarged, lung", text)
    assert row == ["the", "heart", "is", "en", "##larg", "##ed", ",", "<unk>"], "neither cut nor padded"
    assert join([row], text) == "the heart is enlarged, <unk>."
    assert sentence_words("[PAD] the", text) == [["<unk>", "the"]], "a mark in a text is no mark"
    assert "[PAD]" not in build_vocabulary((), text).words


def test_a_tokenizer_of_whole_words_joins_them_as_plain_does(tmp_path: Path) -> None:
    made = Tokenizer(models.WordLevel({"the": 0, "heart": 1, ",": 2, "<unk>": 3}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    text = given_recipe(TextSpec("subwords", recipe_options={"tokenizer": str(folder_with(made, tmp_path / "w"))}))
    assert join(sentence_words("the heart, the lung.", text), text) == "the heart, the <unk>."


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"size": 200}, OptionError, "size=200: subwords has 256 pieces for bytes"),
        ({"sise": 300}, OptionError, "no option 'sise'; did you mean 'size'"),
        ({"tokenizer": "/no/folder"}, OptionError, "tokenizer=/no/folder has no tokenizer.json"),
        ("bpe", DataError, "recipe_options 'bpe' of a text spec must be an object"),
    ],
)
def test_wrong_options_are_one_line(options: object, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        given_recipe(TextSpec.from_json({"recipe": "subwords", "recipe_options": options}))


def test_a_file_that_is_no_tokenizer_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(OptionError, match=r"tokenizer.json: it is no tokenizer: Model missing"):
        given_recipe(TextSpec("subwords", recipe_options={"tokenizer": str(tmp_path)}))


def test_a_recipe_without_options_takes_none_and_files_come_from_training_alone() -> None:
    with pytest.raises(OptionError, match="'plain' has no options"):
        TextSpec.from_json({"recipe_options": {"size": 3}})
    with pytest.raises(DataError, match="files of a text spec are written by training"):
        TextSpec.from_json({"recipe": "subwords", "files": {"tokenizer.json": "0" * 64}})
    assert "files" not in TextSpec().to_json() and "recipe_options" not in TextSpec().to_json()


def test_what_is_not_learned_yet_says_how_it_is(learned: TextSpec) -> None:
    with pytest.raises(CompositionError, match="'subwords' is not made yet: training makes it"):
        recipe(SMALL)
    with pytest.raises(DataError, match="no report to learn from"):
        learned_recipe(SMALL, ("", " "))


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> list[Study]:
    folder, draw = tmp_path_factory.mktemp("images"), np.random.default_rng(1)
    rows = []
    for i, text in enumerate(TEXTS):
        Image.fromarray(draw.integers(0, 256, (64, 64), dtype=np.uint8)).save(folder / f"{i}.png")
        rows.append(Study(f"s{i}", (View(folder / f"{i}.png"),), {"findings": text}))
    return rows


DECODERS = {"lstm": {"hidden": 16, "embedding": 16}, "hier-lstm": {"hidden": 16, "embedding": 16, "tags_used": 2}}


def small(decoder: str) -> object:
    tiny = {"size": 64, "model_args": {"layers": [1, 1, 1, 1], "channels": [4, 4, 8, 8]}}
    return compose("resnet18", decoder, encoder_options=tiny, decoder_options=DECODERS[decoder], text=SMALL)


@pytest.mark.parametrize("decoder", ["lstm", "hier-lstm"])
def test_a_model_is_trained_saved_and_loaded_with_its_tokenizer(
    decoder: str, studies: list[Study], tmp_path: Path
) -> None:
    tagged = [replace(s, tags=("a", "b", "c")[: 1 + i]) for i, s in enumerate(studies)]
    model = train(small(decoder), tagged, tagged, out=tmp_path / "run", settings=TrainSettings(epochs=1, batch_size=3))
    saved = tmp_path / "run" / "best"
    config = json.loads((saved / "config.json").read_text())
    assert config["text"]["files"].keys() == {"tokenizer.json"}
    assert len(model.vocabulary) > 4 + 1 + 256
    again = load(saved)
    texts = [r.text for r in model.report_studies(studies, precision="fp32")]
    assert [r.text for r in again.report_studies(studies, precision="fp32")] == texts
    again.save(tmp_path / "second")
    for file in ("config.json", "tokenizer.json", "vocabulary.json", "model.safetensors"):
        assert (tmp_path / "second" / file).read_bytes() == (saved / file).read_bytes()


def test_a_run_resumes_with_its_tokenizer_though_the_reports_changed(studies: list[Study], tmp_path: Path) -> None:
    settings = TrainSettings(epochs=1, batch_size=3)
    train(small("lstm"), studies, studies, out=tmp_path / "run", settings=settings)
    first = (tmp_path / "run" / "state" / "tokenizer.json").read_bytes()
    others = [replace(s, sections={"findings": "Other words entirely."}) for s in studies]
    model = train(
        small("lstm"), others, others, out=tmp_path / "run", resume=True, settings=replace(settings, epochs=2)
    )
    assert model.text.files == {"tokenizer.json": first}


@pytest.fixture
def folder(studies: list[Study], tmp_path: Path) -> Path:
    return prepare_model(small("lstm"), studies).save(tmp_path / "model")


def edit(config: Path, change: object) -> None:
    values = json.loads(config.read_text())
    change(values["text"])
    config.write_text(json.dumps(values))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (
            lambda f: (f / "tokenizer.json").write_text("{}"),
            "tokenizer.json is not the file this model was trained with",
        ),
        (lambda f: (f / "tokenizer.json").unlink(), "cannot read .*tokenizer.json: No such file"),
        (
            lambda f: edit(f / "config.json", lambda t: t.update(files={"../x.json": "0" * 64})),
            "has no file '../x.json'",
        ),
        (
            lambda f: edit(f / "config.json", lambda t: t.update(files=["tokenizer.json"])),
            "are no object with a sha256",
        ),
        (lambda f: edit(f / "config.json", lambda t: t.pop("files")), "'subwords' is not made yet"),
        (lambda f: edit(f / "config.json", lambda t: t.update(recipe="plain")), "'plain' has no file 'tokenizer.json'"),
        (lambda f: edit(f / "config.json", lambda t: t.update(recipe="gone")), "no text recipe named 'gone'"),
    ],
)
def test_a_damaged_file_is_one_line(folder: Path, damage: object, says: str, studies: list[Study]) -> None:
    damage(folder)
    with pytest.raises(Exception, match=says) as raised:
        load(folder).report_studies(studies)
    assert isinstance(raised.value, (CheckpointError, CompositionError, UnknownName)) and "\n" not in str(raised.value)


def test_a_zoo_keeps_the_tokenizer(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from reportgen_zoo.publish.push import make_record, push
    from reportgen_zoo.pull.verify import verify

    monkeypatch.setenv("REPORTGEN_CACHE", str(tmp_path / "cache"))
    record = make_record(folder, "tiny-subwords.me_v1", {"summary": "a test", "licence": "MIT"})
    assert "tokenizer.json" in {f.path for f in record.files}
    push(folder, record, tmp_path / "zoo")
    monkeypatch.setenv("REPORTGEN_MANIFESTS", str(tmp_path / "zoo" / "manifest.json"))
    from reportgen_core.models.loading import find_model_folder

    pulled = find_model_folder("tiny-subwords.me_v1")
    assert (pulled / "tokenizer.json").read_bytes() == (folder / "tokenizer.json").read_bytes()
    assert list(verify(record, pulled)) == []


class Forgets(LearnedRecipe):
    files = ("a.json", "b.json")

    def learn(self, texts):
        return {"a.json": b"{}"}

    @staticmethod
    def read(files):
        raise KeyError("b.json")


class Overwrites(Forgets):
    files = ("config.json",)


class Escapes(Forgets):
    files = ("../a.json",)


class Nothing(Forgets):
    files = ()


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (Forgets, "learned the files a.json, and its class names a.json, b.json"),
        (Overwrites, "names the file 'config.json'; give it a name of its own"),
        (Escapes, "names the file '../a.json'"),
        (Nothing, "names no file in `files`"),
    ],
)
def test_a_recipe_of_a_plugin_with_wrong_files_is_refused(
    kind: type, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("own_recipes")
    module.kind = kind
    monkeypatch.setitem(sys.modules, "own_recipes", module)
    monkeypatch.setitem(text_recipes._entries(), "own", ("own:own", Entry("own", "own_recipes:kind", "a test")))
    spec._recipe_of_plugin.cache_clear()
    try:
        with pytest.raises(PluginError, match=says):
            learned_recipe(TextSpec("own"), TEXTS)
    finally:
        spec._recipe_of_plugin.cache_clear()
