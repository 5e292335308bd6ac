"""A first guess at a name of Python is answered with the call that it means."""

from __future__ import annotations

import re

import pytest
import reportgen
from reportgen.guesses import GUESSES

from reportgen_core import Attention, Audit, Collection, OptionError, Report, Study, UnknownName, registries
from reportgen_core.models.reporters.report_list import Reports
from reportgen_core.registry import Registry, fold
from reportgen_core.testing import tiny_model
from reportgen_core.text.guesses import ATTENTION, CALLS, COLLECTION, EVALUATION, MODEL, REPORT, elsewhere


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.mark.parametrize("word", sorted(GUESSES))
def test_a_guess_of_the_package_is_answered(word: str) -> None:
    with pytest.raises(AttributeError) as error:
        getattr(reportgen, word)
    assert str(error.value).endswith(GUESSES[word])
    for name in ("load", "compose", "train", "evaluate", "studies", "encoders", "metrics"):
        if f"reportgen.{name}" in GUESSES[word]:
            assert hasattr(reportgen, name)


@pytest.mark.parametrize("word", sorted(MODEL))
def test_a_guess_of_a_model_is_answered(word: str, model) -> None:
    assert word == fold(word)
    with pytest.raises(AttributeError) as error:
        getattr(model, word)
    assert str(error.value).endswith(MODEL[word])
    call = MODEL[word].partition("(")[0]
    if call.startswith("model."):
        assert hasattr(model, call.split(".")[1])


def test_the_class_of_models_answers_too() -> None:
    with pytest.raises(AttributeError, match=r"it is model\.report"):
        reportgen.Model.predict("chest.png")


def test_a_private_name_has_no_answer_and_a_typo_has_the_nearest(model) -> None:
    with pytest.raises(AttributeError) as error:
        _ = model._generate
    assert str(error.value).endswith("attribute '_generate'")
    with pytest.raises(AttributeError, match=r"did you mean save\?"):
        model.savee("x")


@pytest.mark.parametrize("folder", [None, 3, ["x"]])
def test_a_model_is_saved_into_a_folder_only(folder: object, model) -> None:
    with pytest.raises(OptionError, match="takes a text or a path as folder, not"):
        model.save(folder)


def test_a_metric_is_no_function_of_the_registry() -> None:
    with pytest.raises(AttributeError) as error:
        reportgen.metrics.bleu(["a"], ["b"])
    assert "reportgen.evaluate(predictions, references, metrics=['bleu'])" in str(error.value)
    with pytest.raises(AttributeError, match=r"\.create\('resnet18'\) builds it"):
        reportgen.encoders.resnet18()


@pytest.fixture(scope="module")
def values():
    """A report, an evaluation and a collection, by the names of the messages."""
    texts = {"metrics": ["bleu"], "protocol": "raw", "resamples": 0, "baselines": False}
    return {
        "attention": Attention("sentence"),
        "report": Report("chest.png", "The heart is normal."),
        "evaluation": reportgen.evaluate(["a b"], ["a b c"], **texts),
        "studies": Collection((Study("1", split="train"), Study("2", split="val")), Audit("x.csv", 2, 0)),
    }


@pytest.mark.parametrize(
    ("kind", "word", "meant"),
    [
        (kind, word, meant)
        for kind, table in (
            ("attention", ATTENTION),
            ("report", REPORT),
            ("evaluation", EVALUATION),
            ("studies", COLLECTION),
        )
        for word, meant in table.items()
    ],
)
def test_a_guess_of_a_value_is_answered_by_code_that_runs(kind, word, meant, values) -> None:
    assert word == fold(word)
    with pytest.raises(AttributeError) as error:
        getattr(values[kind], word)
    assert str(error.value).endswith(f"; it is {meant}")
    code = re.split(r" for (?:a|the) |, (?:and|or|which) ", meant)[0]
    if not code.startswith(("print", "numpy")) and ".show(" not in code:
        eval(code, {**values})


def test_a_typo_of_a_value_has_the_nearest_and_a_score_its_name(values) -> None:
    with pytest.raises(AttributeError, match=r"did you mean sentences\?"):
        _ = values["report"].sentence
    with pytest.raises(AttributeError, match=r"it is evaluation\['bleu-4'\]"):
        _ = values["evaluation"].bleu_4
    with pytest.raises(AttributeError, match=r"attribute '_x'$"):
        _ = values["report"]._x
    with pytest.raises(AttributeError, match=r"it is report\.show\(\)"):
        Reports([values["report"]]).plot()
    with pytest.raises(AttributeError, match=r"these are 2 reports; .* it is report\.show\(\)"):
        Reports([values["report"]] * 2).plot()


@pytest.mark.parametrize(
    "registry",
    [r for r in vars(registries).values() if isinstance(r, Registry) and r.kind != "text recipe"],
    ids=lambda registry: registry.kind,
)
def test_a_part_of_another_kind_is_told(registry) -> None:
    if not (own := next((name for name in registry if not name.endswith("*")), None)):
        return
    other = registries.metrics if registry.kind != "metric" else registries.encoders
    if own in other:
        return
    with pytest.raises(UnknownName) as error:
        other.find(own)
    call = CALLS.get(registry.kind, "rg info {0}").format(own)
    assert f"no {other.kind} named {own!r}; it is " in str(error.value)
    assert f" {registry.kind} ({call})" in str(error.value)


def test_a_name_of_several_kinds_is_told_once_for_each() -> None:
    with pytest.raises(UnknownName) as error:
        reportgen.load("R2Gen")
    message = str(error.value)
    assert (
        "it is a decoder (" in message
        and "a protocol (" in message
        and " and a preset (rg train --preset r2gen" in message
    )
    assert elsewhere("no-such-name", "model") == elsewhere("", "model") == ""
    assert "r2gen" not in registries.encoders and "timm/x" in registries.encoders and 3 not in registries.encoders
