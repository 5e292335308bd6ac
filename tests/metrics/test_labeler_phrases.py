"""Tables of phrases: those of a user and those of plugins are added to the shipped ones."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from reportgen_plugins.metrics.clinical import ChexpertRules
from reportgen_plugins.metrics.labeler import phrases, rules
from reportgen_plugins.metrics.labeler.labeler import Labeler

from reportgen_core import DataError
from reportgen_core.discovery import Plugin

OWN = """
[words]
fluid = '(?:fluid|water)'

[effusion]                 # a shipped finding
present = ["{fluid} in the chest"]
except = ["fluid in the chest tube"]

["Lung Lesion"]            # a label
present = ["popcorn sign"]

[bronchus_sign]            # a finding of its own
chexpert14 = "Lung Opacity"
blocks = ["normal"]
present = ["bronchus sign"]

[negation]
before = ["sans"]
after = ["nowhere to be seen"]
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "own.toml"
    path.write_text(OWN, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("Water in the chest.", {"Pleural Effusion": 1.0}),
        ("Fluid in the chest tube.", {"Support Devices": 1.0, "No Finding": 1.0}),
        ("Popcorn sign.", {"Lung Lesion": 1.0}),
        ("Sans effusion.", {"Pleural Effusion": 0.0, "No Finding": 1.0}),
        ("Popcorn sign nowhere to be seen.", {"Lung Lesion": 0.0, "No Finding": 1.0}),
        ("Bronchus sign.", {"Lung Opacity": 1.0, "No Finding": 1.0}),
        ("No effusion.", {"Pleural Effusion": 0.0, "No Finding": 1.0}),
    ],
)
def test_a_table_of_the_user_adds_findings_labels_and_cues(table: Path, text: str, labels: dict[str, float]) -> None:
    assert Labeler(phrases=str(table)).labels([text]) == [labels]


def test_a_table_of_the_user_changes_no_other_labeler(table: Path) -> None:
    Labeler(phrases=str(table)).labels(["Popcorn sign."])
    assert Labeler().labels(["Popcorn sign."]) == [{}]


def test_the_version_of_the_metric_names_the_table_and_its_content(table: Path) -> None:
    first = ChexpertRules(phrases=str(table)).version
    assert re.fullmatch(r"2 chexpert14 rrg phrases=own.toml [0-9a-f]{8}", first)
    table.write_text(OWN + "[edema]\npresent = ['wet lungs']\n", encoding="utf-8")
    assert ChexpertRules(phrases=str(table)).version != first
    assert ChexpertRules().version == "2 chexpert14 rrg"


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("[effusion]\n\npresent = ['ok', '(open']", 3, "is no phrase"),
        ("# mine\n[efusion]\npresent = ['x']", 2, "did you mean 'effusion'"),
        ("[effusion]\npresnt = ['x']", 2, "did you mean 'present'"),
        ("[effusion]\npresent = 'x'", 2, "must be a list of phrases in quotes"),
        ("[effusion]\npresent = ['a',\n  3]", 2, "is no phrase"),
        ("[effusion]\npresent = ['x*']\npresent = ['y']", 3, "Cannot overwrite a value"),
        ("[negation]\nbehind = ['x']", 2, "there are: after, before"),
        ("[mine]\nchexpert14 = 'Edma'\npresent = ['x']", 2, "did you mean 'Edema'"),
        ("[mine]\nchexpert14 = 'No Finding'\npresent = ['x']", 2, "no label 'No Finding'"),
        ("[effusion]\nchexpert14 = 'Edema'", 2, "cannot be changed"),
        ("[mine]\nchexpert14 = 'Edema'\nblocks = 'all'", 3, "blocks is a list of"),
        ("[effusion]\npresent = ['{liquid} there']", 2, "no word list {liquid}"),
        ("[effusion]\npresent = ['(?:fluid)?']", 2, "it matches a text without words"),
        ("effusion = 3", 1, "belongs to no section"),
        ("[effusion", 1, "Expected ']'"),
        ("\n\n[words]\nx = 4", 4, "must be text"),
    ],
)
def test_a_bad_table_is_named_with_its_line(tmp_path: Path, text: str, line: int, why: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=re.escape(f"{path}: line {line}: ")) as raised:
        Labeler(phrases=str(path))
    assert why in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_table_that_is_no_text_or_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes(b"# ok\n# \xe9\n")
    with pytest.raises(DataError, match=r"latin.toml: line 2: is no text in UTF-8"):
        Labeler(phrases=str(tmp_path / "latin.toml"))
    with pytest.raises(DataError, match=r"nowhere.toml: No such file"):
        Labeler(phrases=str(tmp_path / "nowhere.toml"))


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[[], object]], Plugin]]:
    """Give the labeler one plugin with this hook; the readers of other tests are not touched."""

    def register(hook: Callable[[], object]) -> Plugin:
        one = Plugin("mine", "reportgen-mine", "1.0")
        monkeypatch.setattr(phrases, "implementations", lambda _: iter([(one, hook)]))
        return one

    rules.reader.cache_clear()
    yield register
    rules.reader.cache_clear()


def test_the_tables_of_plugins_are_read_by_every_labeler(
    plugin: Callable[[Callable[[], object]], Plugin], table: Path
) -> None:
    one = plugin(lambda: [str(table)])
    assert Labeler().labels(["Popcorn sign."]) == [{"Lung Lesion": 1.0}]
    assert "phrases=own.toml" in ChexpertRules().version
    assert one.problem == ""


def test_a_table_in_a_package_is_found(plugin: Callable[[Callable[[], object]], Plugin]) -> None:
    one = plugin(lambda: ["package:reportgen_plugins/metrics/labeler/labeler_findings.toml"])
    with pytest.warns(UserWarning, match="cannot be changed"):  # it was found: its findings are shipped already
        Labeler()
    assert "cannot be changed" in one.problem


@pytest.mark.parametrize("returned", ["x.toml", None, [3], ["/nowhere/x.toml"], ["package:no_such_package/x.toml"]])
def test_a_plugin_with_a_bad_table_is_left_out_with_its_problem(
    plugin: Callable[[Callable[[], object]], Plugin], returned: object
) -> None:
    one = plugin(lambda: returned)
    with pytest.warns(UserWarning, match="phrases of plugin mine are left out: register_phrases: "):
        assert Labeler().labels(["No effusion."]) == [{"No Finding": 1.0, "Pleural Effusion": 0.0}]
    assert one.problem.startswith("register_phrases: ")
