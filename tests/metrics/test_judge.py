"""`judge`: a local server with faults in the place of a language model."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

import reportgen_core
from reportgen_core import MetricError, OptionError, evaluate
from reportgen_core.scoring.baselines import BaselineData

sys.path.append(str(Path(__file__).parents[1] / "reporters"))
from chat_server import ChatServer, chat_server

REFERENCES = {f"s{i}": f"Reference {i}." for i in range(6)}
REPORTS = {id: f"Report {id[1:]}." for id in REFERENCES}
TRAINING = BaselineData({"t": "Constant."}, {"v": "Constant."})


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPORTGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody is there: an address of this machine needs no proxy


def by_number(body: dict[str, Any]) -> str:
    """The number in the report is the score."""
    return json.dumps({"score": int(re.findall(r"Report (\d)", body["messages"][-1]["content"])[0]), "reason": "so"})


def judged(server: ChatServer, predictions: dict[str, str] = REPORTS, **options: Any) -> Any:
    options = {"url": server.url, "model": "tiny", "tries": 2, "backoff": 0.0, "parallel": 1, **options}
    return evaluate(
        predictions, REFERENCES, metrics=(("judge", options), "rouge-l"), protocol="raw", resamples=50,
        background=TRAINING, name="mine",
    )  # fmt: skip


def test_the_score_is_the_mean_of_the_answers_with_an_interval_and_a_version() -> None:
    with chat_server(by_number) as server:
        evaluation = judged(server)
    line = evaluation.systems[0].line("judge")
    assert line.value == pytest.approx(2.5) and line.low < 2.5 < line.high and line.arrow == "↑"
    assert re.fullmatch(r"1 tiny prompt [0-9a-f]{8}", line.version)
    assert [s.scores["judge"] for s in evaluation.studies] == [0, 1, 2, 3, 4, 5]
    (body, *_) = server.bodies
    assert (body["temperature"], body["model"]) == (0, "tiny")
    assert "Reference 0." in body["messages"][1]["content"] and body["messages"][0]["role"] == "system"
    assert len(server.bodies) == 6  # no baseline was judged
    assert evaluation.systems[1].line("judge") is None and evaluation.systems[1].line("rouge-l") is not None
    assert "judge is expensive and was not run on the baselines; --expensive-baselines runs it" in evaluation.notes


def test_a_prompt_of_ones_own_a_bare_number_and_a_score_where_less_is_better(tmp_path: Path) -> None:
    prompt = tmp_path / "count.txt"
    prompt.write_text("Count the errors.\n---\n{report} / {reference}")
    with chat_server(lambda body: "```json\n3\n```") as server:
        line = judged(server, prompt=str(prompt), higher_is_better=False, highest=99).systems[0].line("judge")
    assert (line.value, line.arrow) == (3, "↓")
    assert server.bodies[0]["messages"] == [
        {"role": "system", "content": "Count the errors."},
        {"role": "user", "content": "Report 0. / Reference 0."},
    ]


@pytest.mark.parametrize("fault", ["429", "500", "half a stream", "no json", "stall", "cut body"])
def test_a_fault_that_passes_is_tried_again(fault: str) -> None:
    with chat_server(by_number, fault) as server:
        evaluation = judged(server, timeout=0.3)
    assert evaluation.scores["judge"] == pytest.approx(2.5) and evaluation.failed == ()
    assert len(server.bodies) == 7


@pytest.mark.parametrize(
    ("fault", "times", "why"),
    [
        ("429", 2, "answers 429 Too Many Requests"),
        ("500", 2, "answers 500 Internal Server Error"),
        ("half a stream", 2, "its stream ends in the middle, 2 times"),
        ("no json", 2, "its answer is no JSON, 2 times"),
        ("stall", 2, "no answer within the time limit, 2 times"),
        ("empty", 1, "the answer is no JSON"),
        ("markdown", 1, "the answer is no JSON: 'Sure! **FINDINGS:**"),
        ("refusal", 1, "the model refused: I cannot read radiographs."),
        ("cut", 1, "the answer was cut at the limit of tokens"),
        ("400", 1, "answers 400"),
    ],
)
def test_a_fault_that_stays_is_of_one_pair_and_the_others_stand(fault: str, times: int, why: str) -> None:
    with chat_server(by_number, *[fault] * times) as server:
        evaluation = judged(server, timeout=0.3)
    ((name, study, reason),) = [(f.system, f.study, f.why) for f in evaluation.failed]
    assert (name, study) == ("mine", "s0") and why in reason and "\n" not in reason
    line = evaluation.systems[0].line("judge")
    assert line.value == pytest.approx(3) and line.note == "5 of 6 studies have a score"  # the mean of 1..5
    assert any("6 different pairs, 6 sent, 1 without a score" in n or "5 sent" in n for n in evaluation.notes)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ('{"score": 12}', "the score 12 is not within 0 to 10"),
        ('{"score": "high"}', "the answer has no number 'score'"),
        ('{"score": true}', "the answer has no number 'score'"),
        ('{"score": NaN}', "the answer has no number 'score'"),
        ('{"grade": 3}', "the answer has no number 'score'"),
        ("[1]", "the answer has no number 'score'"),
        ("The score is 3.", "the answer is no JSON: 'The score is 3.'"),
    ],
)
def test_an_answer_without_a_usable_score_says_why_and_where_none_has_one_the_judge_is_its_own_row(
    answer: str, why: str
) -> None:
    with chat_server(lambda body: answer) as server:
        evaluation = judged(server)
    assert evaluation.problems["judge"] == f"no pair of 6 has a score; the first: {why}"
    assert "rouge-l" in evaluation.scores
    assert any("6 different pairs" in n for n in evaluation.notes)  # what failed may have cost something


def test_the_same_command_asks_nothing_twice_and_what_failed_again(tmp_path: Path) -> None:
    with chat_server(by_number, "refusal") as server:
        judged(server)
        assert len(server.bodies) == 6
        evaluation = judged(server)
        assert len(server.bodies) == 7 and evaluation.failed == ()
        other = tmp_path / "p.txt"
        other.write_text("{report}{reference}")
        judged(server, prompt=str(other))
        assert len(server.bodies) == 13  # another prompt is another question
    kept = list((tmp_path / "cache" / "answers").iterdir())
    assert len(kept) == 13 and {p.stat().st_mode & 0o777 for p in kept} == {0o600}


def test_what_it_cost_is_told_and_answers_that_were_kept_cost_nothing_again() -> None:
    usage = {"prompt_tokens": 1000, "completion_tokens": 50}

    class Counted(ChatServer):
        def completion(self, text: str | None, **more: Any) -> dict[str, Any]:
            return super().completion(text, **more) | {"usage": usage}

    with chat_server(by_number) as server:
        server.__class__ = Counted
        options = {"price_in": 0.5, "price_out": 2}
        first, second = judged(server, **options), judged(server, **options)
    line = "judge: tokens in 6,000, out 300; sent in this run: in {}; cost 0.0036, of this run {}, at 0.5 and 2 a million tokens"
    assert line.format("6,000, out 300", "0.0036") in first.notes
    assert line.format("0, out 0", "0.0000") in second.notes


def test_another_model_that_answers_is_told() -> None:
    with chat_server(by_number, "other model") as server:
        notes = judged(server).notes
    assert "judge: asked for 'tiny', answered by tiny-2 (1)" in notes
    assert "judge: tokens in 0, out 0; sent in this run: in 0, out 0; 6 answers do not say their tokens" in notes


@pytest.mark.parametrize(
    ("faults", "why"), [(["401"], "is the key right"), (["stall"] * 6, "answers that came are kept")]
)
def test_an_endpoint_that_refuses_or_falls_silent_ends_the_judge_alone(faults: list[str], why: str) -> None:
    with chat_server(by_number, *faults) as server:
        evaluation = judged(server, timeout=0.2)
    assert why in evaluation.problems["judge"] and "rouge-l" in evaluation.scores
    assert len(server.bodies) <= 6


def test_the_key_is_from_the_environment_and_nowhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-secret-1")
    with chat_server(lambda body: '{"score": 1, "reason": "sk-secret-1"}', "500", "500") as server:
        evaluation = judged(server, key_variable="MY_KEY")
    assert server.headers[0]["Authorization"] == "Bearer sk-secret-1"
    written = b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
    assert b"sk-secret" not in written and "sk-secret" not in json.dumps(evaluation.to_json())


def test_another_machine_needs_the_users_word() -> None:
    with pytest.raises(
        OptionError, match=r"judge sends reports and references to https://judge\.example/v1, .*--send-reports"
    ):
        evaluate(
            REPORTS, REFERENCES, metrics=(("judge", {"url": "https://judge.example/v1", "model": "m"}),), protocol="raw"
        )
    metric = reportgen_core.metrics.create("judge", url="https://judge.example/v1", model="m")
    with pytest.raises(MetricError, match="which is not this machine; set may_send"):
        metric.compute(["a"], [["b"]])


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"lowest": 5, "highest": 5}, "lowest=5 below highest=5"),
        ({"tries": 0}, "must be above 0"),
        ({"price_in": -1}, "prices not below it"),
        ({"url": "ftp://x"}, "is no address of an endpoint"),
        ({"url": "http://me:pw@localhost/v1"}, "a name or a password"),
        ({"prompt": "missing.txt"}, "cannot read missing.txt"),
    ],
)
def test_options_that_it_cannot_take(options: dict[str, Any], why: str) -> None:
    with pytest.raises(OptionError, match=why):
        reportgen_core.metrics.create("judge", **{"url": "http://localhost:1/v1", "model": "m", **options})


@pytest.mark.parametrize(
    ("text", "why"), [("{report}", r"no field \{reference\}"), ("{study}", "names the field 'study'")]
)
def test_a_prompt_has_the_fields_of_a_judge(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "p.txt").write_text(text)
    with pytest.raises(OptionError, match=why):
        reportgen_core.metrics.create("judge", url="http://localhost:1/v1", model="m", prompt=str(tmp_path / "p.txt"))
