"""Optimizer steps: groups of losses with accumulation, and a training step of a part's own, against plain autograd."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from test_training import model, studies

from reportgen_core import TrainSettings, train
from reportgen_core.data.batches import StudyReader, batches
from reportgen_core.models import HasTrainingStep
from reportgen_core.training.order import epoch_order
from reportgen_core.training.prepare import prepare_model

GROUPS = [["tag"], ["sent", "word", "attention"]]
SETTINGS = TrainSettings(
    epochs=1,
    batch_size=2,
    lr=0.05,
    optimizer="sgd",
    momentum=0.0,
    clip=None,
    freeze_encoder=True,
    accumulate=2,
    steps=GROUPS,
)


@pytest.fixture
def case(tmp_path):
    """Four studies and a model that knows their words."""
    data = studies(tmp_path / "data", 4)
    return data, prepare_model(model(), data)


def head_weights(trained):
    return {name: p.detach().clone() for name, p in trained.head.named_parameters()}


def by_hand(given, data, groups, lr=0.05):
    """Two batches, one step a group on the mean of the two gradients of its losses; no optimizer of torch."""
    given = copy.deepcopy(given).train()
    given.encoder.eval()
    order = epoch_order(4, 0, 0)
    reader = StudyReader(given.encoder.image, given.text, given.targets)
    two = list(batches(data, reader, [order[:2], order[2:]]))
    parameters = list(given.head.parameters())

    def gradients(batch, names):
        loss = sum(v for k, v in given(batch).losses.items() if k in names)
        return torch.autograd.grad(loss, parameters, allow_unused=True)

    first = [gradients(two[0], names) for names in groups]  # at the weights before any step
    for names, old in zip(groups, first, strict=True):
        new = gradients(two[1], names)
        with torch.no_grad():
            for p, a, b in zip(parameters, old, new, strict=True):
                p -= lr * sum((g / 2 for g in (a, b) if g is not None), torch.zeros_like(p))
    return head_weights(given)


def test_groups_of_losses_keep_their_own_gradients_while_batches_are_accumulated(case, tmp_path):
    data, given = case
    want = by_hand(given, data, GROUPS)
    got = head_weights(train(given, data, out=tmp_path / "run", settings=SETTINGS))
    for name in want:
        torch.testing.assert_close(got[name], want[name], rtol=1e-4, atol=1e-6, msg=name)


def test_one_step_on_all_losses_is_as_before(case, tmp_path):
    data, given = case
    want = by_hand(given, data, [["tag", "sent", "word", "attention"]])
    got = head_weights(train(given, data, out=tmp_path / "run", settings=replace(SETTINGS, steps=[])))
    for name in want:
        torch.testing.assert_close(got[name], want[name], rtol=1e-4, atol=1e-6, msg=name)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_part_with_its_own_training_step_takes_the_steps_that_it_says(case, tmp_path, accumulate):
    data, given = case
    settings = replace(SETTINGS, steps=[], accumulate=accumulate)
    other = copy.deepcopy(given)
    grouped = head_weights(train(other, data, out=tmp_path / "a", settings=replace(settings, steps=GROUPS)))

    class TwoSteps(type(given.head)):
        def training_step(self, batch, forward, step):
            out = {}
            for names in GROUPS:
                losses = {k: v for k, v in forward().losses.items() if k in names}
                step(losses)
                out |= losses
            return out

    given.head.__class__ = TwoSteps
    assert isinstance(given.head, HasTrainingStep)
    own = head_weights(train(given, data, out=tmp_path / "b", settings=settings))
    for name in own:
        torch.testing.assert_close(own[name], grouped[name], msg=name)


def test_training_changes_the_model_that_is_given(case, tmp_path):
    data, given = case
    before = head_weights(given)
    train(given, data, out=tmp_path / "run", settings=replace(SETTINGS, epochs=2))
    assert any(not torch.equal(p, before[name]) for name, p in given.head.named_parameters()), "as its docstring says"
