"""What the endpoints of `rg serve` answer: the same as the Python call and as the command line."""

import io
import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from reportgen_cli.formats.values import as_values
from reportgen_cli.serve.uploads import file_name
from running import Rg
from serving import Served, Waits, dicom, form, picture, served, serving

from reportgen_core import Features, Study, View, load
from reportgen_core.registries import metrics
from reportgen_core.testing.parts import FINDINGS, tiny_model


@pytest.fixture(scope="module")
def reporter(model: Path) -> Any:
    return load(model)


@pytest.fixture(scope="module")
def server(model: Path, reporter: Any) -> Any:
    with serving(served(reporter, folder=model), served(), served(tiny_model(decoder="tienet"), "finds")) as found:
        yield found


def images(*seeds: int) -> list[tuple[str, str, bytes]]:
    return [("images", f"chest{seed}.png", picture(seed)) for seed in seeds]


def test_the_python_call_and_the_endpoint_give_the_same_report(server: Served, reporter: Any, tmp_path: Path) -> None:
    path = tmp_path / "chest7.png"
    path.write_bytes(picture(7))
    here = json.loads(json.dumps(as_values(reporter.report(path)[0], attention=True)))
    (there,) = server.send("/v1/reports", images(7), {"attention": "true"}).json["reports"]
    assert {**here, "views": ["chest7.png"]} == there
    assert there["text"] and there["tags"]


def test_the_endpoint_has_the_fields_of_rg_report_json(server: Served, model: Path, tmp_path: Path, rg: Rg) -> None:
    path = tmp_path / "chest7.png"
    path.write_bytes(picture(7))
    line = json.loads(rg("report", "--json", "--model", model, path).out)
    answer = server.send("/v1/reports", images(7)).json
    assert answer["reports"] == [line]
    assert answer["purpose"] == "For research. Not a medical device."


@pytest.mark.parametrize("name", ["tiny", "tiny-2"])
def test_many_requests_at_once_get_the_reports_that_they_get_alone(server: Served, name: str) -> None:
    def one(seed: int) -> Any:
        return server.send("/v1/reports", images(seed), {"model": name}).json["reports"][0]

    alone = [one(seed) for seed in range(8)]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(one, range(8)))
    assert [report["text"] for report in together] == [report["text"] for report in alone]
    assert [report["score"] for report in together] == pytest.approx([report["score"] for report in alone], abs=1e-4)
    assert [report["study"] for report in together] == [f"chest{seed}" for seed in range(8)]
    assert len({(report["text"], report["score"]) for report in alone}) == 8


def test_requests_that_wait_are_read_together() -> None:
    with serving(batch=8) as server, ThreadPoolExecutor(24) as pool:
        list(pool.map(lambda seed: server.send("/v1/reports", images(seed)), range(24)))
        text = server.ask("GET", "/metrics").body.decode()
    count, total = (float(re.search(rf"reportgen_batch_studies_{k}{{.*}} (\S+)", text)[1]) for k in ("count", "sum"))
    assert total == 24 and count < 24


def test_equal_names_are_two_studies_and_study_joins_them(server: Served) -> None:
    files = [("images", "a.png", picture(1)), ("images", "a.png", picture(2))]
    assert [r["study"] for r in server.send("/v1/reports", files).json["reports"]] == ["a", "a-2"]
    (one,) = server.send("/v1/reports", files, {"study": "true"}).json["reports"]
    assert one["study"] == "a" and "1 of its 2 images used" in one["note"]


def test_dicom_files_of_one_examination_are_one_study_and_no_header_is_answered(server: Served) -> None:
    files = [("images", "1.dcm", dicom(view="PA")), ("images", "2.dcm", dicom(view="LL"))]
    answer = server.send("/v1/explain", files)
    assert len(answer.json["studies"]) == 1
    assert not any(word in answer.body for word in (b"DOE", b"JANE", b"4711", b"1.2.3"))


@pytest.mark.parametrize("content", [b"", b"no image at all", picture(1)[:200], b"DICM" * 50])
def test_a_file_that_cannot_be_read_is_named_without_its_place(server: Served, content: bytes) -> None:
    answer = server.send("/v1/reports", [("images", "x.png", content)])
    assert answer.status == 422 and answer.json["error"].startswith("cannot read x.png: ")
    assert b"/tmp" not in answer.body and b"reportgen-serve" not in answer.body
    both = server.send("/v1/reports", [("images", "x.png", content), *images(1)])
    assert both.status == 200 and [bool(r["problem"]) for r in both.json["reports"]] == [True, False]


def test_findings_have_thresholds(server: Served) -> None:
    (study,) = server.send("/v1/findings", images(3), {"model": "finds"}).json["studies"]
    assert sorted(f["name"] for f in study["findings"]) == sorted(FINDINGS)
    assert all(f["threshold"] == 0.5 and f["present"] == (f["probability"] >= 0.5) for f in study["findings"])
    assert "predicts no findings" in server.send("/v1/findings", images(3), {"model": "tiny-2"}).json["error"]


def test_an_explanation_is_json_for_the_page_or_a_picture(server: Served, reporter: Any) -> None:
    (study,) = server.send("/v1/explain", images(3)).json["studies"]
    assert re.fullmatch(r"chest3~[0-9a-f]{12}", study["id"])
    rows, columns = reporter.grid[1:]
    assert all(len(row) == rows * columns for row in study["page"]["regions"])
    assert study["page"]["images"][0]["data"].startswith("data:image/jpeg;base64,")
    png = server.send("/v1/explain", images(3), {"format": "png"})
    assert png.headers["content-type"] == "image/png" and Image.open(io.BytesIO(png.body)).width > 300
    assert server.send("/v1/explain", images(3, 4), {"format": "png"}).status == 422


def test_a_report_comes_as_text_too(server: Served) -> None:
    answer = server.send("/v1/reports", images(3), {"format": "text"})
    report = server.send("/v1/reports", images(3)).json["reports"][0]
    assert answer.body.decode().startswith(report["text"]) and "Not a medical device" in answer.body.decode()
    assert answer.headers["content-disposition"] == 'attachment; filename="report.txt"'
    assert server.send("/v1/reports", images(3), {"format": "word"}).json["error"].startswith("no format 'word'")


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"modell": "x"}, "no field 'modell'; there are: images, model"),
        ({"model": "tinny"}, "no model 'tinny'; did you mean"),
        ({"beams": "0"}, "beams is '0'; give a whole number"),
        ({"beams": "9" * 40}, "beams is"),
        ({"study": "maybe"}, "study is 'maybe'; give true or false"),
    ],
)
def test_a_wrong_field_is_one_line(server: Served, fields: dict[str, str], why: str) -> None:
    answer = server.send("/v1/reports", images(1), fields)
    assert answer.status == 422 and why in answer.json["error"] and "\n" not in answer.json["error"]


def test_other_bodies_are_refused(server: Served) -> None:
    assert server.ask("POST", "/v1/reports", {"images": []}).status == 415
    assert server.send("/v1/reports", []).json["error"] == "the field images has no file"
    assert server.send("/v1/reports", [("pictures", "a.png", b"x")]).status == 422
    assert server.ask("POST", "/v1/reports", b"--XX\r\nbad", **{"Content-Type": form([], {})[0]}).status in (400, 422)
    assert server.ask("POST", "/v1/reports", b"x", **{"Content-Type": "multipart/form-data"}).status == 400
    assert server.ask("GET", "/v1/reports").status == 405 and server.ask("GET", "/nothing").json["error"] == "Not Found"


def test_inputs_that_the_model_does_not_take_are_named_and_those_it_takes_arrive(server: Served) -> None:
    assert server.send("/v1/reports", images(1), {"indication": "cough", "age": "40"}).json["not_used"] == [
        "indication",
        "age",
    ]
    reporter = Waits()
    reporter.go.set()
    with serving(served(reporter)) as other:
        given = {"indication": "cough", "prior_report": "clear"}
        answer = other.send("/v1/reports", [*images(1), ("prior_images", "old.png", picture(2))], given).json
    assert answer["reports"][0]["text"] == "Heart normal. cough 1 prior" and answer["not_used"] == ["prior_report"]


def test_files_below_the_root_can_be_named_and_no_others(model: Path, tmp_path: Path) -> None:
    root = tmp_path / "archive"
    (root / "a").mkdir(parents=True)
    for n in range(2):
        (root / "a" / f"{n}.png").write_bytes(picture(n))
    (tmp_path / "secret.png").write_bytes(picture(5))
    (root / "link.png").symlink_to(tmp_path / "secret.png")
    with serving(root=root) as server:
        answer = server.ask("POST", "/v1/reports/paths", {"paths": ["a"], "beams": 2})
        assert [r["study"] for r in answer.json["reports"]] == ["0", "1"]
        for path in ("../secret.png", str(tmp_path / "secret.png"), "link.png", "none.png", "a\0", "a/" * 3000):
            refused = server.ask("POST", "/v1/reports/paths", {"paths": [path]})
            assert refused.status == 404 and "below the root" in refused.json["error"]
        assert server.ask("POST", "/v1/reports/paths", {"paths": "a"}).status == 422
        assert str(tmp_path).encode() not in answer.body
    with serving() as server:
        assert "--root" in server.ask("POST", "/v1/reports/paths", {"paths": ["a"]}).json["error"]


def test_a_text_is_labelled_as_by_the_metric(server: Served) -> None:
    text = "Heart size is normal. Small left effusion, no pneumothorax."
    answer = server.ask("POST", "/v1/label", {"text": text, "explain": True}).json
    mentions = metrics.create("chexpert-rules", scheme="chexpert14").labeler.explain(text)
    assert answer["labels"] == {k: m[0].value for k, m in mentions.items()}
    assert answer["mentions"]["Pleural Effusion"][0]["sentence"].startswith("Small left effusion")
    assert server.ask("POST", "/v1/label", {"text": 3}).json["error"] == "text is 3; wants str"
    assert server.ask("POST", "/v1/label", {}).json["error"] == "wants the field text"
    assert server.ask("POST", "/v1/label", b"{", **{"Content-Type": "application/json"}).status == 400


def test_a_pair_of_texts_is_scored(server: Served) -> None:
    pair = {"prediction": "the heart is normal", "reference": "the heart is large", "metrics": ["bleu"]}
    assert server.ask("POST", "/v1/score", pair).json["scores"]["bleu-1"] == pytest.approx(0.75)
    assert server.ask("POST", "/v1/score", {**pair, "metrics": ["radgraph"]}).status == 422
    assert "no metric" in server.ask("POST", "/v1/score", {**pair, "metrics": ["blue!"]}).json["error"]


def test_a_correction_is_kept_as_a_line_that_rg_eval_reads(tmp_path: Path, rg: Rg) -> None:
    row = {
        "id": "a~1",
        "study": "a",
        "model": "tiny",
        "prediction": "no effusion",
        "reference": "a small effusion",
        "wrong": [1],
    }
    with serving(edits=tmp_path / "edits") as server:
        assert server.ask("POST", "/v1/edits", row).json["corrections"] == 1
        assert server.ask("POST", "/v1/edits", {**row, "reference": "a large effusion"}).json["corrections"] == 1
        assert server.ask("POST", "/v1/edits", {**row, "id": "b~2"}).json["corrections"] == 2
        assert server.ask("POST", "/v1/edits", {**row, "wrong": [0]}).status == 422
    file = tmp_path / "edits" / "tiny.jsonl"
    assert [json.loads(line)["reference"] for line in file.read_text().splitlines()] == [
        "a large effusion",
        "a small effusion",
    ]
    done = rg("eval", "--predictions", file, "--references", file, "--metric", "bleu", "--no-baselines", "--json")
    assert done.code == 0, done.err
    with serving() as server:
        assert "--edits" in server.ask("POST", "/v1/edits", row).json["error"]


def test_a_retriever_gives_the_nearest_stored_texts(tmp_path: Path) -> None:
    studies = []
    for seed in range(4):
        (tmp_path / f"s{seed}.png").write_bytes(picture(seed))
        studies.append(Study(f"s{seed}", (View(tmp_path / f"s{seed}.png"),)))
    finder = tiny_model(decoder=None, retriever="nearest")
    pooled = torch.stack([torch.from_numpy(row) for row in finder.pooled_features(studies).values()])
    texts = [f"report {study.id}" for study in studies]
    assert finder.retriever is not None
    finder.retriever.index([s.id for s in studies], texts, Features(torch.empty(0), pooled, torch.empty(0)))
    with serving(served(finder, "nearest"), served()) as server:
        (study,) = server.send("/v1/retrieve", images(2), {"k": 2}).json["studies"]
        assert study["hits"][0]["text"] == "report s2" and len(study["hits"]) == 2
        assert server.send("/v1/reports", images(2)).json["reports"][0]["text"] == "report s2"
        assert server.ask("GET", "/v1/models").json["models"][0]["retrieves"]
        assert "holds" in server.send("/v1/retrieve", images(2), {"k": 9}).json["error"]
        assert "stores no texts" in server.send("/v1/retrieve", images(2), {"model": "tiny"}).json["error"]


def test_models_are_listed_with_what_they_take(server: Served) -> None:
    answer = server.ask("GET", "/v1/models").json
    first, second, third = answer["models"]
    assert [m["name"] for m in (first, second, third)] == ["tiny", "tiny-2", "finds"]
    assert first["takes"]["indication"] == "no" and first["findings"]["Effusion"] == {"threshold": 0.5}
    assert answer["formats"]["text"]["suffix"] == ".txt"


def test_the_api_is_described_whole(server: Served) -> None:
    described = server.ask("GET", "/openapi.json").json
    assert {"/v1/reports", "/v1/explain", "/v1/retrieve", "/v1/label", "/v1/score", "/healthz"} <= set(
        described["paths"]
    )
    fields = described["paths"]["/v1/reports"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert {"images", "model", "beams", "format"} <= set(fields["properties"])


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("chest.png", "chest.png"), ("../../etc/passwd", "passwd"), (r"C:\images\a.dcm", "a.dcm"), ("", "image"),
        ("..", "image"), ("a\0b.png", "a_x00b.png"), ("x" * 300 + ".png", "x" * 116 + ".png"), (".png", "png"),
    ],
)  # fmt: skip
def test_names_of_files_are_plain(given: str, kept: str) -> None:
    assert file_name(given) == kept
