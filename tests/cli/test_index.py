"""`rg index`: build, add, remove, search both ways, score, and what is refused in one line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reportgen_core import compose

WORDS = "left right effusion small nodule heart large the is".split()  # noqa: SIM905 - a sentence of words
SMALL = {"size": 64, "model_args": {"growth_rate": 4, "block_config": [1, 1, 1, 1]}}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder, a file of texts, and three images."""
    folder = tmp_path_factory.mktemp("index")
    draw = np.random.default_rng(0)
    lines = [f"{w} {' '.join(f'{x:.4f}' for x in draw.normal(size=12))}" for w in WORDS]
    (folder / "words.txt").write_text("\n".join(lines) + "\n")
    model = compose(
        encoder="densenet121", encoder_options=SMALL, retriever="cvse",
        decoder_options={
            "joint": 16, "units": 8, "sentence_encoder": "word-vectors",
            "sentence_options": {"file": str(folder / "words.txt")},
        },
    )  # fmt: skip
    model.save(folder / "model")
    texts = [f"{a} {b}" for a in WORDS for b in WORDS if a < b]
    (folder / "texts.txt").write_text("\n".join(texts) + "\n")
    for n in range(3):
        Image.fromarray(draw.integers(0, 256, (70, 60)).astype(np.uint8)).save(folder / f"{n}.png")
    return folder


def test_an_index_is_built_searched_both_ways_changed_and_reported_from(
    made: Path, rg: Callable, tmp_path: Path
) -> None:
    images = [str(made / f"{n}.png") for n in range(3)]
    done = rg("index", "build", made / "model", "--texts", made / "texts.txt")
    assert "36 texts of 16 numbers, kind flat" in done.err
    done = rg("index", "search", made / "model", *images, "--k", "5", "--json")
    assert "recall@5 of two stages against exact search: 1.000 over 3 studies" in done.err
    found = [json.loads(line) for line in done.out.splitlines()]
    assert [f["study"] for f in found] == ["0", "1", "2"] and all(len(f["texts"]) == 5 for f in found)
    best = found[0]["texts"][0]

    rg("index", "remove", made / "model", best["id"])
    after = json.loads(rg("index", "search", made / "model", images[0], "--k", "1", "--json").out)
    assert after["texts"][0]["id"] == found[0]["texts"][1]["id"]

    (tmp_path / "more.jsonl").write_text(json.dumps({"id": "back", "text": best["text"]}) + "\n")
    assert "1 texts added, 36 in" in rg("index", "add", made / "model", "--texts", tmp_path / "more.jsonl").err
    again = json.loads(rg("index", "search", made / "model", images[0], "--k", "1", "--json").out)
    assert again["texts"][0] == {"id": "back", "text": best["text"], "score": best["score"]}

    ranked = rg("index", "search", made / "model", *images, "--text", best["text"], "--k", "3", "--json").out
    scores = {r["study"]: r["score"] for r in map(json.loads, ranked.splitlines())}
    assert (
        scores["0"] == pytest.approx(best["score"], abs=1e-5) and list(scores.values()) == sorted(scores.values())[::-1]
    )

    done = rg(
        "report", images[0], "--model", made / "model", "--json", "--attention", "--out", tmp_path / "o", "--explain"
    )
    report = json.loads(done.out)
    assert len(report["sentences"]) == 3 and report["sentences"][0] == best["text"]
    assert (
        all(abs(sum(row) - 1) < 1e-3 for row in report["attention"]["regions"])
        and len(report["attention"]["regions"]) == 3
    )
    assert Image.open(next((tmp_path / "o").glob("*.png"))).size[0] > 300


def test_both_directions_are_scored(made: Path, rg: Callable) -> None:
    rg("index", "build", made / "model", "--texts", made / "texts.txt", "--kind", "exact")
    table = made / "table.csv"
    table.write_text(
        "id,image,findings,split\n"
        + "".join(f"{n},{n}.png,{t}.,test\n" for n, t in enumerate(("left effusion", "small nodule", "heart large")))
    )
    args = ("index", "eval", made / "model", "--data", "table", "--data-root", table, "--json", "--resamples", "0")
    values = {line["name"]: line["value"] for line in json.loads(rg(*args).out)}
    assert 1 <= values["image-to-text median-rank"] <= 36 and 1 <= values["text-to-image median-rank"] <= 3
    assert values["text-to-image recall@3"] == 1 and {"image-to-text map@10", "text-to-image precision@5"} <= set(
        values
    )


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (
            ("index", "search", "{m}", "{m}/../0.png", "--k", "500"),
            r"--k 500 asks for more texts than the index holds; it has 36",
        ),
        (
            ("index", "search", "{m}", "{m}/../0.png", "--k", "2", "--text", "x"),
            "--k 2 asks for more images than there are",
        ),
        (("index", "build", "{m}", "--texts", "{m}/../latin.txt"), "latin.txt: line 1: not UTF-8"),
        (
            ("index", "search", "{m}", "{m}/../0.png", "--k", "2", "--finding", "Edema", "--state", "absent"),
            "no text that passes --finding 'edema' --state absent is found",
        ),
        (
            ("index", "search", "{m}", "{m}/../0.png", "--k", "1", "--text", "x", "--dataset", "iu"),
            "--dataset 'iu' chooses among texts, and --text is one; leave one of them out",
        ),
        (
            ("index", "build", "{m}", "--texts", "{m}/../texts.txt", "--store", "annoy"),
            "no text store named 'annoy'; there are: faiss, milvus",
        ),
        (
            ("index", "build", "{m}", "--texts", "{m}/../texts.txt", "--store", "milvus:http://me:pw@h:1"),
            "the address of h has a password in it; write it into MILVUS_TOKEN instead",
        ),
        (("index", "rebuild", "{m}", "--store", "faiss:here"), "this store has no address, got 'here'"),
        (("index", "remove", "{m}", "nobody"), "holds no text with id 'nobody'"),
        (("index", "search", "{m}", "{m}/../0.png", "--index", "{m}/.."), "is no index"),
        (("index", "build", "{m}", "--texts", "{m}/../few.txt", "--kind", "pq"), ""),
    ],
)
def test_bad_input_is_one_line(made: Path, rg: Callable, args: tuple[str, ...], says: str) -> None:
    rg("index", "build", made / "model", "--texts", made / "texts.txt")
    (made / "latin.txt").write_bytes("é".encode("latin-1"))
    (made / "few.txt").write_text("one\ntwo\n")
    done = rg(*(a.replace("{m}", str(made / "model")) for a in args))
    if says:
        assert done.code == 1 and says in done.err and len(done.err.strip().splitlines()) == 1
    else:
        assert done.code == 0, "the codes are learned when it is searched"
        done = rg("index", "search", made / "model", made / "0.png", "--k", "1")
        assert done.code == 1 and re.search("pq learns 256 codes", done.err)


def test_a_search_finds_only_the_texts_that_pass_its_filter(made: Path, rg: Callable, tmp_path: Path) -> None:
    lines = [
        {"id": f"t{n}", "text": text, "labels": {"Effusion": n % 2}, "dataset": "iu" if n < 20 else "mimic"}
        for n, text in enumerate((made / "texts.txt").read_text().splitlines())
    ]
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    rg("index", "build", made / "model", "--texts", tmp_path / "texts.jsonl")
    args = ("index", "search", made / "model", made / "0.png", "--k", "20", "--json", "--finding", "effusion")
    done = rg(*args, "--state", "present", "--dataset", "MIMIC")
    ids = [hit["id"] for hit in json.loads(done.out)["texts"]]
    assert sorted(ids) == sorted(f"t{n}" for n in range(21, 36, 2))
    assert "recall@20 of two stages against exact search: 1.000" in done.err
    assert rg("index", "rebuild", made / "model").code == 0


def test_a_generator_keeps_no_index(rg: Callable, made: Path, tmp_path: Path) -> None:
    compose(
        encoder="densenet121", encoder_options=SMALL, decoder="lstm", decoder_options={"hidden": 8, "embedding": 8}
    ).save(tmp_path / "g")
    done = rg("index", "build", tmp_path / "g", "--texts", made / "texts.txt")
    assert done.code == 1 and "lstm keeps no texts: an index is for a retriever such as cvse" in done.err
