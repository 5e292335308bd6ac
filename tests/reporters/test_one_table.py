"""Classic systems, a vision-language model and an endpoint in one table, and everything that `rg` does with a reporter."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chat_server import chat_server
from running import Rg
from tiny_vlm import save_tiny

import reportgen_core
from reportgen_core import Collection, compose
from reportgen_core.text.spec import TextSpec, build_vocabulary

PROMPT = "{images}write the findings in full sentences . indication : {indication|none} ."
SYSTEMS = ("jing-coattention", "soft-att", "tiny-vlm", "tiny-endpoint")


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("phantom")


OPTIONS = ["--data-option", "n=40", "--data-option", "size=64"]


@pytest.fixture(scope="module")
def collection(phantom: Path) -> Collection:
    return reportgen_core.datasets.create("phantom", phantom, n=40, size=64).read()


@pytest.fixture(scope="module")
def classics(tmp_path_factory: pytest.TempPathFactory, collection: Collection) -> Path:
    """Two published systems, tiny and with random weights, that know the words of the phantom."""
    folder = tmp_path_factory.mktemp("classics")
    text = TextSpec(sections=("findings",))
    words = build_vocabulary([s.text(("findings",)) for s in collection.studies], text)
    small = {"encoder_options": {"size": 64, "width": 0.05}, "text": text, "vocabulary": words, "tags": ("a", "b", "c")}
    tiny = {"hidden": 16, "embedding": 16}
    compose(encoder="vgg19", decoder="hier-lstm", decoder_options={**tiny, "tags_used": 2}, **small).save(
        folder / SYSTEMS[0]
    )
    compose(encoder="vgg19", decoder="soft-att", decoder_options=tiny, **small).save(folder / SYSTEMS[1])
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory, collection: Collection) -> Path:
    """A vision-language model that has words of the phantom's reports."""
    words = " ".join(s.text(("findings",)).lower() for s in collection.studies).replace(".", " . ").replace(",", " , ")
    return save_tiny(tmp_path_factory.mktemp("vlm") / "weights", words=sorted({*words.split(), *PROMPT.split()}))


@pytest.fixture
def served(weights: Path) -> Iterator[str]:
    """The address of a server that answers with the same weights, by transformers' own call."""
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    processor, model = AutoProcessor.from_pretrained(weights), AutoModelForImageTextToText.from_pretrained(weights)

    def answer(body: dict[str, Any]) -> str:
        images = iter(server.images(body))
        content = [
            {"type": "image", "image": next(images)} if p["type"] == "image_url" else p
            for p in body["messages"][0]["content"]
        ]
        inputs = processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=True, return_dict=True,
            return_tensors="pt",
        )  # fmt: skip
        with server.lock, torch.inference_mode():
            ids = model.generate(**inputs, max_new_tokens=body["max_tokens"], do_sample=False)
        return str(processor.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))

    with chat_server(answer) as server:
        yield server.url


def folders(rg: Rg, tmp_path: Path, weights: Path, url: str, prompt: str = PROMPT) -> list[Path]:
    """Write the folders of the two reporters as a user does."""
    (tmp_path / "prompt.txt").write_text(prompt)
    common = ["--reporter-option", f"prompt={tmp_path / 'prompt.txt'}"]
    vlm = ["--reporter", "image-text-to-text", "--reporter-option", f"model={weights}"]
    vlm += ["--reporter-option", 'generation={"max_new_tokens": 20}']
    endpoint = ["--reporter", "openai", "--reporter-option", f"url={url}", "--reporter-option", "model=tiny"]
    endpoint += ["--reporter-option", 'parameters={"max_tokens": 20}', "--reporter-option", "backoff=0"]
    made = []
    for name, options in ((SYSTEMS[2], vlm), (SYSTEMS[3], endpoint)):
        done = rg("compose", *options, *common, "--out", tmp_path / name)
        assert done.code == 0, done.err
        made.append(tmp_path / name)
    return made


def test_classic_and_modern_systems_stand_in_one_table(
    rg: Rg, tmp_path: Path, phantom: Path, classics: Path, weights: Path, served: str
) -> None:
    models = [classics / SYSTEMS[0], classics / SYSTEMS[1], *folders(rg, tmp_path, weights, served)]
    given = [part for model in models for part in ("--model", model)]
    done = rg(
        "eval", *given, "--data", "phantom", "--data-root", phantom, *OPTIONS, "--nearest-image", "--protocol", "raw",
        "--metrics", "bleu,rouge-l,cider", "--resamples", 20, "--out", tmp_path / "out",
    )  # fmt: skip
    assert done.code == 0, done.err
    scores = json.loads((tmp_path / "out" / "scores.json").read_text())
    rows = {s["name"]: {line["name"]: line["value"] for line in s["lines"]} for s in scores["systems"]}
    assert [*rows][:4] == list(SYSTEMS)
    assert {"constant (validation)", "nearest image"} <= set(rows)
    names = [n for n in rows["nearest image"]]
    assert {n: rows["tiny-vlm"][n] for n in names} == {n: rows["tiny-endpoint"][n] for n in names}
    assert rows["tiny-vlm"]["rouge-l"] > 0 and rows["tiny-vlm"] != rows["soft-att"]
    for name in rows:
        assert f" {name} " in done.out or f"{name} " in done.out
    facts = scores["reporters"]
    assert facts["tiny-vlm"]["prompt_sha256"] == facts["tiny-endpoint"]["prompt_sha256"]
    assert facts["tiny-endpoint"]["answered_as"] == {"tiny": scores["card"]["n"]}
    notes = " ".join(scores["notes"])
    assert "tiny-endpoint: REFERENCE: model 'tiny' at http://127.0.0.1" in notes
    assert f"files sha256 {facts['tiny-vlm']['files_sha256'][:12]}" in notes
    assert "is named, not pinned" in " ".join(done.out.split())


def test_a_reporter_writes_and_explains_reports(
    rg: Rg, tmp_path: Path, collection: Collection, weights: Path, served: str
) -> None:
    vlm, endpoint = folders(rg, tmp_path, weights, served)
    images = [collection.studies[n].views[0].path for n in range(2)]
    for folder in (vlm, endpoint):
        done = rg("report", *images, "--model", folder, "--json", "--out", tmp_path / f"{folder.name}-out", "--explain")
        assert done.code == 0, done.err
        values = [json.loads(line) for line in done.out.splitlines()]
        assert all(v["text"] and v["answer"] for v in values)
        assert (tmp_path / f"{folder.name}-out" / f"{images[0].stem}.html").is_file()
    assert rg("explain", images[0], "--model", vlm, "--out", tmp_path / "explained").code == 0


def test_a_bad_image_and_a_missing_field_are_one_line_each(
    rg: Rg, tmp_path: Path, collection: Collection, weights: Path, served: str
) -> None:
    vlm, endpoint = folders(rg, tmp_path, weights, served, "write {indication} .")
    (tmp_path / "bad.png").write_text("no image")
    done = rg("report", tmp_path / "bad.png", collection.studies[0].views[0].path, "--model", endpoint)
    complaints = [line for line in done.err.splitlines() if line.startswith("rg: ")]
    assert done.code == 1 and len(complaints) == 2
    assert "bad.png" in complaints[0]
    assert complaints[1].endswith("has no indication, which this reporter requires")
    done = rg("eval", "--model", vlm, "--data", "phantom", "--data-root", collection_root(collection), *OPTIONS)
    assert done.code == 1 and done.err.count("rg: ") == 1 and "has no indication" in done.err


def collection_root(collection: Collection) -> Path:
    return collection.studies[0].views[0].path.parents[1]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["model=/no/such/model"], "no folder /no/such/model"),
        (["modle=x"], "reporter 'image-text-to-text' has no option 'modle'; did you mean 'model'"),
        ([], "image-text-to-text"),
    ],
)
def test_what_cannot_be_composed_is_one_line(rg: Rg, tmp_path: Path, options: list[str], says: str) -> None:
    pairs = [part for option in options for part in ("--reporter-option", option)]
    done = rg("compose", "--reporter", "image-text-to-text", *pairs, "--out", tmp_path / "x")
    assert done.code == 1 and says in done.err and "Traceback" not in done.err
    assert len(done.err.splitlines()) == 1 and not (tmp_path / "x").exists()


def test_a_prompt_that_names_no_field_is_one_line(rg: Rg, tmp_path: Path, weights: Path) -> None:
    (tmp_path / "p.txt").write_text("a\n{indicaton}")
    done = rg(
        "compose", "--reporter", "image-text-to-text", "--reporter-option", f"model={weights}", "--reporter-option",
        f"prompt={tmp_path / 'p.txt'}", "--out", tmp_path / "x",
    )  # fmt: skip
    assert done.code == 1 and "p.txt, line 2 names the field 'indicaton'; did you mean 'indication'" in done.err


def test_a_silent_endpoint_is_one_line(rg: Rg, tmp_path: Path, collection: Collection, weights: Path) -> None:
    _, endpoint = folders(rg, tmp_path, weights, "http://127.0.0.1:9/v1")
    done = rg("report", collection.studies[0].views[0].path, "--model", endpoint)
    assert done.code == 1
    assert [line for line in done.err.splitlines() if line.startswith("rg: ")] == [
        "rg: http://127.0.0.1:9/v1 is silent: Connection refused; is the server running, and the address right?"
    ]


def test_images_leave_this_machine_only_with_a_word_for_it(
    rg: Rg, tmp_path: Path, collection: Collection, weights: Path
) -> None:
    _, endpoint = folders(rg, tmp_path, weights, "http://reports.invalid/v1")
    image = collection.studies[0].views[0].path
    done = rg("report", image, "--model", endpoint)
    assert done.code == 1 and "--send-images" in done.err and "reports.invalid" in done.err
    done = rg("report", image, "--model", endpoint, "--send-images")
    assert done.code == 1 and "http://reports.invalid/v1 is silent" in done.err


@pytest.mark.parametrize(
    "command",
    [
        ["train", "MODEL", "--data", "phantom", "--data-root", "ROOT"],
        ["index", "build", "MODEL", "--texts", "TEXTS"],
        ["annotate", "TEXTS", "--model", "MODEL"],
    ],
)
def test_what_needs_parts_is_refused_in_one_line(
    rg: Rg, tmp_path: Path, weights: Path, phantom: Path, command: list[str]
) -> None:
    vlm, _ = folders(rg, tmp_path, weights, "http://127.0.0.1:9/v1")
    (tmp_path / "texts.txt").write_text("id,text\na,The lungs are clear.\n")
    places = {"MODEL": str(vlm), "ROOT": str(phantom), "TEXTS": str(tmp_path / "texts.txt")}
    done = rg(*[places.get(word, word) for word in command])
    assert done.code == 1 and "is the reporter 'image-text-to-text', which has no encoder and decoder" in done.err
    assert "Traceback" not in done.err
