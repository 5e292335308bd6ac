"""A first guess at a name of Python is answered with the call that it means."""

from __future__ import annotations

import pytest
import reportgen
from reportgen.guesses import GUESSES

from reportgen_core import OptionError
from reportgen_core.registry import fold
from reportgen_core.testing import tiny_model
from reportgen_core.text.guesses import MODEL


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
