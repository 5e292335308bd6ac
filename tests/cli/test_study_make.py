"""`rg study make`: blinded, balanced, seeded, and the key kept apart."""

import json
import re
import stat
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image
from reading import MODEL, reading, studies, texts
from reportgen_cli.main import rg
from reportgen_cli.study.folder import read_key, read_study
from reportgen_cli.study.make import StudyDesign, alike, draw, make

from reportgen_core import CheckpointError, DataError, OptionError, Study

IDS = [f"s{i}" for i in range(40)]


def test_split_shows_every_image_once_and_sources_equally() -> None:
    blocks = draw(IDS, ["human", "a", "b"], StudyDesign(each=10))
    pairs = [pair for block in blocks for pair in block]
    assert Counter(source for _, source in pairs) == {"human": 10, "a": 10, "b": 10}
    assert max(Counter(study for study, _ in pairs).values()) == 1
    assert all({source for _, source in block} == {"human", "a", "b"} for block in blocks)


def test_crossed_shows_every_image_once_a_source_and_once_a_round() -> None:
    rounds = draw(IDS, ["human", "a"], StudyDesign(each=8, design="crossed"))
    assert all(len({study for study, _ in turn}) == 8 for turn in rounds)
    assert all(Counter(source for _, source in turn) == {"human": 4, "a": 4} for turn in rounds)
    assert len({pair for turn in rounds for pair in turn}) == 16


def test_a_seed_draws_the_same_study_and_another_seed_another() -> None:
    one, again, other = (draw(IDS, ["human", "a"], StudyDesign(each=10, seed=s)) for s in (3, 3, 4))
    assert one == again
    assert one != other


def test_too_few_examinations_say_how_many_are_wanted() -> None:
    with pytest.raises(DataError, match=r"wants 42 examinations .* there are 40"):
        draw(IDS, ["human", "a"], StudyDesign(each=21))


def test_the_folder_says_nothing_of_sources_or_patients(tmp_path: Path) -> None:
    study, key = reading(tmp_path)
    shown = (study.root / "study.json").read_text()
    for secret in ("model", "patient", "secret-name", "source", "salt", "seed"):
        assert secret not in shown.replace("program", "")
    assert not re.search("patient|secret", " ".join(str(p) for p in study.root.rglob("*")))
    assert set(key.cases) == set(study.cases)


def test_every_text_in_the_folder_is_the_one_the_key_names(tmp_path: Path) -> None:
    study, key = reading(tmp_path)
    for case, (patient, source) in key.cases.items():
        wrote = "person" if source == "human" else "program"
        assert study.cases[case].text.endswith(f"{wrote} {patient.removeprefix('patient')}.")


def test_images_lose_their_headers_and_stand_frontal_first(tmp_path: Path) -> None:
    study, _ = reading(tmp_path, count=2, views=2)
    first, second = next(iter(study.cases.values())).images
    with Image.open(study.root / "images" / first) as image:
        assert image.size == (40, 56)  # the frontal one of the test is the taller
        assert image.info == {}
    assert second.endswith("-1.png")


def test_the_key_is_for_its_maker_alone(tmp_path: Path) -> None:
    reading(tmp_path)
    assert stat.S_IMODE((tmp_path / "reading.key.json").stat().st_mode) == 0o600


def test_a_key_that_was_changed_is_refused(tmp_path: Path) -> None:
    study, _ = reading(tmp_path)
    path = tmp_path / "reading.key.json"
    path.write_text(path.read_text().replace('"human"', '"model"', 1))
    with pytest.raises(DataError, match="changed since"):
        read_key(path, study)


def test_a_key_inside_the_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="inside"):
        make(studies(tmp_path), {"m": texts()}, StudyDesign(each=1), tmp_path / "r", tmp_path / "r" / "key.json")


def test_nothing_is_written_over(tmp_path: Path) -> None:
    reading(tmp_path)
    with pytest.raises(DataError, match="is there already"):
        reading(tmp_path)


def test_each_reader_has_an_order_of_their_own_that_stays(tmp_path: Path) -> None:
    study, _ = reading(tmp_path)
    orders = {reader: [c.id for c in study.order(reader)] for reader in ("anna", "ben")}
    assert orders["anna"] != orders["ben"]
    assert sorted(orders["anna"]) == sorted(orders["ben"]) == sorted(study.cases)
    assert orders["anna"] == [c.id for c in read_study(study.root).order("anna")]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("the heart is normal . lungs are clear .", "The heart is normal. Lungs are clear."),
        ("The HEART is normal.Lungs\n are  clear.", "The heart is normal. Lungs are clear."),
        ("a 3.5 cm mass , stable ..", "A 3.5 cm mass, stable."),
    ],
)
def test_texts_are_written_alike(text: str, shown: str) -> None:
    assert alike(text) == shown


def test_reports_with_gaps_can_be_left_out(tmp_path: Path) -> None:
    made = studies(tmp_path / "i", 3)
    made[0] = type(made[0])("patient0", made[0].views, {"findings": "XXXX lungs are clear."})
    make(made, {"m": texts(3)}, StudyDesign(each=2, design="crossed", whole=True), tmp_path / "r", tmp_path / "k.json")
    assert "xxxx" not in (tmp_path / "r" / "study.json").read_text()


def test_predictions_for_unknown_studies_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="m has 1 texts for studies that the data has not: stranger"):
        make(studies(tmp_path), {"m": {"stranger": "x"}}, StudyDesign(each=1), tmp_path / "r", tmp_path / "k.json")


@pytest.mark.parametrize("plan", [{"each": 0}, {"each": 1, "design": "x"}, {"each": 1, "rubric": "x"}])
def test_a_plan_that_cannot_be_is_refused(plan: dict[str, object]) -> None:
    with pytest.raises(OptionError):
        StudyDesign(**plan)  # type: ignore[arg-type]


def test_the_command_makes_a_study_from_a_table_and_a_file_of_predictions(tmp_path: Path) -> None:
    made = studies(tmp_path / "images")
    with (tmp_path / "data.jsonl").open("w") as file:
        for s in made:
            file.write(json.dumps({"id": s.id, "image": f"images/{s.views[0].path.name}", **s.sections}) + "\n")
    (tmp_path / "ours.json").write_text(json.dumps(texts()))
    arguments = [
        "study",
        "make",
        "--data",
        str(tmp_path / "data.jsonl"),
        "--predictions",
        f"ours={tmp_path / 'ours.json'}",
    ]
    done = CliRunner().invoke(rg, [*arguments, "--each", "3", "--out", str(tmp_path / "reading")])
    assert done.exit_code == 0, done.output
    study = read_study(tmp_path / "reading")
    key = read_key(tmp_path / "reading.key.json", study)
    assert Counter(source for _, source in key.cases.values()) == {"human": 3, "ours": 3}


def test_a_model_writes_what_is_shown_and_no_more(tmp_path: Path) -> None:
    asked: list[str] = []

    def write(some: Sequence[Study]) -> dict[str, str]:
        asked.extend(s.id for s in some)
        return {s.id: f"{MODEL} {s.id[7:]} ." for s in some}

    made, plan = studies(tmp_path / "i", 12), StudyDesign(each=2)
    make(made, {"file": texts(12)}, plan, tmp_path / "r", tmp_path / "k.json", {"model": write})
    key = read_key(tmp_path / "k.json", read_study(tmp_path / "r"))
    assert Counter(source for _, source in key.cases.values()) == {"human": 2, "file": 2, "model": 2}
    assert sorted(asked) == sorted({patient for patient, _ in key.cases.values()}), "six examinations, each once"


def test_an_examination_without_a_report_of_a_model_makes_place_for_another(tmp_path: Path) -> None:
    def write(some: Sequence[Study]) -> dict[str, str]:
        return {s.id: "" if int(s.id[7:]) < 6 else "The lungs are clear." for s in some}

    made, plan = studies(tmp_path / "i", 10), StudyDesign(each=4, design="crossed")
    make(made, {}, plan, tmp_path / "r", tmp_path / "k.json", {"model": write})
    key = read_key(tmp_path / "k.json", read_study(tmp_path / "r"))
    assert {patient for patient, _ in key.cases.values()} == {f"patient{n}" for n in range(6, 10)}
    with pytest.raises(DataError, match=r"5 reports of each of 2 sources wants 5 examinations .* there are 4"):
        make(made, {}, StudyDesign(each=5, design="crossed"), tmp_path / "r2", tmp_path / "k2.json", {"model": write})


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ([], "--predictions NAME=FILE or --model NAME=MODEL"),
        (["--model", "runs/best"], "--model 'runs/best': wants NAME=MODEL"),
        (["--model", "a=x", "--model", "a=y"], "--model 'a' is given twice"),
        (["--model", "a=/no/such"], "no model or model folder '/no/such'"),
    ],
)
def test_sources_that_cannot_be_are_refused(given: list[str], says: str) -> None:
    done = CliRunner().invoke(rg, ["study", "make", "--data", "d", *given, "--each", "1", "--out", "o"])
    assert done.exception is not None and says in str(done.exception)


def test_a_study_that_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, sort: bool) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("reportgen_cli.study.make.write_json", full)
    known = studies(tmp_path)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(CheckpointError, match="No space left on device"):
        make(known, {"ours": texts()}, StudyDesign(each=2), tmp_path / "reading", tmp_path / "key.json")
    assert sorted(tmp_path.iterdir()) == before


def test_a_prediction_without_a_name_is_refused(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        rg, ["study", "make", "--data", "d", "--predictions", "file.json", "--each", "1", "--out", "o"]
    )
    assert isinstance(done.exception, OptionError)
    assert "NAME=FILE" in str(done.exception)
