"""`openai`: a local server that speaks the protocol, with its faults."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chat_server import chat_server, slow
from PIL import Image

import reportgen_core
from reportgen_core import OptionError, ReportgenError, Study, View, load
from reportgen_core.types import GenerationSettings


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPORTGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody is there: an address of this machine needs no proxy


def make(url: str, **options: Any) -> Any:
    options = {"model": "tiny", "backoff": 0.0, "tries": 3, **options}
    return reportgen_core.reporters.create("openai", url=url, **options)


def studies(folder: Path, count: int) -> list[Study]:
    made = []
    for n in range(count):
        Image.fromarray(np.full((30, 40), 40 + n, np.uint8)).save(folder / f"{n}.png")
        made.append(Study(f"s{n}", (View(folder / f"{n}.png"),), {"indication": f"cough {n}"}))
    return made


def test_a_report_is_the_answer_to_prompt_and_images(tmp_path: Path) -> None:
    (study,) = studies(tmp_path, 1)
    prompt = tmp_path / "prompt.txt"
    prompt.write_text("You are a radiologist.\n---\n{images}Indication: {indication}.")
    with chat_server() as server:
        (report,) = make(server.url, prompt=str(prompt), parameters={"seed": 3}).report_studies([study])
    assert (report.text, report.answer, report.problem) == ("The heart is normal.", "The heart is normal.", "")
    (body,) = server.bodies
    assert body["messages"][0] == {"role": "system", "content": "You are a radiologist."}
    assert [p["type"] for p in body["messages"][1]["content"]] == ["image_url", "text"]
    assert body["messages"][1]["content"][1]["text"] == "Indication: cough 0."
    assert {k: body[k] for k in ("model", "max_tokens", "temperature", "seed")} == {
        "model": "tiny", "max_tokens": 512, "temperature": 0, "seed": 3,
    }  # fmt: skip
    (image,) = server.images(body)
    assert (image.mode, image.size) == ("RGB", (40, 30)) and np.asarray(image)[..., 0].tolist() == [[40] * 40] * 30


def test_reports_are_in_the_order_of_the_studies_and_no_more_than_some_at_once(tmp_path: Path) -> None:
    some = studies(tmp_path, 9)

    def by_grey(body: dict[str, Any]) -> str:
        slow(0.03)(body)
        return f"Grey {np.asarray(server.images(body)[0]).mean():.0f}."

    with chat_server(by_grey) as server:
        reports = make(server.url, parallel=3).report_studies(some)
    assert [r.text for r in reports] == [f"Grey {40 + n}." for n in range(9)]
    assert 1 < server.most <= 3


@pytest.mark.parametrize("fault", ["429", "500", "503", "cut body", "half a stream", "no json", "no choices"])
def test_a_fault_that_passes_is_tried_again(tmp_path: Path, fault: str) -> None:
    with chat_server(lambda body: "The heart is normal.", fault, fault) as server:
        (report,) = make(server.url).report_studies(studies(tmp_path, 1))
    assert (report.text, len(server.bodies)) == ("The heart is normal.", 3)


@pytest.mark.parametrize(
    ("fault", "tries", "says"),
    [
        ("500", 3, r"study s0: .* answers 500 Internal Server Error: fault 500 for key, 3 times"),
        ("half a stream", 3, "its stream ends in the middle, 3 times"),
        ("cut body", 3, "its answer ends in the middle, 3 times"),
        ("no json", 3, "its answer is no JSON, 3 times"),
        ("no choices", 3, "its answer has no choices, 3 times"),
        ("413", 1, "answers 413"),
        ("400", 1, "answers 400"),
        ("refusal", 1, "study s0: the model refused: I cannot read radiographs."),
        ("filter", 1, "study s0: the model refused: a filter of its content"),
        ("empty", 1, "study s0: the answer is empty"),
    ],
)
def test_a_fault_that_stays_is_of_one_study(tmp_path: Path, fault: str, tries: int, says: str) -> None:
    with chat_server(lambda body: "The heart is normal.", *[fault] * tries) as server:
        first, second = make(server.url, parallel=1).report_studies(studies(tmp_path, 2))
    import re

    assert not first.text and re.search(says, first.problem) and "\n" not in first.problem
    assert second.text == "The heart is normal."
    assert len(server.bodies) == tries + 1


def test_a_stall_is_given_up_after_the_time_limit(tmp_path: Path) -> None:
    with chat_server(lambda body: "The heart is normal.", "stall") as server:
        (report,) = make(server.url, timeout=0.3).report_studies(studies(tmp_path, 1))
        assert report.text == "The heart is normal."
        server.faults += ["stall"] * 3
        with pytest.raises(
            ReportgenError, match=r"no answer within the time limit, 3 times; answers that came are kept"
        ):
            make(server.url, timeout=0.2, answers=str(tmp_path / "other")).report_studies(studies(tmp_path, 1))


def test_a_whole_stream_is_an_answer(tmp_path: Path) -> None:
    with chat_server(lambda body: "The heart is normal.", "stream") as server:
        (report,) = make(server.url).report_studies(studies(tmp_path, 1))
    assert report.text == "The heart is normal." and len(server.bodies) == 1


def test_markdown_is_dropped_and_the_answer_is_kept(tmp_path: Path) -> None:
    with chat_server(lambda body: "", "markdown") as server:
        (report,) = make(server.url).report_studies(studies(tmp_path, 1))
    assert report.text == "The heart is enlarged."
    assert report.answer.startswith("Sure!")


def test_an_answer_that_was_cut_and_one_of_another_model_are_noted(tmp_path: Path) -> None:
    with chat_server(lambda body: "The heart is normal.", "cut", "other model") as server:
        reporter = make(server.url, parallel=1)
        first, second = reporter.report_studies(studies(tmp_path, 2))
    assert "the answer was cut at the limit of tokens" in first.note
    assert second.text == "The heart is normal."
    assert reporter.facts()["answered_as"] == {"tiny": 1, "tiny-2": 1}
    assert reporter.limits[1] == "REFERENCE: asked for 'tiny', answered by tiny-2 (1)"
    assert "is named, not pinned" in reporter.limits[0]


def test_a_run_that_was_killed_asks_for_nothing_twice(tmp_path: Path) -> None:
    some = studies(tmp_path, 6)
    with chat_server() as server:
        stream = make(server.url, parallel=1).stream_reports(some[:5])
        for _ in range(3):
            next(stream)
        stream.close()
        asked = len(server.bodies)
        assert 3 <= asked < 6
        server.faults.append("refusal")
        first = make(server.url, parallel=1).report_studies(some)
        assert len(server.bodies) == 6 and sum(bool(r.text) for r in first) == 5
        again = make(server.url).report_studies(some)  # the refusal is asked again, the others are not
        assert len(server.bodies) == 7 and all(r.text for r in again)
    kept = sorted((tmp_path / "cache" / "answers").iterdir())
    assert len(kept) == 7 and sum("unusable" in p.name for p in kept) == 1  # every answer is kept
    assert oct(kept[0].stat().st_mode & 0o777) == "0o600"
    values = json.loads(kept[0].read_text())
    assert values["response"]["choices"] and values["study"].startswith("s")


def test_another_prompt_model_parameter_or_image_is_another_question(tmp_path: Path) -> None:
    (study,) = studies(tmp_path, 1)
    prompt = tmp_path / "p.txt"
    prompt.write_text("other")
    with chat_server() as server:
        for options in (
            {},
            {"model": "b"},
            {"prompt": str(prompt)},
            {"parameters": {"temperature": 1}},
            {"max_side": 20},
        ):
            make(server.url, **options).report_studies([study])
        make(server.url).report_studies([study])
    assert len(server.bodies) == 5


def test_the_key_comes_from_the_environment_and_is_written_nowhere(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("MY_KEY", "sk-secret-1")
    with chat_server(lambda body: "sk-secret-1 is normal.", "500", "400") as server:
        reporter = make(server.url, key_variable="MY_KEY", parallel=1)
        first, _ = reporter.report_studies(studies(tmp_path, 2))
        reporter.save(tmp_path / "folder")
    assert server.headers[0]["Authorization"] == "Bearer sk-secret-1"
    assert "key ***" in first.problem
    written = b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
    assert b"sk-secret" not in written and "sk-secret" not in json.dumps(reporter.facts()) + first.problem


def test_a_wrong_key_ends_the_run_in_one_line(tmp_path: Path) -> None:
    with (
        chat_server(lambda body: "", "401") as server,
        pytest.raises(ReportgenError, match=r"401 .*; is the key right\?"),
    ):
        make(server.url).report_studies(studies(tmp_path, 3))
    with chat_server(lambda body: "", "404") as server, pytest.raises(ReportgenError, match="or the model wrong"):
        make(server.url, parallel=1).report_studies(studies(tmp_path, 3))
    assert len(server.bodies) == 1


def test_a_redirection_is_not_followed(tmp_path: Path) -> None:
    with chat_server() as other, chat_server(lambda b: "", f"redirect {other.url}/chat/completions") as server:
        with pytest.raises(ReportgenError, match=r"redirection \(307\), and images and texts go to no other address"):
            make(server.url).report_studies(studies(tmp_path, 1))
        assert not other.bodies


def test_an_endpoint_that_is_silent_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
        with pytest.raises(ReportgenError, match=f"{url} is silent: Connection refused; is the server running"):
            make(url).report_studies(studies(tmp_path, 1))
        free.listen()  # accepts, and says nothing
        with pytest.raises(ReportgenError, match="is silent: no answer within the time limit"):
            make(url, timeout=0.2).report_studies(studies(tmp_path, 1))


def test_images_go_to_another_machine_only_when_that_is_allowed(tmp_path: Path) -> None:
    reporter = make("https://api.example.org/v1")
    with pytest.raises(OptionError, match=r"openai sends the images to https://api.example.org/v1, .*--send-images"):
        reporter.report_studies(studies(tmp_path, 1))
    for url in ("http://localhost:1/v1", "http://127.0.0.9:1", "http://[::1]:1/v1"):
        assert not make(url).sends_to
    for url in ("http://localhost.evil.org/v1", "http://10.0.0.1/v1", "http://0.0.0.0/v1"):
        assert make(url).sends_to
    reporter.may_send = True
    reporter.save(tmp_path / "folder")
    assert not load(tmp_path / "folder").may_send  # the word is never saved


def test_n_best_asks_for_several_choices(tmp_path: Path) -> None:
    with chat_server() as server:
        make(server.url).report_studies(studies(tmp_path, 1), GenerationSettings(beams=2, n_best=2))
    assert server.bodies[0]["n"] == 2


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"url": "localhost:8000"}, "is no address of an endpoint"),
        ({"url": "ftp://a/b"}, "is no address of an endpoint"),
        ({"url": "http://me:secret@host/v1"}, "url has a name or a password"),
        ({"parallel": 0}, "parallel=0"),
        ({"timeout": 0}, "timeout=0"),
        ({"cleaning": "x"}, "no cleaning named 'x'"),
    ],
)
def test_an_option_that_cannot_be_is_one_line(options: dict[str, Any], says: str) -> None:
    with pytest.raises(OptionError, match=says) as e:
        make(**{"url": "http://localhost:1/v1", **options})
    assert "secret" not in str(e.value)


def test_the_whole_address_of_the_call_is_taken_as_well() -> None:
    assert make("http://localhost:1/v1/chat/completions/").asker.endpoint.url == "http://localhost:1/v1"


def test_a_saved_endpoint_is_the_same_reporter_and_says_what_it_cannot_promise(tmp_path: Path) -> None:
    prompt = tmp_path / "mine.txt"
    prompt.write_text("Say {indication}.")
    with chat_server() as server:
        reporter = make(server.url, prompt=str(prompt), parameters={"seed": 1})
        reporter.save(tmp_path / "folder")
        again = load(tmp_path / "folder")
        assert again.facts() == reporter.facts()
        assert again.report_studies(studies(tmp_path, 1))[0].text == "The heart is normal."
    config = json.loads((tmp_path / "folder" / "config.json").read_text())
    assert config["reference"] == {"kind": "endpoint", "source": server.url, "model": "tiny"}
    assert "is named, not pinned" in (tmp_path / "folder" / "card.md").read_text()
