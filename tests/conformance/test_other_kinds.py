"""The conformance kit for metrics, protocols, datasets, reporters, presets, manifests and commands."""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace
from pathlib import Path

import pytest
import reportgen_zoo
from other_kinds import COMMANDS, DATASETS, METRICS, PROTOCOLS

from reportgen_core import Entry, Report
from reportgen_core.registries import datasets, metrics, presets, protocols
from reportgen_core.testing import (
    check_command,
    check_dataset,
    check_manifest,
    check_metric,
    check_preset,
    check_protocol,
    check_reporter,
    packages,
)

ZOO = Path(reportgen_zoo.__file__).parent


@pytest.fixture
def registered(monkeypatch):
    """A function that registers a class for one test and returns its name."""

    def register(registry, kind):
        entry = Entry("test-part", f"other_kinds:{kind}", "a test")
        monkeypatch.setitem(registry._entries(), "test-part", ("this program", entry))
        return "test-part"

    return register


def cases(kinds):
    return pytest.mark.parametrize(
        ("kind", "says"),
        [(kind, says) for says, found in kinds.items() for kind in found],
        ids=lambda v: getattr(v, "__name__", ""),
    )


def one_line(raised, says):
    message = str(raised.value)
    assert says in message
    assert "\n" not in message


def test_a_sound_metric_protocol_dataset_and_command_pass(registered, tmp_path, monkeypatch):
    check_metric(registered(metrics, "SoundMetric"))
    check_protocol(registered(protocols, "SoundProtocol"))
    assert len(check_dataset(registered(datasets, "SoundDataset"), tmp_path).studies) == 3
    commands(monkeypatch, "sound")
    check_command("sound")


@cases(METRICS)
def test_a_broken_metric_is_named(kind, says, registered):
    random.seed(0)
    with pytest.raises(AssertionError) as raised:
        check_metric(registered(metrics, kind.__name__))
    one_line(raised, says)


@cases(PROTOCOLS)
def test_a_broken_protocol_is_named(kind, says, registered):
    with pytest.raises(AssertionError) as raised:
        check_protocol(registered(protocols, kind.__name__))
    one_line(raised, says)


@cases(DATASETS)
def test_a_broken_dataset_is_named(kind, says, registered, tmp_path):
    random.seed(0)
    with pytest.raises(AssertionError) as raised:
        check_dataset(registered(datasets, kind.__name__), tmp_path)
    one_line(raised, says)


def commands(monkeypatch, name):
    entry = Entry(name, f"other_kinds:{name}", "a test")
    monkeypatch.setattr(packages, "entries", lambda hook: iter([("this program", entry)]))


@pytest.mark.parametrize(("says", "name"), COMMANDS.items())
def test_a_broken_command_is_named(says, name, monkeypatch):
    commands(monkeypatch, name)
    with pytest.raises(AssertionError) as raised:
        check_command(name)
    one_line(raised, says)


class Writer:
    """A sound reporter of the least that is needed."""

    def report_studies(self, studies, settings=None):
        return [self.one(s) for s in studies]

    def one(self, study):
        if study.id == "broken":
            return Report(study.id, "", problem="no image")
        return Report(study.id, f"Image of {study.id}.", (f"Image of {study.id}.",), findings={"Nodule": 0.5})


def writer(**methods):
    return type("Broken", (Writer,), methods)()


def each(change):
    """Return a `one` whose report is changed."""
    return lambda self, study: change(Writer.one(self, study))


REPORTERS = {
    "yield one for each": writer(report_studies=lambda self, s, settings=None: Writer.report_studies(self, s)[:-1]),
    "pages and metrics read them": writer(one=each(lambda r: replace(r, sentences=()))),
    "from 0 to 1": writer(one=each(lambda r: replace(r, findings={"Nodule": 3.0}))),
    "seed what is drawn": writer(one=each(lambda r: replace(r, text=f"{r.text} {random.random()}") if r.text else r)),
    "let no study depend on the others": writer(
        report_studies=lambda self, s, settings=None: [
            replace(r, text=f"{r.text} {len(s)}") if r.text else r for r in Writer.report_studies(self, s)
        ]
    ),
    "say why in `problem`": writer(one=lambda self, study: Report(study.id, "A report.", ("A report.",))),
    "loses its row": writer(
        report_studies=lambda self, s, settings=None: [r for r in Writer.report_studies(self, s) if not r.problem]
    ),
    "no image": writer(one=each(lambda r: replace(r, text="", problem="no image at all"))),
}


def test_a_sound_reporter_passes(tmp_path):
    check_reporter(Writer(), tmp_path)


@pytest.mark.parametrize("says", REPORTERS)
def test_a_broken_reporter_is_named(says, tmp_path):
    with pytest.raises(AssertionError) as raised:
        check_reporter(REPORTERS[says], tmp_path)
    one_line(raised, says)


@pytest.fixture
def preset(tmp_path, monkeypatch):
    """A function that registers a changed copy of a preset that ships."""
    package = "mine_" + re.sub(r"\W", "_", tmp_path.name)  # Python keeps the place of a package that it has imported
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)

    def change(edit):
        values = json.loads((ZOO / "presets" / "soft-att.json").read_text())
        values["name"] = "mine"
        edit(values)
        (tmp_path / package / "p.json").write_text(json.dumps(values))
        monkeypatch.setitem(presets._entries(), "mine", ("this program", Entry("mine", f"{package}:p.json", "a test")))

    return change


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda v: v.pop("data"), "lacks 'data'"), (lambda v: v.update(name="other"), "give both one name"),
        (lambda v: v.update(train={"epoch": 3}), "did you mean 'epochs'"), (lambda v: v["text"].update(recipe="jin"), "did you mean 'jing'"),
        (lambda v: v.update(generation={"beam": 3}), "did you mean 'beams'"), (lambda v: v["data"].update(dataset="iu"), "did you mean"),
        (lambda v: v["compose"].update(decoder="lsm"), "lsm"), (lambda v: v.update(protocol="jin"), "jin"),
        (lambda v: v["compose"]["decoder_options"].update(hiden=3), "has no option 'hiden'"),
        (lambda v: v["numbers"][0]["values"].update(x="0,3"), "that is no number"),
    ],
)  # fmt: skip
def test_a_broken_preset_is_named(edit, says, preset):
    preset(edit)
    with pytest.raises(AssertionError) as raised:
        check_preset("mine")
    one_line(raised, says)


def test_a_preset_that_ships_passes(preset):
    preset(lambda v: None)
    check_preset("mine")


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda m: m.update(format=2), "reads 1"), (lambda m: m.update(models=[]), "each model is a record"),
        (lambda m: m["models"].append(m["models"][0]), "make it unique"), (lambda m: m["models"][0].update(name="a/b"), "no name of a model"),
        (lambda m: m["models"][0].update(licence=""), "has no licence"), (lambda m: m["models"][0].update(sources=[]), "has no source"),
        (lambda m: m["models"][0].update(files=m["models"][0]["files"][:1]), "has no file config.json"),
        (lambda m: m["models"][0]["files"][0].update(path="../card.md"), "leaves the model's folder"),
        (lambda m: m["models"][0]["files"][0].update(sha256="abc"), "give 64 hex digits"),
        (lambda m: m["models"][0]["files"][0].update(bytes=0), "bounded by its size"), (lambda m: m["models"][0].pop("probe"), "has no probe"),
    ],
)  # fmt: skip
def test_a_broken_manifest_is_named(edit, says, tmp_path):
    manifest = json.loads((ZOO / "manifest.json").read_text())
    edit(manifest)
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(AssertionError) as raised:
        check_manifest(tmp_path / "manifest.json")
    one_line(raised, says)


def test_the_manifest_that_ships_passes():
    check_manifest(ZOO / "manifest.json")


@pytest.mark.parametrize(
    "name", ["bleu", "rouge-l", "cider", "chexpert-rules", "tags", "findings", "pointing", "normality"]
)
def test_metrics_that_ship_pass(name):
    check_metric(name)


@pytest.mark.parametrize("name", ["raw", "jing", "r2gen", "ditag"])
def test_protocols_that_ship_pass(name):
    check_protocol(name)


def test_the_phantom_passes(tmp_path):
    check_dataset("phantom", tmp_path, {"n": 6, "size": 64})
