"""`rg list`, `rg info`, `rg plugins` and `rg doctor` say what there is."""

from __future__ import annotations

import json

import pytest
from reportgen_cli.commands.about import doctor, next_step
from reportgen_cli.commands.about.describe import argument_docs
from reportgen_cli.commands.about.doctor import CheckResult
from reportgen_cli.registry_names import KINDS

import reportgen_core
from reportgen_core import PluginError
from reportgen_core.text.recipes import RECIPES, SUMMARIES


@pytest.mark.parametrize("kind", KINDS)
def test_a_list_names_everything_of_its_kind_with_its_owner(rg, kind: str) -> None:
    lines = rg("list", kind).out.splitlines()
    width = lines[0].index("name")  # a kind may be two words
    assert [line[width:].split()[0] for line in lines[1:]] == list(KINDS[kind])
    assert all(line.endswith(("reportgen:builtin", "reportgen:zoo")) for line in lines[1:])


def test_a_list_as_json_has_every_kind(rg) -> None:
    found = json.loads(rg("list", "--json").out)
    assert {(e["kind"], e["name"]) for e in found} == {(r.kind, n) for r in KINDS.values() for n in r}


def test_info_of_a_part_has_options_with_defaults_its_paper_and_its_file(rg) -> None:
    told = rg("info", "hier-lstm").out
    assert "arXiv:1711.08195" in told
    assert "decoders/hier_lstm.py" in told
    assert "hidden: int = 512" in told
    assert "sentences, tags" in told or "sentences" in told


def test_info_of_a_pattern_is_about_the_name_that_was_asked(rg) -> None:
    told = rg("info", "timm/convnext_tiny").out
    assert "timm/convnext_tiny" in told.splitlines()[0]


def test_info_of_an_encoder_says_what_its_docstring_says_of_each_option(rg) -> None:
    told = rg("info", "densenet121").out
    said = argument_docs(reportgen_core.encoders.get_class("densenet121"))
    assert said["pretrained"][:20] in told
    assert "fixed" in told
    assert "densenet121.tv_in1k" in told


def test_the_docstring_of_arguments_is_read_over_several_lines() -> None:
    class Part:
        """A part.

        Args:
            one: the first,
                which goes on.
            two: the second.

        Afterwards.
        """

    assert argument_docs(Part) == {"one": "the first, which goes on.", "two": "the second."}


def test_info_of_a_preset_has_composition_and_printed_figures(rg) -> None:
    told = rg("info", "jing-coattention").out
    assert "vgg19" in told
    assert "tags_used=10" in told
    assert "bleu-4=0.247" in told


def test_info_of_an_unknown_name_has_a_near_match(rg) -> None:
    done = rg("info", "hier-lstn")
    assert done.code == 1
    assert "nothing is named 'hier-lstn'; did you mean 'hier-lstm'?" in done.err


def test_plugins_names_ours_as_ok(rg) -> None:
    rows = [line.split() for line in rg("plugins").out.splitlines()]
    assert ["builtin", "reportgen", reportgen_core.__version__, "ok"] in rows
    assert ["zoo", "reportgen", reportgen_core.__version__, "ok"] in rows


def test_doctor_says_a_line_a_thing_and_ends_well(rg) -> None:
    done = rg("doctor")
    said = {line.split()[1]: line.split()[0] for line in done.out.splitlines()}
    assert {"python", "torch", "gpu", "timm", "faiss", "java", "dicom", "cache", "plugin"} <= set(said)
    assert set(said.values()) <= {"ok", "note"}
    assert done.code == 0


def test_doctor_ends_with_1_where_something_is_bad(rg, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = lambda: iter([CheckResult("torch", "bad", "cannot be imported; pip install torch")])  # noqa: E731
    monkeypatch.setattr(doctor, "CHECKS", (bad,))
    done = rg("doctor")
    assert done.code == 1
    assert done.out == "bad   torch          cannot be imported; pip install torch\n"


def test_doctor_says_that_a_cache_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)
    [found] = doctor._cache()
    assert found.state == "bad"
    assert "REPORTGEN_CACHE" in found.text


EXAMPLES = {"timm/*": "timm/resnet18", "transformers/*": "transformers/bert", "vit/*": "vit/vit_tiny_patch16_224"}
EXAMPLES["xrv/*"] = "xrv/densenet121-res224-all"
BUILT_IN = [
    (kind, name)
    for kind, registry in KINDS.items()
    for name in registry
    if kind != "presets" and registry.owner(name).startswith("reportgen:")
]


@pytest.mark.parametrize(("kind", "name"), BUILT_IN)
def test_every_option_of_a_built_in_part_is_described(kind: str, name: str) -> None:
    registry, example = KINDS[kind], EXAMPLES.get(name, name)
    try:
        part = registry.get_class(example)
    except PluginError as e:  # the library of an extra is not installed
        pytest.skip(str(e))
    meanings = argument_docs(part)
    assert [option for option in registry.options(example) if not meanings.get(option)] == []


def test_rg_info_prints_the_descriptions(rg) -> None:
    done = rg("info", "table")
    assert "patient: str = ''  Column of the patient's id, by which splits are drawn." in done.out


def test_the_doctor_says_what_to_do_next_in_this_folder(rg, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert ("next", "ok", "rg demo writes a first report; rg zoo list shows trained models") in next_step.folder()
    (tmp_path / "mine.csv").touch()
    assert ("next", "ok", "a table is here: rg data audit table --data-root mine.csv") in next_step.folder()
    (tmp_path / "run/best").mkdir(parents=True)
    (tmp_path / "run/best/config.json").touch()
    assert ("next", "ok", "a model is here: rg report IMAGE --model run") in next_step.folder()


def test_info_of_a_text_recipe_says_how_it_cuts_a_report(rg) -> None:
    told = rg("info", "plain")
    assert told.code == 0 and "is cut as  the heart is normal / no 2.5 cm nodule" in told.out
    assert "--text recipe=plain" in told.out and "text/recipes.py" in told.out
    learned = rg("info", "subwords").out
    assert "size: int = 2000" in learned and "arXiv:1508.07909" in learned
    both = rg("info", "jing").out  # a protocol has that name, too
    assert "protocol" in both and "--text recipe=jing" in both


def test_every_text_recipe_of_the_core_has_a_summary() -> None:
    assert list(SUMMARIES) == list(RECIPES)
